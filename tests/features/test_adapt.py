import math
import re

import numpy as np
import pandas as pd
import pyarrow as pa
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
    adapt,
)


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


SPEC = FeatureSpec(
    [
        Categorical("user", side="user", dtype="int64", min_count=3),
        Categorical("movie", side="item", max_size=10),
        Sequence("history", of="movie"),
        MultiCategorical("genres", side="item", separator="|"),
        Numeric("rating", side="context", scaling="standard"),
        Numeric("price", side="item", scaling="min_max", fill=1.0),
        Numeric("time", side="context", scaling="log1p"),
        Bucketized("year", side="item", num_buckets=4),
        Categorical("city", side="user", hash_buckets=7),
    ],
    labels=["liked"],
)


def contents(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_what_is_learned(log, tmp_path):
    spec = SPEC.adapt(log, tmp_path)
    assert spec.names == SPEC.names and spec.labels == SPEC.labels
    spec.tables["movie"]
    users, movies = log["user"].value_counts(), log["movie"].value_counts()
    kept = sorted(users[users >= 3].index, key=lambda user: (-users[user], user))
    assert spec.vocabulary("user").values() == kept
    counts = spec.vocabulary("user").counts()
    assert counts[2:].tolist() == [users[user] for user in kept]
    assert counts[1] == users[users < 3].sum() > 0 and counts.sum() == len(log)
    kept = sorted(movies.index, key=lambda movie: (-movies[movie], movie))[:10]
    assert spec.vocabulary("movie").values() == kept
    assert spec.vocabulary("movie").counts().sum() == len(log)
    genres = log["genres"].str.split("|").explode().replace("", None).dropna()
    assert spec.vocabulary("genres").counts()[1:].tolist() == [
        *(0, *sorted(genres.value_counts(), reverse=True))
    ]
    assert spec["rating"].shift == pytest.approx(log["rating"].mean(), rel=1e-12)
    assert spec["rating"].scale == pytest.approx(log["rating"].std(ddof=0), rel=1e-12)
    price = log["price"].fillna(1).astype("float32")
    assert (spec["price"].shift, spec["price"].scale) == (
        price.min(),
        float(price.max()) - float(price.min()),
    )
    assert spec["time"] == SPEC["time"]
    years = log["year"].dropna().astype("float32")
    bounds = np.quantile(years, [0.25, 0.5, 0.75], method="higher")
    assert spec["year"].boundaries == tuple(np.unique(bounds).tolist())
    assert [vocabulary.table for vocabulary in spec.vocabularies] == [
        *("user", "movie", "genres")
    ]
    assert sorted(contents(tmp_path)) == [
        f"{table}.{ending}"
        for table in ("genres", "movie", "user")
        for ending in ("counts", "txt")
    ]


@pytest.fixture(params=["frame", "dict", "records", "arrow", "file", "list", "folder"])
def source(request, log, tmp_path):
    """The same rows from somewhere else."""
    folder = tmp_path / "source"
    folder.mkdir()
    log = log.astype({"movie": "category"})
    half = len(log) // 2
    if request.param == "frame":
        return log.sample(frac=1, random_state=1)  # the order does not count
    if request.param == "dict":
        return {name: log[name] for name in log}
    if request.param == "records":
        return log.astype(object).where(log.notna(), None).to_dict("records")
    if request.param == "arrow":
        return pa.concat_tables(
            [pa.Table.from_pandas(part) for part in (log[:half], log[half:])]
        )
    if request.param == "file":
        log.to_parquet(folder / "log.parquet", row_group_size=70)
        return folder / "log.parquet"
    log[:half].to_csv(folder / "a.csv", index=False)
    log[half:].to_parquet(folder / "b.parquet")
    if request.param == "list":
        return [folder / "b.parquet", str(folder / "a.csv")]
    return folder


def test_every_source_teaches_the_same(source, log, tmp_path, monkeypatch):
    wanted = SPEC.adapt(log, tmp_path / "one")
    monkeypatch.setattr(adapt, "blocks", small_blocks)
    found = SPEC.adapt(source, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    for one, other in zip(found, wanted, strict=True):
        if one.name == "rating":
            assert one.shift == pytest.approx(other.shift, rel=1e-12)
            assert one.scale == pytest.approx(other.scale, rel=1e-12)
        else:
            assert one == other
    assert found.vocabularies == wanted.vocabularies


def small_blocks(rows, spec, names, **options):
    return adapt_blocks(rows, spec, names, **options, block_rows=17)


adapt_blocks = adapt.blocks


def test_reads_once(log, tmp_path, monkeypatch):
    passes = []

    def counted(*arguments, **options):
        passes.append(1)
        return adapt_blocks(*arguments, **options)

    monkeypatch.setattr(adapt, "blocks", counted)
    SPEC.adapt(log, tmp_path)
    assert len(passes) == 1


def test_columns_of_one_table_count_together(tmp_path):
    spec = FeatureSpec(
        [
            Categorical("home", side="user", table="city", min_count=2),
            MultiCategorical("visited", side="user", table="city", min_count=2),
            Categorical("shop_city", side="item", table="city", min_count=2),
            Sequence("path", of="home"),
        ]
    )
    rows = {
        "home": ["a", "b", None],
        "visited": [["b", "c"], [], ["b"]],
        "shop_city": ["d", "c", ""],
    }
    found = spec.adapt(rows, tmp_path).vocabulary("city")
    assert found.values() == ["b", "c"]
    assert found.counts().tolist() == [0, 2, 3, 2]


def test_values_beyond_max_length_do_not_count(tmp_path):
    spec = FeatureSpec([MultiCategorical("tags", side="item", max_length=2)])
    found = spec.adapt({"tags": [["a", "b", "c"], ["c"]]}, tmp_path).vocabulary("tags")
    assert found.values() == ["c", "b"]


def test_padding_is_not_a_value(tmp_path):
    spec = FeatureSpec(
        [
            Categorical("a", side="user", dtype="int64", padding=0),
            Categorical("b", side="user", dtype="int64"),
        ]
    )
    spec = spec.adapt({"a": [0, 1, -1], "b": [0, 1, -1]}, tmp_path)
    assert spec.vocabulary("a").values() == [-1, 1]
    assert spec.vocabulary("b").values() == [0, 1]


FLOATS = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40).filter(
    lambda values: len(set(values)) > 1
)


@given(values=FLOATS, cuts=st.lists(st.integers(0, 40), max_size=4))
def test_statistics_do_not_depend_on_the_blocks(values, cuts):
    moments = adapt._Moments()
    for part in np.split(np.float32(values), sorted(cuts)):
        moments.update(pa.array(part))
    wanted = np.float64(np.float32(values))
    column = moments.learned(Numeric("x", side="user", scaling="standard"))
    assert column.shift == pytest.approx(wanted.mean(), rel=1e-9, abs=1e-9)
    assert column.scale == pytest.approx(wanted.std(), rel=1e-6)
    column = moments.learned(Numeric("x", side="user", scaling="min_max"))
    assert (column.shift, column.scale) == (wanted.min(), np.ptp(wanted))


def test_statistics_of_numbers_far_from_zero():
    """A sum of squares would have no digit left."""
    values = np.float32(1e6 + np.random.default_rng(0).normal(size=10_000))
    moments = adapt._Moments()
    for part in np.split(values, 100):
        moments.update(pa.array(part))
    column = moments.learned(Numeric("x", side="user", scaling="standard"))
    assert column.scale == pytest.approx(values.astype(np.float64).std(), rel=1e-9)


@pytest.mark.parametrize("scaling", ["standard", "min_max"])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1e-40])
def test_a_constant_column_is_only_shifted(scaling, value, tmp_path):
    spec = FeatureSpec([Numeric("x", side="user", scaling=scaling)])
    column = spec.adapt({"x": [value] * 1001}, tmp_path)["x"]
    assert column.scale == 1 and column.shift == float(np.float32(value))


def test_statistics_of_vectors(tmp_path):
    spec = FeatureSpec([Numeric("x", side="user", shape=(2,), scaling="min_max")])
    column = spec.adapt({"x": [[1, 2], [5, 3]]}, tmp_path)["x"]
    assert (column.shift, column.scale) == (1, 4)


def test_quantiles_of_more_than_the_sample(monkeypatch):
    monkeypatch.setattr(adapt, "SAMPLE", 1000)
    values = np.random.default_rng(0).permutation(np.arange(20_000, dtype=np.float32))
    found = []
    for blocks in (1, 50):
        quantiles = adapt._Quantiles()
        for part in np.split(values, blocks):
            quantiles.update(pa.array(part))
        assert len(quantiles.sample) == 1000 == len(set(quantiles.sample.tolist()))
        column = quantiles.learned(Bucketized("x", side="user", num_buckets=4))
        found.append(column.boundaries)
        assert np.allclose(column.boundaries, [5000, 10_000, 15_000], atol=1500)
    assert quantiles.seen == 20_000


def test_quantiles_of_few_values(tmp_path):
    spec = FeatureSpec([Bucketized("x", side="user", num_buckets=10)])
    rows = {"x": [1, 1, 1, 1, 2, None, math.nan]}
    assert spec.adapt(rows, tmp_path)["x"].boundaries == (1, 2)
    assert spec.adapt({"x": [3]}, tmp_path)["x"].boundaries == (3,)


def test_what_is_given_stays(log, tmp_path):
    spec = FeatureSpec(
        [
            Bucketized("year", side="item", boundaries=(1, 2)),
            Numeric("time", side="user"),
        ]
    )
    assert spec.adapt(log, tmp_path) == spec
    assert list(tmp_path.iterdir()) == []


def test_adapt_again_learns_anew(log, tmp_path):
    spec = SPEC.adapt(log[:150], tmp_path / "one")
    again = spec.adapt(log, tmp_path / "two")
    fresh = SPEC.adapt(log, tmp_path / "three")
    assert again.vocabularies == fresh.vocabularies != spec.vocabularies
    assert again["rating"] == fresh["rating"] != spec["rating"]
    assert again["year"] == spec["year"]  # boundaries that are there stay


def test_only_learning_columns_are_read(tmp_path):
    spec = FeatureSpec([Categorical("a", side="user"), Numeric("x", side="user")])
    assert spec.adapt({"a": ["v"]}, tmp_path).vocabulary("a").size == 1


def test_rows_that_start_empty(tmp_path, log):
    log[:0].to_parquet(tmp_path / "a.parquet")
    log.to_parquet(tmp_path / "b.parquet")
    one = SPEC.adapt(tmp_path, tmp_path / "one")
    assert one.vocabularies == SPEC.adapt(log, tmp_path / "two").vocabularies


LAST = FeatureSpec(
    [
        Categorical("a", side="user"),
        Categorical("b", side="user"),
        Bucketized("q", side="user"),
        Numeric("x", side="user", scaling="min_max"),
    ]
)
GOOD = {"a": ["v", "w"], "b": ["v", "v"], "q": [1.0, 2.0], "x": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"b": ["v", "x\ny"]}, 'table "b" has a value with a line break'),
        ({"b": [None, ""]}, 'column "b" must hold a value. Received: only nulls.'),
        (
            {"q": [None, math.nan]},
            'column "q" must hold a number. Received: only nulls',
        ),
        ({"x": [1.0, None]}, 'column "x" must not be missing. Received: NaN or null'),
        ({"b": [1, 2]}, 'column "b" must hold strings.'),
        ({"x": [3e38, -3e38]}, "must be a number that float32 can hold."),
        ({name: [] for name in GOOD}, "`rows` must not be empty. Received: 0 rows."),
        ({"a": None}, 'column "a" must be a list or array'),
    ],
)
def test_nothing_is_written_on_an_error(tmp_path, change, text):
    folder = tmp_path / "vocabularies"
    with raises(text):
        LAST.adapt({**GOOD, **change}, folder)
    assert not folder.exists()
    LAST.adapt(GOOD, folder)


def test_an_error_in_a_file_names_it(tmp_path):
    path = tmp_path / "log.parquet"
    pd.DataFrame({**GOOD, "x": [1.0, None]}).to_parquet(path, row_group_size=1)
    with raises(f'FeatureSpec ("{path}"') as error:
        LAST.adapt(path, tmp_path / "vocabularies")
    assert 'column "x" must not be missing.' in str(error.value)


def test_min_count_that_leaves_nothing(tmp_path):
    spec = FeatureSpec([Categorical("a", side="user", min_count=2)])
    text = 'column "a" must hold a value. Received: 2 values, none seen 2 times.'
    with raises(text):
        spec.adapt({"a": ["v", "w"]}, tmp_path / "vocabularies")
    assert not (tmp_path / "vocabularies").exists()


def test_an_empty_value_of_a_column_with_other_padding(tmp_path):
    spec = FeatureSpec([Categorical("a", side="user", padding="none")])
    with raises('table "a" has an empty value, which a vocabulary file cannot hold.'):
        spec.adapt({"a": ["v", "", "none"]}, tmp_path / "vocabularies")
    assert not (tmp_path / "vocabularies").exists()


@pytest.mark.parametrize("rows", ["none.parquet", ["none.csv"], "none/*.csv"])
def test_no_such_file(tmp_path, rows, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with raises("FeatureSpec: no Parquet or CSV file at 'none", FileNotFoundError):
        LAST.adapt(rows, tmp_path / "vocabularies")
    assert not (tmp_path / "vocabularies").exists()


def test_shipped_data(movietweetings, tmp_path):
    spec = FeatureSpec(
        [
            Categorical("user_id", side="user", dtype="int64"),
            Categorical("movie_id", side="item"),
        ]
    )
    spec = spec.adapt(movietweetings.ratings, tmp_path)
    for name in spec.names:
        counts = movietweetings.ratings[name].value_counts()
        found = spec.vocabulary(name)
        assert found.counts()[1] == 0 and found.size == len(counts)
        assert found.counts()[2:].tolist() == counts[found.values()].tolist()


def test_a_vocabulary_that_is_given(tmp_path):
    given = tmp_path / "cities.txt"
    given.write_text("z\na\nnever\n", encoding="utf-8")
    spec = FeatureSpec([Categorical("city", side="user", vocabulary=str(given))])
    adapted = spec.adapt({"city": ["a", "b", "a", "z", None]}, tmp_path / "new")
    vocabulary = adapted.vocabulary("city")
    assert vocabulary.values() == ["z", "a", "never"]
    assert vocabulary.counts().tolist() == [0, 1, 1, 2, 0]
    assert given.read_text(encoding="utf-8") == "z\na\nnever\n"
    given.write_text("z\nz\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has 'z' twice"):
        spec.adapt({"city": ["a"]}, tmp_path / "again")
    assert not (tmp_path / "again").exists()
