import gzip
import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    Sequence,
)
from tfrec.features.rows import typed
from tfrec.features.sources import blocks, count_rows, files, is_path

SPEC = FeatureSpec(
    [
        Categorical("city", side="user", padding="-"),
        Categorical("shop", side="item", dtype="int64"),
        MultiCategorical("tags", side="item", separator="|"),
        Sequence("shops", of="shop", separator=","),
        Numeric("price", side="item", fill=0.0),
        Numeric("vector", side="item", shape=(2,)),
        Bucketized("hour", side="context", boundaries=(6, 12)),
    ],
    labels=["click"],
    weight="weight",
)
NAMES = ["city", "shop", "tags", "shops", "price", "hour"]


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


def frame(start=0, rows=5):
    numbers = range(start, start + rows)
    return pd.DataFrame(
        {
            "extra": ["x"] * rows,
            "hour": [float(n % 24) for n in numbers],
            "shop": pd.array([None if n % 5 == 3 else n for n in numbers], "Int64"),
            "city": [None if n % 4 == 1 else f'c{n}, "x"\nNA' for n in numbers],
            "tags": ["" if n % 3 else f"a|{n}" for n in numbers],
            "shops": ["" if n % 2 else f"{n},-7" for n in numbers],
            "price": [None if n % 4 == 2 else n / 4 for n in numbers],
            "click": [n % 2 == 0 for n in numbers],
            "weight": [n + 0.5 for n in numbers],
        }
    )


def write(log, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".parquet"):
        log.to_parquet(path, index=False)
    else:
        log.to_csv(path, index=False)
    return path


def read(rows, names=NAMES, **options):
    """All blocks, typed and joined: what every column holds."""
    found = {name: [] for name in names}
    for block in blocks(rows, SPEC, names, **options):
        for name in names:
            column = SPEC.get(name)
            values = block[name]
            values = typed(SPEC, block, [name])[name] if column else values
            found[name] += values.to_pylist()
    return found


@pytest.mark.parametrize("name", ["log.parquet", "log.PQ", "log.csv", "log.csv.gz"])
def test_files_hold_what_memory_holds(tmp_path, name):
    log = frame(rows=20)
    path = tmp_path / name
    if name.endswith("PQ"):
        log.to_parquet(path)
    else:
        write(log, path)
    wanted = str(read(log))
    for rows in (path, str(path), [path], log, pa.Table.from_pandas(log)):
        assert str(read(rows)) == wanted
        assert str(read(rows, block_rows=3)) == wanted


def test_labels_in_csv(tmp_path):
    """Truth values are words there, numbers are numbers."""
    path = write(frame(), tmp_path / "log.csv")
    found = read(path, ["click", "weight"])
    assert found["click"] == [True, False, True, False, True]
    assert found["weight"] == [0.5, 1.5, 2.5, 3.5, 4.5]


def test_integers_with_gaps_in_csv(tmp_path):
    """pandas writes them as 1.0."""
    log = pd.DataFrame({"shop": [1.0, None, 3.0]})
    assert read(write(log, tmp_path / "log.csv"), ["shop"]) == {"shop": [1, None, 3]}
    log = pd.DataFrame({"shop": [1.0, None, 2.0**53]})
    with raises("9007199254740992.0 in row 2"):
        read(write(log, tmp_path / "log.csv"), ["shop"])


def test_an_empty_field_is_missing_and_a_word_is_not(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('city,price\nNA,\n"",nan\nnull,2\n-,NaN\n')
    found = read(path, ["city", "price"])
    assert found == {"city": ["NA", None, "null", None], "price": [0, 0, 2, 0]}


def test_line_breaks_in_fields_of_long_files(tmp_path):
    """Where a block of the reader ends within a field."""
    rows = 60_000
    log = pd.DataFrame({"city": [f"a\n{n}, 'x'\n" for n in range(rows)], "price": 1})
    path = write(log, tmp_path / "log.csv")
    assert path.stat().st_size > 2**20
    found = read(path, ["city", "price"])
    assert found["city"] == log["city"].tolist() and len(found["price"]) == rows


def test_blocks_are_no_larger_than_asked(tmp_path):
    log = frame(rows=10)
    for rows in (
        log,
        write(log, tmp_path / "a.parquet"),
        write(log, tmp_path / "a.csv"),
    ):
        sizes = [
            len(block["city"]) for block in blocks(rows, SPEC, NAMES, block_rows=4)
        ]
        assert sizes == [4, 4, 2]


def test_owner_says_where_a_block_stands(tmp_path):
    log = frame(rows=5)
    path = write(log, tmp_path / "a.parquet")

    def owners(rows):
        found = blocks(rows, SPEC, NAMES, block_rows=2, owner="reader")
        return [block.owner for block in found]

    assert owners(log) == [
        *("reader", "reader (from row 2 on)", "reader (from row 4 on)")
    ]
    assert owners(path) == [
        f'reader ("{path}")',
        f'reader ("{path}", from row 2 on)',
        f'reader ("{path}", from row 4 on)',
    ]


@pytest.fixture
def folder(tmp_path):
    """Files in several folders, and what must not be read."""
    logs = tmp_path / "logs"
    write(frame(0, 2), logs / "b.parquet")
    write(frame(2, 2), logs / "day=1" / "a.csv")
    write(frame(4, 2), logs / "day=2.parquet" / "part-0.parquet")
    for path in ("_temporary/c.parquet", ".hidden/d.csv", "_e.parquet", ".f.parquet"):
        write(frame(90, 1), logs / path)
    (logs / "notes.txt").write_text("no log")
    (logs / "empty").mkdir()
    return logs


def test_folders_globs_and_lists(folder):
    order = ["b.parquet", "day=1/a.csv", "day=2.parquet/part-0.parquet"]
    wanted = [folder / name for name in order]
    assert files(folder) == wanted == files(str(folder))
    assert files(folder / "*.parquet") == [wanted[0], wanted[2]]
    assert files(folder / "day*") == wanted[1:]
    assert files(str(folder / "**" / "part-?.parquet")) == wanted[2:]
    assert files(folder / "**" / "*.parquet") == [wanted[0], wanted[2]]
    assert files(folder / "*" / "**") == wanted[1:]
    assert files(folder / "_*.parquet") == [folder / "_e.parquet"]
    assert files([wanted[2], wanted[0]]) == [wanted[2], wanted[0]]
    assert files([folder / "day=1", folder / "b*"]) == [wanted[1], wanted[0]]
    whole = pd.concat([frame(0, 2), frame(2, 2), frame(4, 2)])
    for rows in (folder, wanted, str(folder / "[bd]*")):
        assert str(read(rows)) == str(read(whole))


def test_a_name_with_glob_characters(tmp_path):
    path = write(frame(0, 2), tmp_path / "log[1].parquet")
    write(frame(2, 2), tmp_path / "log1.parquet")
    assert files(path) == [path]


def test_is_path(tmp_path):
    assert is_path("a") and is_path(tmp_path) and not is_path(b"a") and not is_path(3)


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("none.parquet", "no Parquet or CSV file at ", FileNotFoundError),
        ("*.parquet", "Pass a file, a folder that holds some (", FileNotFoundError),
        ("empty", "no Parquet or CSV file at ", FileNotFoundError),
        ("notes.txt", "is not known. Use one of .parquet, .pq, .csv", ValueError),
        ("no*", "the ending of ", ValueError),
    ],
)
def test_nothing_to_read(tmp_path, path, text, kind):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("a,b\n1,2\n")
    for place in (tmp_path / path, [str(tmp_path / path)]):
        with raises(text, kind) as error:
            files(place, owner="reader")
        assert str(error.value).startswith("reader: ") and path[:2] in str(error.value)


@pytest.mark.parametrize("path", ["", [""]])
def test_no_path_is_not_the_working_folder(tmp_path, path, monkeypatch):
    write(frame(), tmp_path / "a.parquet")
    monkeypatch.chdir(tmp_path)
    with raises("no Parquet or CSV file at ''", FileNotFoundError):
        files(path)


@pytest.mark.parametrize("path", [[3], [None], ["a.parquet", 3], 3, None, {"a"}])
def test_paths_of_another_kind(tmp_path, path, monkeypatch):
    write(frame(), tmp_path / "a.parquet")
    monkeypatch.chdir(tmp_path)
    with raises("`path` must be a path or a list of paths.", TypeError):
        files(path)


def corrupt(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.parquet", corrupt, "cannot be read: "),
        ("a.parquet", lambda data: b"", "cannot be read: "),
        ("a.parquet", lambda data: b"PAR1" + data[4:100], "cannot be read: "),
        ("a.csv", lambda data: b"", "cannot be read: Empty CSV file. Repair the file"),
        ("a.csv", lambda data: b"\n", "cannot be read: "),
        ("a.csv.gz", lambda data: corrupt(gzip.compress(data)), "cannot be read: "),
        ("a.csv.gz", lambda data: data, "cannot be read: "),
        ("a.csv", lambda data: data + b"1,2\n", "Expected 9 columns, got 2: 1,2"),
        ("a.csv", lambda data: data + b"1,2,3,4,5,6,7,8,9,10\n", "got 10"),
        ("a.csv", lambda data: data.replace(b"c0", b"\xff"), "invalid UTF8 data"),
        ("a.csv", lambda data: data.replace(b"city", b"\xff"), "cannot be read: "),
        (
            "a.csv",
            lambda data: data.replace(b"0.0", b"soon", 1),
            "invalid value 'soon'",
        ),
        ("a.csv", lambda data: data + b'x,1,1,"c,a,1,1,True,1\n', "cannot be read: "),
    ],
)
def test_broken_files(tmp_path, name, content, text):
    path = tmp_path / name
    source = "a.parquet" if name == "a.parquet" else "a.csv"
    data = write(frame(), tmp_path / "source" / source).read_bytes()
    path.write_bytes(content(data))
    with raises(text) as error:
        read(path, owner="reader")
    assert str(error.value).startswith(f"reader: '{path}' cannot be read: ")
    assert "correct the column's dtype in the spec." in str(error.value)


def test_a_wrong_field_count_far_into_a_csv(tmp_path):
    path = write(
        pd.DataFrame({"city": ["x" * 20] * 400_000, "price": 1}), tmp_path / "a.csv"
    )
    with open(path, "a") as stream:
        stream.write("1,2,3\n")
    seen = 0
    with raises("Expected 2 columns, got 3: 1,2,3"):
        for block in blocks(path, SPEC, ["city"]):
            seen += len(block["city"])
    assert 0 < seen <= 400_000


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_column_that_is_not_there(tmp_path, name):
    path = write(frame().rename(columns={"city": "citty"}), tmp_path / name)
    with raises('reader: column "city" must be one of the file\'s columns.') as error:
        read(path, owner="reader")
    assert str(path) in str(error.value)
    assert 'drop it from the spec. Did you mean "citty"?' in str(error.value)


def test_a_column_that_is_there_twice(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("city,price,city\na,1,b\n")
    text = 'column "city" must stand once in the file. Received: "city", "price", "c'
    with raises(text):
        read(path, ["city"])
    table = pa.Table.from_arrays([["a"], ["b"]], ["city", "city"])
    pq.write_table(table, tmp_path / "a.parquet")
    with raises(text[:40]):
        read(tmp_path / "a.parquet", ["city"])


def test_only_asked_columns_are_read(tmp_path):
    log = pd.DataFrame({"city": ["a"], "price": ["no number"]})
    for name in ("a.csv", "a.parquet"):
        path = write(log, tmp_path / name)
        assert read(path, ["city"]) == {"city": ["a"]}
    with raises("invalid value 'no number'"):
        read(tmp_path / "a.csv", ["price"])


def test_csv_has_no_lists(tmp_path):
    path = write(pd.DataFrame({"vector": ["[1, 2]"]}), tmp_path / "a.csv")
    with raises('column "vector" must hold lists of 2 numbers. Received: string'):
        read(path, ["vector"])


def test_files_without_rows(tmp_path):
    for name in ("a.parquet", "a.csv"):
        path = write(frame().iloc[:0], tmp_path / name)
        assert list(blocks(path, SPEC, NAMES)) == []


def test_names_with_dots(tmp_path):
    """Of other columns, of labels and of weights."""
    spec = FeatureSpec([Numeric("a", side="user")], labels=["a.b"])
    log = pd.DataFrame({"a.b": [1.0], "a": [2.0], "a.c": [3.0]})
    for path in (write(log, tmp_path / "x.parquet"), write(log, tmp_path / "x.csv")):
        (block,) = blocks(path, spec, ["a", "a.b"])
        assert {n: v.to_pylist() for n, v in block.items()} == {"a": [2], "a.b": [1]}


def test_count_rows(tmp_path):
    log = frame(rows=7)
    for path in (write(log, tmp_path / "a.parquet"), write(log, tmp_path / "a.csv")):
        assert count_rows(path, SPEC, NAMES, owner="reader") == 7
        path.write_bytes(path.read_bytes()[:-6])
        with raises(f"reader: '{path}' cannot be read: "):
            count_rows(path, SPEC, NAMES, owner="reader")


@pytest.mark.parametrize(
    ("column", "late", "wanted"),
    [
        (Categorical("c", side="user", dtype="int64"), ["12346.0", "7.0"], [12346, 7]),
        (Categorical("c", side="user", dtype="int64"), ["12346", "7"], [12346, 7]),
        (Categorical("c", side="user", dtype="int64"), ["True", "False"], [1, 0]),
        (Numeric("c", side="user", fill=0.0), ["True", "False"], [1.0, 0.0]),
        (Numeric("c", side="user", fill=0.0), ["1.5", "2"], [1.5, 2.0]),
    ],
)
def test_a_csv_column_that_starts_late(tmp_path, column, late, wanted):
    """pyarrow guesses types from the first megabyte, where all is missing here."""
    file = tmp_path / "log.csv"
    empty = ["," + "x" * 50] * 30_000
    file.write_text("\n".join(["c,x", *empty, *[f"{v},x" for v in late]]) + "\n")
    spec = FeatureSpec([column])
    found = [
        value
        for block in blocks(file, spec, ["c"])
        for value in typed(spec, block, ["c"])["c"].to_pylist()
    ]
    assert found[-2:] == wanted
    assert set(found[:-2]) == ({None} if isinstance(column, Categorical) else {0.0})


@pytest.mark.parametrize("late", [False, True])
def test_a_csv_value_that_is_none_names_its_column(tmp_path, late):
    file = tmp_path / "log.csv"
    empty = ["," + "x" * 50] * 30_000 if late else ["1,x"]
    file.write_text("\n".join(["price,x", *empty, "n/a?,x"]) + "\n")
    spec = FeatureSpec([Numeric("price", side="user", fill=0.0)])
    with raises('In column "price": ', ValueError) as error:
        list(blocks(file, spec, ["price"]))
    assert "n/a?" in str(error.value)
