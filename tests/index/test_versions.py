import json
import sys

import numpy as np
import pandas as pd
import pytest

from tfrec import export, index
from tfrec.index import folder, items


def contents(root):
    """The files of the current version, as bytes."""
    version = folder.current(root)
    return {p.name: p.read_bytes() for p in version.iterdir()}


def changed(catalogue):
    """Another price, another tag, two rows gone, two new, all in another order."""
    frame = catalogue.copy()
    frame.loc[5, "price"] = 99.0
    frame.at[9, "tags"] = ["zzz", "a"]
    new = catalogue.iloc[:2].assign(item=["new one", "new two"])
    frame = frame.drop(index=[100, 200])
    frame = frame.sample(frac=1, random_state=0)
    return pd.concat([frame, new], ignore_index=True)


def test_vectors_are_those_of_the_tower(towers, tmp_path):
    told = index.build(tmp_path, towers.saved_models, towers.catalogue)
    assert told["embedded"] == told["items"] == 700
    version = folder.current(tmp_path)
    stored = np.load(version / "vectors.npy")
    wanted = export.vectors(towers.model, towers.spec, towers.catalogue)
    np.testing.assert_allclose(stored, wanted.vectors, atol=1e-6)
    assert items.read(version)["item_id"].to_pylist() == list(towers.catalogue["item"])
    assert told["pair_id"] == wanted.pair_id


@pytest.mark.parametrize("cells", [0, 8])
def test_a_refresh_embeds_what_changed_and_equals_a_build(
    towers, tmp_path, cells, monkeypatch
):
    if cells:
        pytest.importorskip("faiss")
    monkeypatch.setattr("tfrec.index.tower.BLOCK", 256)
    first, second = tmp_path / "first", tmp_path / "second"
    more = {"probes": 8, "min_recall": 0.0}
    index.build(first, towers.saved_models, towers.catalogue, cells=cells, **more)
    new = changed(towers.catalogue)
    file = tmp_path / "catalogue.parquet"
    new.to_parquet(file, row_group_size=100)
    told = index.refresh(first, towers.saved_models, file, min_recall=0.0)
    assert told["embedded"] == 4
    index.build(second, towers.saved_models, new, cells=cells, **more)
    assert contents(first) == contents(second)
    assert ("index.faiss" in contents(first)) is bool(cells)
    assert (
        index.refresh(first, towers.saved_models, file, min_recall=0)["embedded"] == 0
    )


def test_other_towers_are_refused(towers, other_towers, tmp_path):
    index.build(tmp_path, towers.saved_models, towers.catalogue)
    before = folder.current(tmp_path)
    with pytest.raises(ValueError, match="pair of towers.*Build the index anew"):
        index.refresh(tmp_path, other_towers.saved_models, towers.catalogue)
    assert folder.current(tmp_path) == before


def test_low_recall_is_not_shown(towers, tmp_path):
    pytest.importorskip("faiss")
    build = {"cells": 64, "probes": 1, "min_recall": 1.0}
    with pytest.raises(ValueError, match="`min_recall` must be reached: 1.0"):
        index.build(tmp_path, towers.saved_models, towers.catalogue, **build)
    with pytest.raises(ValueError, match="`path` must be a folder that"):
        folder.current(tmp_path)
    index.build(tmp_path, towers.saved_models, towers.catalogue)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="The current version stays"):
        index.build(tmp_path, towers.saved_models, towers.catalogue, **build)
    assert contents(tmp_path) == before
    told = index.build(
        tmp_path, towers.saved_models, towers.catalogue, cells=64, probes=64
    )
    assert told["recall"] == 1.0
    assert json.loads(contents(tmp_path)["index.json"])["recall"] == 1.0


def test_a_server_that_does_not_answer(towers, tmp_path):
    with pytest.raises(ValueError, match="`address` must be a server that answers"):
        index.build(
            tmp_path / "no",
            towers.saved_models,
            towers.catalogue,
            address="127.0.0.1:1",
        )
    assert not (tmp_path / "no" / "index.json").exists()


@pytest.mark.slow
def test_a_server_gives_the_same_vectors(towers, other_towers, tmp_path):
    from tfrec import serving

    with serving.local_server(towers.saved_models) as server:
        served = tmp_path / "served"
        index.build(
            served, towers.saved_models, towers.catalogue, address=server.address
        )
        with pytest.raises(ValueError, match="`address` must serve the towers"):
            index.build(
                tmp_path / "no",
                other_towers.saved_models,
                towers.catalogue,
                address=server.address,
            )
    index.build(tmp_path / "local", towers.saved_models, towers.catalogue)
    one, other = (
        np.load(folder.current(tmp_path / name) / "vectors.npy")
        for name in ("served", "local")
    )
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_errors(towers, tmp_path, monkeypatch):
    def build(catalogue=towers.catalogue, **more):
        return index.build(tmp_path, towers.saved_models, catalogue, **more)

    twice = towers.catalogue.iloc[[0, 1, 0]]
    with pytest.raises(ValueError, match="must name each item.*'ü0'"):
        build(twice)
    with pytest.raises(ValueError, match="none in row 1"):
        build(towers.catalogue.iloc[:2].assign(item=["a", None]))
    with pytest.raises(ValueError, match="`catalogue` must hold an item"):
        build(towers.catalogue.iloc[:0])
    with pytest.raises(ValueError, match="`min_recall` must be a number in"):
        build(min_recall=2)
    with pytest.raises(ValueError, match="`saved_models` must be a folder with item"):
        index.build(tmp_path, tmp_path / "nothing", towers.catalogue)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install tfrec\[faiss\]"):
        build(cells=4)
    assert not list((tmp_path / "versions").iterdir())
