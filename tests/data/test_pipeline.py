import itertools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.data import from_csv, from_pandas, from_parquet
from tfrec.data.pipeline import ahead, pooled
from tfrec.features import FeatureSpec, Numeric

SPEC = FeatureSpec([Numeric("x", side="user")], labels=["y"])


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


def rows_of(dataset):
    return [int(label) for _, y in dataset for label in y.numpy()]


def frame(rows):
    return pd.DataFrame({"x": np.arange(rows), "y": np.arange(rows)})


@pytest.fixture(params=["pandas", "parquet", "files", "csv", "cache"])
def reader(request, tmp_path):
    """Makes data sets of 100 rows, numbered by their labels."""
    rows, kind = frame(100), request.param
    if kind == "pandas":
        return lambda **options: from_pandas(rows, SPEC, **options)
    if kind == "csv":
        rows.to_csv(tmp_path / "a.csv", index=False)
        return lambda **options: from_csv(tmp_path / "a.csv", SPEC, **options)
    for name, part in (("a", rows[:40]), ("b", rows[40:])):
        part = rows if kind == "parquet" else part
        part.to_parquet(tmp_path / f"{name}.parquet", row_group_size=17)
    path = tmp_path / "a.parquet" if kind == "parquet" else tmp_path
    cache = {"cache": tmp_path / "ids"} if kind == "cache" else {}
    return lambda **options: from_parquet(path, SPEC, **cache, **options)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3, 7])
@pytest.mark.parametrize("shuffle", [False, True])
def test_shards_are_disjoint_and_complete(reader, count, shuffle):
    parts = [
        rows_of(reader(shard=(index, count), shuffle=shuffle, batch_size=8))
        for index in range(count)
    ]
    assert sorted([*itertools.chain(*parts)]) == list(range(100))
    assert {len(part) for part in parts} <= {100 // count, -(-100 // count)}
    if not shuffle:
        assert [*itertools.chain(*parts)] == list(range(100))


def test_a_shard_knows_its_length(reader):
    dataset = reader(shard=(1, 3), batch_size=8)
    assert int(dataset.cardinality()) == 5 == len(list(dataset))
    policy = dataset.options().experimental_distribute.auto_shard_policy
    assert policy.name == "OFF"


def test_repeat(reader):
    dataset = reader(repeat=3, shuffle=True, batch_size=30)
    sizes = [len(y) for _, y in dataset]
    assert sizes == [30, 30, 30, 10] * 3 and int(dataset.cardinality()) == 12
    passes = np.reshape(rows_of(reader(repeat=3, shuffle=True, batch_size=30)), (3, -1))
    assert (np.sort(passes) == np.arange(100)).all()
    assert (passes[0] != passes[1]).any() and (passes[1] != passes[2]).any()
    endless = reader(repeat=None, batch_size=100)
    assert int(endless.cardinality()) == -1
    assert len(list(endless.take(7))) == 7


def test_the_order_is_that_of_the_seed_and_the_pass(reader):
    """What `seed` documents: a new object starts again, an old one goes on."""
    options = {"shuffle": True, "seed": 4, "batch_size": 10}
    first = reader(**options)
    orders = [rows_of(first), rows_of(first)]
    again = reader(**options)
    assert [rows_of(again), rows_of(again)] == orders
    assert rows_of(reader(**options, repeat=2)) == [*itertools.chain(*orders)]


def test_a_pass_begins_where_its_position_says(reader):
    options = {"shuffle": True, "batch_size": 10}
    first = reader(**options)
    orders = [rows_of(first) for _ in range(3)]
    data = reader(**options)
    data.position.epoch, data.position.skip = 1, 7
    assert int(data.cardinality()) == 10
    assert rows_of(data) == orders[1][70:] == rows_of(data)
    data.position.epoch, data.position.skip = None, 0
    assert data.position.passes == 2
    assert rows_of(data) == orders[2]
    assert not hasattr(reader(repeat=2), "position")


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(0, 9), max_size=12),
    batch_size=st.integers(1, 7),
    pool_rows=st.integers(1, 20),
    shuffle=st.booleans(),
)
def test_pools_lose_nothing(sizes, batch_size, pool_rows, shuffle):
    ends = np.cumsum([0, *sizes])
    rows = [np.arange(a, b)[:, None] for a, b in itertools.pairwise(ends)]
    blocks = iter([(part, -part.astype(float)) for part in rows])
    random = np.random.default_rng(0) if shuffle else None
    options = {"batch_size": batch_size, "pool_rows": pool_rows, "random": random}
    batches = list(pooled(blocks, **options))
    assert all((ids == -floats).all() for ids, floats in batches)
    assert all(len(ids) == batch_size for ids, _ in batches[:-1])
    found = [int(row[0]) for ids, _ in batches for row in ids]
    assert (sorted(found) if shuffle else found) == list(range(ends[-1]))


def test_ahead_stops_when_its_consumer_does():
    closed = []

    def items():
        try:
            yield from range(1, 100)
        finally:
            closed.append(True)

    source = items()
    made = ahead(source)
    assert [next(made), next(made)] == [1, 2]
    made.close()
    assert next(source) == 4  # one was made ahead, no more
    source.close()
    assert closed

    def broken():
        yield 1
        raise ValueError("bad row")

    made = ahead(broken())
    assert next(made) == 1
    with raises("bad row"):
        next(made)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"repeat": 0}, "`repeat` must be an int >= 1."),
        ({"repeat": True}, "`repeat` must be an int >= 1."),
        ({"shard": 1}, "`shard` must be (index, count) with 0 <= index < count."),
        ({"shard": (2, 2)}, "Received: shard=(2, 2) (tuple)."),
        ({"shard": (-1, 2)}, "must be (index, count) with 0 <= index < count."),
        ({"shard": (0.0, 2)}, "must be (index, count) with 0 <= index < count."),
        ({"shard": (0, 101)}, "must have at most as many parts as there are rows, 100"),
        (
            {"shard": (0, 3), "batch_size": 34, "drop_remainder": True},
            "`batch_size` must be at most 33, the number of rows, with `drop_remain",
        ),
    ],
)
def test_errors(reader, options, text):
    with raises(text):
        reader(**options)
