import gzip
import itertools
import re

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.data import from_csv, from_pandas, from_parquet, from_tfrecord, tfrecord
from tfrec.data import write_tfrecord as write
from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    NumericSequence,
    Sequence,
)

TEXT = {"side": "item", "embedding_dim": 4}
SPEC = FeatureSpec(
    [
        Categorical("c", **TEXT),
        Categorical("i", side="user", dtype="int64"),
        MultiCategorical("m", table="c", max_length=2, separator="|", **TEXT),
        Sequence("h", of="i", max_length=3, separator="|"),
        Numeric("n", side="user", fill=5),
        Bucketized("b", side="user", boundaries=(1, 2)),
    ],
    labels=["y", "z"],
    weight="w",
)


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    learned = {"c": ["x", "y"], "i": [0, 7], "m": ["x", "y"]}
    return SPEC.adapt(learned, tmp_path_factory.mktemp("vocabularies"))


WORDS = st.sampled_from(["x", "y", "new", "é"])
NUMBERS = st.sampled_from([0, 7, 9, -3, 2**60])
FLOATS = st.sampled_from([-1.5, 0.1, 1.0, 2.0, 1e6])


def missing(values):
    return st.one_of(st.none(), values)


@st.composite
def frames(draw):
    rows = draw(st.integers(1, 9))

    def column(values):
        return draw(st.lists(values, min_size=rows, max_size=rows))

    return pd.DataFrame(
        {
            "c": pd.Series(column(missing(WORDS)), dtype=object),
            "i": pd.array(column(missing(NUMBERS)), "Int64"),
            "m": column(st.lists(WORDS, max_size=4).map("|".join)),
            "h": column(st.lists(NUMBERS.map(str), max_size=4).map("|".join)),
            "n": pd.array(column(missing(FLOATS)), "Float64"),
            "b": pd.array(column(missing(FLOATS)), "Float64"),
            "y": column(st.booleans()),
            "z": pd.array(column(missing(FLOATS)), "Float64"),
            "w": column(FLOATS),
        }
    )


def flat(dataset):
    return [tf.nest.map_structure(lambda x: x.numpy().tolist(), b) for b in dataset]


@pytest.mark.slow
@settings(max_examples=25)
@given(
    frame=frames(), batch_size=st.integers(1, 5), ending=st.sampled_from(["", ".gz"])
)
def test_every_source_gives_the_same_batches(
    spec, tmp_path_factory, frame, batch_size, ending
):
    folder = tmp_path_factory.mktemp("rows")
    options = {"batch_size": batch_size, "missing_labels": True}
    wanted = flat(from_pandas(frame, spec, **options))
    write(frame, spec, folder / f"a.tfrecord{ending}")
    frame.to_parquet(folder / "a.parquet")
    frame.to_csv(folder / "a.csv", index=False)
    for make in (from_tfrecord, from_parquet, from_csv):
        ending = make.__name__.removeprefix("from_")
        assert flat(make(folder / f"*.{ending}*", spec, **options)) == wanted


def test_lists_vectors_and_what_goes_along(tmp_path):
    spec = FeatureSpec(
        [
            Categorical("i", side="item"),
            Sequence("h", of="i", max_length=3),
            NumericSequence("gap", along="h", fill=0),
            Sequence("kind", of="i", along="h", max_length=3),
            Numeric("v", side="item", shape=(2,), fill=1),
        ]
    ).adapt({"i": ["a", "b"], "v": [[1, 2]] * 2}, tmp_path)
    rows = {
        "i": ["a", "b", None],
        "h": [["a", "b", "c", "a"], [], ["b"]],
        "gap": [[1, 2, 3, None], [], [4]],
        "kind": [["a", None, "b", "z"], [], [None]],
        "v": [[1, 2], None, [3, 4]],
    }
    write(rows, spec, tmp_path / "a.tfrecord")
    found = flat(from_tfrecord(tmp_path / "a.tfrecord", spec))
    assert found == flat(from_pandas(rows, spec))


@pytest.fixture
def frame():
    rows = 40
    numbers = np.arange(rows)
    return pd.DataFrame(
        {"c": "x", "i": 7, "m": "x|y", "h": "7", "n": 1.0, "b": 1.5}
        | {"y": numbers, "z": numbers / 2, "w": 1.0}
    )


def rows_of(dataset):
    return [int(label) for _, y, _ in dataset for label in y["y"].numpy()]


def test_files_folders_globs_and_options(spec, frame, tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecord, "BLOCK", 7)
    (tmp_path / "part").mkdir()
    write(frame[:15], spec, tmp_path / "part" / "a.tfrecord")
    write(frame[15:], spec, tmp_path / "b.tfrecords.gz")
    for path in ([tmp_path / "part", tmp_path / "b*"], f"{tmp_path}/**/[ab].t*"):
        dataset = from_tfrecord(path, spec, batch_size=6)
        assert sorted(rows_of(dataset)) == list(range(40))
        assert int(dataset.cardinality()) == 7
    options = {"batch_size": 6, "shuffle": True, "cache": tmp_path / "ids"}
    parts = [from_tfrecord(tmp_path, spec, shard=(n, 3), **options) for n in range(3)]
    found = [rows_of(part) for part in parts]
    assert sorted([*itertools.chain(*found)]) == list(range(40))
    one = next(iter(from_tfrecord(tmp_path, spec, columns=["h"])))
    assert list(one) == ["h"]


def example(**features):
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name: tf.train.Feature(**{kind: make(value=values)})
                for name, (kind, make, values) in features.items()
            }
        )
    ).SerializeToString()


def ints(*values):
    return "int64_list", tf.train.Int64List, values


def text(*values):
    return "bytes_list", tf.train.BytesList, values


def records(path, *rows):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            writer.write(row)
    return path


ONE = FeatureSpec([Bucketized("b", side="user", boundaries=(1,))], labels=["y"])


def test_features_may_be_absent_in_some_rows(tmp_path):
    """As others write them: integers where numbers are meant, gaps left out."""
    rows = [example(b=ints(3), y=ints(1)), example(y=ints(0))]
    ((columns, y),) = from_tfrecord(records(tmp_path / "a.tfrecord", *rows), ONE)
    assert columns["b"].numpy().tolist() == [3, 0] and y.numpy().tolist() == [1, 0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [example(y=ints(1))],
            'column "b" must be one of the features of the first 256 rows. Received: '
            '"y". Write "b", if empty, or drop it from the spec.',
        ),
        (
            [example(b=text(b"x"), y=ints(1))],
            'column "b" must be a float_list or int64_list. Received: a bytes_list in',
        ),
        (
            [example(b=ints(1), y=ints(1))] * 300 + [example(b=text(b"x"), y=ints(1))],
            'column "b" must be a int64_list. Received: a bytes_list in row 300.',
        ),
        (
            [example(b=ints(1), y=ints(1)), example(b=ints(1, 2), y=ints(1))],
            'column "b" must hold one value a row. Received: 2 values in row 1.',
        ),
        ([example(b=ints(1), y=ints())], 'column "y" is a label or weight and must no'),
        ([b"\xff\xff no example"], "cannot be read: a record is not a tf.Example"),
        ([], "`path` must hold rows."),
    ],
)
def test_bad_rows(tmp_path, rows, message):
    file = records(tmp_path / "bad.tfrecord", *rows)
    with raises(message) as error:
        from_tfrecord(file, ONE)
    assert str(error.value).startswith("from_tfrecord")
    assert str(file) in str(error.value)


@pytest.mark.parametrize("ending", ["tfrecord", "tfrecord.gz"])
@pytest.mark.parametrize("damage", ["truncated", "corrupt", "other"])
def test_broken_files(spec, frame, tmp_path, ending, damage):
    file = tmp_path / f"bad.{ending}"
    write(frame, spec, file)
    content = bytearray(file.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2 + 3]
    elif damage == "corrupt":
        content[len(content) // 2] ^= 255
    else:
        content = b"b,y\n1,2\n" * 9
        content = gzip.compress(content) if ending.endswith("gz") else content
    file.write_bytes(content)
    with raises("cannot be read: ") as error:
        from_tfrecord(file, spec)
    assert str(file) in str(error.value)


def test_paths(spec, tmp_path):
    with raises("from_tfrecord: no TFRecord file at ", FileNotFoundError):
        from_tfrecord(tmp_path, spec)
    with raises("from_tfrecord: `path` must be a path or a list of paths.", TypeError):
        from_tfrecord(3, spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c": None}, 'write_tfrecord: column "c" must be one of the row\'s features'),
        ({"c": 3}, 'column "c" must fit a bytes_list. Received: 3 (int) in row 0.'),
        ({"i": 1.5}, 'column "i" must fit a int64_list. Received: 1.5 (float) in row'),
        ({"i": 2**63}, 'column "i" must fit a int64_list. Received: 9223372036854775'),
        ({"h": "7|x"}, "must fit a int64_list. Received: '7|x' (str) in row 0."),
        ({"n": "dear"}, "column \"n\" must fit a float_list. Received: 'dear' (str)"),
    ],
)
def test_errors_of_writing(frame, tmp_path, change, message):
    if None in change.values():
        frame = frame.drop(columns=list(change))
    else:
        frame = frame.assign(**change)
    with raises(message):
        write(frame, SPEC, tmp_path / "a.tfrecord")
    assert not list(tmp_path.iterdir())


def test_the_ending_tells_the_format(frame, tmp_path):
    with raises("write_tfrecord: `path` must end with one of .tfrecord, "):
        write(frame, SPEC, tmp_path / "a.parquet")


def test_truth_values_and_hidden_files(tmp_path):
    rows = pd.DataFrame({"new": [True, False], "y": [1, 0]})
    spec = FeatureSpec([Categorical("new", side="user", dtype="int64")], labels=["y"])
    spec = spec.adapt(rows, tmp_path / "spec")
    for name in ("day=1", "day=2", "_temporary"):
        (tmp_path / "log" / name).mkdir(parents=True)
        write(rows, spec, tmp_path / "log" / name / "p.tfrecord")
    for path in (tmp_path / "log", tmp_path / "log" / "day=*", tmp_path / "log" / "**"):
        found = [x["new"].numpy().tolist() for x, _ in from_tfrecord(path, spec)]
        assert found == [[3, 2, 3, 2]]
