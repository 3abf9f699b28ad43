import re
from collections import Counter

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    Sequence,
)

SPEC = FeatureSpec(
    [
        Categorical("user", side="user", dtype="int64", min_count=3),
        Categorical("movie", side="item", max_size=25),
        Sequence("history", of="movie"),
        MultiCategorical("genres", side="item", separator="|"),
        Numeric("rating", side="context", scaling="standard"),
        Bucketized("year", side="item", num_buckets=4),
        Categorical("city", side="user", hash_buckets=7),
    ],
    labels=["liked"],
)


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


def contents(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def counts_of(spec, table):
    vocabulary = spec.vocabulary(table)
    counts = vocabulary.counts().tolist()
    return dict(zip(vocabulary.values(), counts[2:], strict=True)), counts[1]


@pytest.fixture
def days(log):
    """Two parts; the second knows people, films and genres that the first lacks."""
    one, two = log[:200].copy(), log[200:].copy()
    two["user"] += 20
    two.loc[two.index[::2], "movie"] += "x"
    two.loc[two.index[::5], "genres"] = "western|drama"
    return one, two


def test_what_is_added(days, tmp_path):
    one, two = days
    old = SPEC.adapt(one, tmp_path / "1")
    before = contents(tmp_path / "1")
    new = old.extend(two, tmp_path / "2")
    assert contents(tmp_path / "1") == before
    assert new.columns == old.columns and new.labels == old.labels
    assert new.vocabularies != old.vocabularies
    seen = {
        "user": Counter(two["user"]),
        "movie": Counter(two["movie"]),
        "genres": Counter("|".join(filter(None, two["genres"])).split("|")),
    }
    for table, least, size in (("user", 3, None), ("movie", 1, 25), ("genres", 1, 99)):
        was, left_out = counts_of(old, table)
        now, still_out = counts_of(new, table)
        values, here = list(now), seen[table]
        assert values[: len(was)] == list(was)
        lacking = [v for v in here if v not in was and here[v] >= least]
        lacking.sort(key=lambda value: (-here[value], value))
        room = len(lacking) if size is None else max(size - len(was), 0)
        assert values[len(was) :] == lacking[:room]
        assert values[len(was) :], f"nothing was added to {table}"
        wanted = {value: was.get(value, 0) + here[value] for value in values}
        assert now == wanted
        assert still_out == left_out + sum(n for v, n in here.items() if v not in now)
    assert len(counts_of(new, "movie")[0]) == 25
    new.tables["user"]
    again = FeatureSpec.from_json(new.to_json())
    assert again == new


def test_nothing_new(days, tmp_path):
    one, _ = days
    old = SPEC.adapt(one, tmp_path / "1")
    new = old.extend(one[:50], tmp_path / "2")
    assert new == old
    for table in ("user", "movie", "genres"):
        was, now = counts_of(old, table), counts_of(new, table)
        assert list(was[0]) == list(now[0])
    assert sum(counts_of(new, "movie")[0].values()) == 250
    (tmp_path / "1" / "user.txt").unlink()  # the new spec stands on its own
    new.save(tmp_path / "spec.json")
    assert FeatureSpec.load(tmp_path / "spec.json") == new


def test_all_nulls_are_nothing_new(tmp_path):
    spec = FeatureSpec([Categorical("a", side="user")])
    old = spec.adapt({"a": ["x", "y", "x"]}, tmp_path / "1")
    new = old.extend({"a": [None, None]}, tmp_path / "2")
    assert new == old and counts_of(new, "a") == counts_of(old, "a")


LETTERS = st.sampled_from("abcdefghij")


@given(
    parts=st.lists(st.lists(LETTERS, min_size=1), min_size=1, max_size=4),
    min_count=st.integers(1, 3),
    max_size=st.none() | st.integers(1, 8),
)
def test_days_in_a_row(tmp_path_factory, parts, min_count, max_size):
    """Ids never move, no count is lost, files of earlier days stay."""
    folder = tmp_path_factory.mktemp("days")
    column = Categorical("a", side="user", min_count=min_count, max_size=max_size)
    first = ["a"] * min_count
    spec = FeatureSpec([column]).adapt({"a": first}, folder / "0")
    total, files = len(first), []
    for day, rows in enumerate(parts, 1):
        files.append(contents(folder / str(day - 1)))
        was = spec.vocabulary("a").values()
        spec = spec.extend({"a": rows}, folder / str(day))
        vocabulary = spec.vocabulary("a")
        vocabulary.verify()
        values = vocabulary.values()
        assert values[: len(was)] == was and len(set(values)) == len(values)
        seen, total = Counter(rows), total + len(rows)
        assert vocabulary.counts().sum() == total
        assert max_size is None or len(values) <= max_size
        added = values[len(was) :]
        assert all(seen[value] >= min_count for value in added)
        assert added == sorted(added, key=lambda value: (-seen[value], value))
        if max_size is None:
            left = {v for v in seen if seen[v] >= min_count}
            assert left <= set(values)
    for day, before in enumerate(files):
        assert contents(folder / str(day)) == before


@given(rows=st.lists(st.integers(-5, 5), min_size=1), seed=st.randoms())
def test_the_order_of_rows_does_not_count(tmp_path_factory, rows, seed):
    folder = tmp_path_factory.mktemp("order")
    spec = FeatureSpec([Categorical("a", side="user", dtype="int64", padding=99)])
    spec = spec.adapt({"a": [0, 7]}, folder / "0")
    shuffled = seed.sample(rows, len(rows))
    one = spec.extend({"a": rows}, folder / "1")
    two = spec.extend({"a": shuffled}, folder / "2")
    assert one == two and contents(folder / "1") == contents(folder / "2")


def test_columns_of_one_table_are_counted_together(tmp_path):
    columns = [
        Categorical("seen", side="user", table="film", min_count=2),
        Categorical("film", side="item", table="film", min_count=2),
    ]
    spec = FeatureSpec(columns).adapt(
        {"seen": ["a", "a"], "film": ["a", "b"]}, tmp_path
    )
    rows = {"seen": ["c", "d"], "film": ["c", "b"]}
    new = spec.extend(rows, tmp_path / "2")
    # "b" was seen once on each day: a vocabulary keeps no count of what it lacks.
    assert counts_of(new, "film") == ({"a": 3, "c": 2}, 3)


def test_a_streamed_file(days, tmp_path):
    one, two = days
    old = SPEC.adapt(one, tmp_path / "1")
    two.to_parquet(tmp_path / "two.parquet", row_group_size=30)
    two.to_csv(tmp_path / "two.csv", index=False)
    made = [
        contents(tmp_path / name)
        for name, rows in (
            ("frame", two),
            ("parquet", tmp_path / "two.parquet"),
            ("csv", tmp_path / "two.csv"),
        )
        if old.extend(rows, tmp_path / name)
    ]
    assert made[0] == made[1] == made[2]


def test_a_given_vocabulary_is_only_counted(tmp_path):
    (tmp_path / "given.txt").write_text("x\ny\n")
    column = Categorical("a", side="user", vocabulary=str(tmp_path / "given.txt"))
    old = FeatureSpec([column]).adapt({"a": ["x", "z"]}, tmp_path / "1")
    new = old.extend({"a": ["y", "z", "w"]}, tmp_path / "2")
    assert new == old and counts_of(new, "a") == ({"x": 1, "y": 1}, 3)


def test_numbers_and_hashes_alone(tmp_path):
    spec = FeatureSpec(
        [
            Numeric("n", side="user", scaling="standard"),
            Categorical("h", side="user", hash_buckets=5),
        ]
    ).adapt({"n": [1.0, 2.0], "h": ["a", "b"]}, tmp_path)
    assert spec.extend({"n": [50.0], "h": ["c"]}, tmp_path / "2") == spec


def test_not_adapted(tmp_path):
    with raises('table "user" has no vocabulary yet'):
        SPEC.extend(pd.DataFrame(), tmp_path)


def test_no_rows_and_bad_rows(days, tmp_path):
    one, two = days
    old = SPEC.adapt(one, tmp_path / "1")
    with raises("FeatureSpec: `rows` must not be empty. Received: 0 rows."):
        old.extend(two[:0], tmp_path / "2")
    with raises('column "movie" must be one of the row\'s features'):
        old.extend(two.drop(columns="movie"), tmp_path / "2")
    with raises('table "movie" has a value with a line break'):
        old.extend(two.assign(movie="a\nb"), tmp_path / "2")
    assert not (tmp_path / "2").exists()


def test_a_directory_of_its_own(days, tmp_path):
    one, two = days
    old = SPEC.adapt(one, tmp_path / "1")
    before = contents(tmp_path / "1")
    with raises(
        'FeatureSpec.extend: `directory` must be one of its own: "user.txt" is there. '
        "Received: directory="
    ):
        old.extend(two, tmp_path / "1")
    assert contents(tmp_path / "1") == before


def test_changed_files(days, tmp_path):
    one, two = days
    old = SPEC.adapt(one, tmp_path / "1")
    file = tmp_path / "1" / "movie.txt"
    text = file.read_text()
    file.write_text(text + "other\n")
    with raises('the file of table "movie" has changed'):
        old.extend(two, tmp_path / "2")
    file.write_text(text)
    file.with_suffix(".counts").unlink()
    with raises('table "movie" has no counts', FileNotFoundError):
        old.extend(two, tmp_path / "2")
    assert not (tmp_path / "2").exists()
