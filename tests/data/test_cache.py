import os

import numpy as np
import pandas as pd
import pytest

from tfrec.data import cache, from_csv, from_parquet, stream
from tfrec.features import Categorical, FeatureSpec, Numeric

COLUMNS = [Categorical("c", side="user", dtype="int64"), Numeric("x", side="user")]


@pytest.fixture
def rows():
    numbers = np.arange(1000)
    return pd.DataFrame({"c": numbers % 7, "x": -numbers, "y": numbers})


@pytest.fixture
def spec(rows, tmp_path):
    return FeatureSpec(COLUMNS, labels=["y"]).adapt(rows, tmp_path / "vocabularies")


@pytest.fixture
def path(rows, tmp_path):
    (tmp_path / "rows").mkdir()
    rows[:400].to_parquet(tmp_path / "rows" / "a.parquet")
    rows[400:].to_parquet(tmp_path / "rows" / "b.parquet")
    return tmp_path / "rows"


@pytest.fixture
def encoded(monkeypatch):
    """How often a block was encoded."""
    calls = []
    original = stream.Pipeline.encode

    def encode(self, block, owner):
        calls.append(owner)
        return original(self, block, owner)

    monkeypatch.setattr(stream.Pipeline, "encode", encode)
    return calls


def flat(dataset):
    return [
        (
            columns["c"].numpy().tolist(),
            columns["x"].numpy().tolist(),
            y.numpy().tolist(),
        )
        for columns, y in dataset
    ]


def labels(dataset):
    return [int(label) for _, y in dataset for label in y.numpy()]


def test_written_once_and_read_afterwards(spec, path, tmp_path, encoded):
    wanted = flat(from_parquet(path, spec, batch_size=64))
    encoded.clear()
    options = {"batch_size": 64, "cache": tmp_path / "deep" / "ids"}
    assert flat(from_parquet(path, spec, **options)) == wanted
    assert encoded
    encoded.clear()
    assert flat(from_parquet(path, spec, **options)) == wanted
    part = flat(from_parquet(path, spec, **options, shard=(1, 2)))
    assert [y for _, _, batch in part for y in batch] == list(range(500, 1000))
    assert not encoded
    (folder,) = (tmp_path / "deep" / "ids").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == ["floats.npy", "ids.npy"]
    ids = np.load(folder / "ids.npy", mmap_mode="r")
    assert ids.dtype == np.int32 and ids.shape == (1000, 1)


@pytest.mark.slow
def test_a_stale_cache_is_written_anew(rows, spec, path, tmp_path, encoded):
    options = {"cache": tmp_path / "ids"}
    from_parquet(path, spec, **options)

    def is_new(spec, **more):
        encoded.clear()
        dataset = from_parquet(path, spec, **options, **more)
        was_written = bool(encoded)
        wanted = from_parquet(path, spec, **more)
        assert [y.numpy().tolist() for _, y, *_ in dataset] == [
            y.numpy().tolist() for _, y, *_ in wanted
        ]
        return was_written

    assert not is_new(spec)
    os.utime(path / "a.parquet", (1, 1))
    assert is_new(spec) and not is_new(spec)
    rows[:399].to_parquet(path / "a.parquet")
    assert is_new(spec) and not is_new(spec)
    (path / "b.parquet").rename(path / "c.parquet")
    assert is_new(spec) and not is_new(spec)
    fewer = FeatureSpec(COLUMNS, labels=["y"]).adapt(rows[:3], tmp_path / "other")
    assert is_new(fewer) and not is_new(fewer)
    assert is_new(fewer, missing_labels=True)
    moved = FeatureSpec(COLUMNS, labels=["y"]).adapt(rows[:3], tmp_path / "moved")
    assert not is_new(moved)  # where a vocabulary stands does not count
    # Other files, vocabularies and labels stand beside others; stale ones are gone.
    assert len(list((tmp_path / "ids").iterdir())) == 4


def labels_of_columns(dataset):
    return [x for columns in dataset for x in columns["x"].numpy().tolist()]


def test_caches_of_other_columns_share_a_folder(spec, path, tmp_path, encoded):
    options = {"cache": tmp_path / "ids"}
    for _ in range(2):
        assert labels(from_parquet(path, spec, **options)) == list(range(1000))
        found = labels_of_columns(from_parquet(path, spec, columns=["x"], **options))
        assert found == [-number for number in range(1000)]
    assert len(encoded) == 8  # a check and a block, of two files, of two caches


def test_nothing_half_written_stays(rows, spec, tmp_path):
    path = tmp_path / "a.csv"
    frame = pd.concat([rows] * 10).astype({"x": float})
    frame.iloc[-1, 1] = np.inf
    frame.to_csv(path, index=False)
    for _ in range(2):
        with pytest.raises(ValueError, match='column "x" must hold finite'):
            from_csv(path, spec, cache=tmp_path / "ids")
        assert list((tmp_path / "ids").iterdir()) == []


def test_shuffling_reaches_all_rows(spec, path, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "ROW_BLOCK", 10)
    options = {"cache": tmp_path / "ids", "shuffle": True, "batch_size": 50}
    dataset = from_parquet(path, spec, buffer_rows=100, **options)
    orders = [labels(dataset) for _ in range(3)]
    for order in orders:
        assert sorted(order) == list(range(1000))
        batches = np.reshape(order, (20, 50))
        assert (np.ptp(batches, axis=1) > 400).all()  # each is from all of the files
    assert orders[0] != orders[1] != orders[2]
    again = from_parquet(path, spec, buffer_rows=100, **options)
    assert [labels(again) for _ in range(3)] == orders


def test_errors(spec, path):
    with pytest.raises(ValueError, match="`cache` must be a non-empty string"):
        from_parquet(path, spec, cache="")
    with pytest.raises(TypeError, match="`cache` must be a path"):
        from_parquet(path, spec, cache=True)


def test_specs_share_a_folder(rows, path, tmp_path, encoded):
    """What ids do not depend on does not count; other vocabularies stand beside."""
    wide, narrow, rare = (
        FeatureSpec(
            [Categorical("c", side="user", dtype="int64", **options)], labels=["y"]
        ).adapt(rows, tmp_path / f"spec{number}")
        for number, options in enumerate(
            ({"embedding_dim": 32}, {"embedding_dim": 8}, {"min_count": 143})
        )
    )
    options = {"cache": tmp_path / "ids"}
    first = from_parquet(path, wide, **options)
    encoded.clear()
    from_parquet(path, narrow, **options)
    assert not encoded
    second = from_parquet(path, rare, **options)
    assert encoded
    assert labels(first) == labels(second) == list(range(1000))
    assert len(list((tmp_path / "ids").iterdir())) == 2


def test_a_cache_that_is_a_file(spec, path):
    with pytest.raises(ValueError, match="`cache` must be a folder, or be there not"):
        from_parquet(path, spec, cache=path / "a.parquet")
