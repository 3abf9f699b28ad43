import sys

import numpy as np
import pytest

from tfrec.index import neighbours


def test_merge_keeps_the_order_of_equal_scores():
    random = np.random.default_rng(0)
    scores = random.integers(0, 4, (50, 40)).astype("float32")
    places = np.tile(np.arange(40), (50, 1))
    best, at = neighbours.merge(scores, places, 5)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(at, order)
    np.testing.assert_array_equal(best, np.take_along_axis(scores, order, 1))


def test_faiss_leaves_hidden_places_out(tmp_path):
    pytest.importorskip("faiss")
    random = np.random.default_rng(1)
    rows = random.normal(size=(400, 6)).astype("float32")
    asked = random.normal(size=(5, 6)).astype("float32")
    index = neighbours.write(tmp_path, rows, 6)
    first = (tmp_path / "index.faiss").read_bytes()
    hidden = np.arange(0, 400, 3)
    wanted, _ = neighbours.exact(rows, asked, 8, hidden)
    found, scores = neighbours.near(index, asked, 8, hidden, 6)
    np.testing.assert_array_equal(found, wanted)
    again, _ = neighbours.near(neighbours.read(tmp_path), asked, 8, hidden, 6)
    np.testing.assert_array_equal(again, wanted)
    none, scores = neighbours.near(index, asked, 2, np.arange(400), 6)
    assert (none == -1).all() and (scores == -np.inf).all()
    neighbours.write(tmp_path, rows, 6)
    assert (tmp_path / "index.faiss").read_bytes() == first


def test_without_faiss_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install tfrec\[faiss\]"):
        neighbours.faiss()
