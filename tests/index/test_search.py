import numpy as np
import pytest

from tfrec import index
from tfrec.index import neighbours
from tfrec.index.search import Index


@pytest.fixture(params=[0, 8], ids=["exact", "faiss"])
def built(request, towers, tmp_path):
    if request.param:
        pytest.importorskip("faiss")
    index.build(
        tmp_path, towers.saved_models, towers.catalogue, cells=request.param, probes=8
    )
    return tmp_path


def scores_of(root, queries):
    return queries @ neighbours.vectors(index_version(root)).T


def index_version(root):
    from tfrec.index import folder

    return folder.current(root)


def queries(count=6, dim=8):
    return np.random.default_rng(3).normal(size=(count, dim)).astype("float32")


def test_equals_a_sort(built, towers):
    found, scores = Index(built).search(queries(), 20)
    every = scores_of(built, queries())
    order = np.argsort(-every, axis=1, kind="stable")[:, :20]
    names = towers.catalogue["item"].to_numpy()
    np.testing.assert_allclose(scores, np.take_along_axis(every, order, 1), atol=1e-5)
    assert found.tolist() == names[order].tolist()


def test_interests_and_exclusions(built, towers):
    both = queries(8).reshape(4, 2, 8)
    every = scores_of(built, queries(8)).reshape(4, 2, -1).max(axis=1)
    names = towers.catalogue["item"].to_numpy()
    order = np.argsort(-every, axis=1)
    exclude = [names[row[:50]].tolist() for row in order]
    exclude[0] = [*exclude[0], "nobody knows this"]
    found, scores = Index(built).search(both, 5, exclude=exclude)
    assert found.tolist() == names[order[:, 50:55]].tolist()
    rest = [names[3:].tolist()] * 4
    few, scores = Index(built).search(both, 5, exclude=rest)
    assert [sorted(row) for row in few.tolist()] == [["", "", *sorted(names[:3])]] * 4
    assert (scores[:, 3:] == -np.inf).all()


def test_chunks_and_ties(monkeypatch):
    random = np.random.default_rng(0)
    rows = random.integers(-2, 3, (1000, 4)).astype("float32")
    asked = random.integers(-2, 3, (9, 4)).astype("float32")
    hidden = np.arange(0, 1000, 7)
    every = asked @ rows.T
    every[:, hidden] = -np.inf
    order = np.argsort(-every, axis=1, kind="stable")[:, :12]
    for chunk in (1000, 64, 7):
        monkeypatch.setattr(neighbours, "CHUNK", chunk)
        places, scores = neighbours.exact(rows, asked, 12, hidden)
        np.testing.assert_array_equal(places, order)


def test_a_new_pair_is_refused_while_open(towers, other_towers, tmp_path):
    index.build(tmp_path, towers.saved_models, towers.catalogue)
    reader = Index(tmp_path)
    bound = Index(tmp_path, pair_id=reader.pair_id)
    bound.search(queries(), 3)
    index.build(tmp_path, other_towers.saved_models, towers.catalogue)
    reader.search(queries(), 3)
    with pytest.raises(ValueError, match="`pair_id` must be of the towers"):
        bound.search(queries(), 3)


def test_errors(built):
    reader = Index(built)
    with pytest.raises(ValueError, match="`k` must be an int >= 1"):
        reader.search(queries(), 0)
    with pytest.raises(ValueError, match="`vectors` must have shape"):
        reader.search(np.zeros((2, 3)), 1)
    with pytest.raises(ValueError, match="`exclude` must hold a list for each"):
        reader.search(queries(), 1, exclude=[[]])
