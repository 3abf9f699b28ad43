import numpy as np
import pytest

from tfrec.evaluation.catalogue import Catalogue
from tfrec.evaluation.exclusions import Exclusions, positions


@pytest.mark.parametrize("with_mask", [False, True])
def test_cells_equal_a_dense_mask(with_mask):
    rng = np.random.default_rng(0)
    ids = rng.permutation(1000)[:40]
    seen = [rng.choice(np.append(ids, [5000, 6000]), n) for n in range(12)]
    kept = np.flatnonzero(rng.random(40) < 0.6) if with_mask else None
    banned = Exclusions("top_k", seen, 12, Catalogue("top_k", 40, ids), kept)
    dense = np.array([np.isin(ids, row) for row in seen])
    dense = dense if kept is None else dense[:, kept]
    assert banned.counts.tolist() == dense.sum(axis=1).tolist()
    for rows in [np.arange(12), np.array([7, 3]), np.array([], int)]:
        for start, stop in [(0, dense.shape[1]), (3, 11), (0, 1)]:
            block = np.zeros((len(rows), stop - start), bool)
            block[banned.cells(rows, start, stop)] = True
            np.testing.assert_array_equal(block, dense[rows, start:stop])
    places = rng.integers(0, dense.shape[1], 12)
    assert banned.has(places).tolist() == dense[np.arange(12), places].tolist()


def test_nothing_excluded():
    for exclude in (None, [[], None]):
        banned = Exclusions("top_k", exclude, 2, Catalogue("top_k", 3))
        assert banned.counts.tolist() == [0, 0]
        assert len(banned.cells(np.arange(2), 0, 3)[0]) == 0
        assert not banned.has(np.array([0, 1])).any()


def test_positions():
    assert positions(np.array([1, 4]), 5).tolist() == [-1, 0, -1, -1, 1, -1]
    assert positions(np.array([], int), 2).tolist() == [-1, -1, -1]
