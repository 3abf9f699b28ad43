import numpy as np
import pytest

from tfrec.evaluation.retrieval import Retrieval
from tfrec.evaluation.search import finish, search, search_float32, search_float64


@pytest.mark.parametrize("open_chunk", [search_float32, search_float64])
def test_a_chunk_gives_enough_items_that_are_allowed(open_chunk):
    rng = np.random.default_rng(0)
    users = rng.normal(size=(3, 2, 4)).astype("float32")
    items = rng.normal(size=(30, 4)).astype("float32")
    cells = np.repeat([0, 2], [20, 3]), np.append(np.arange(20), [4, 5, 6])
    scores, places = open_chunk(items)(users, cells, 5)
    want = np.einsum("ukd,nd->ukn", users, items).max(axis=1)
    want[cells] = -np.inf
    for row in range(3):
        found = scores[row] > -np.inf
        best = places[row][found][np.argsort(-scores[row][found])][:5]
        assert best.tolist() == np.argsort(-want[row])[:5].tolist()


def test_finish_knows_when_more_must_be_fetched():
    items = np.repeat([[2.0, 0.1], [1.0, 0.3]], [3, 20], axis=0)
    task = Retrieval("top_k", [[1.0, 1.0], [0.0, 0.0]], items)
    rows = np.arange(2)
    for width, sure in [(3, [True, True]), (4, [False, True]), (23, [True, True])]:
        depth = min(width + 2, 23)
        fetched = search(task, rows, depth, search_float32)
        scores = np.full((2, width), -np.inf, "float32")
        places = np.full((2, width), -1)
        assert finish(task, rows, fetched, scores, places).tolist() == sure
        assert places[1].tolist() == list(range(width))
