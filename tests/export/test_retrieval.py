import numpy as np
import pytest
import tensorflow as tf

from tfrec.export import retrieval
from tfrec.export.retrieval import Retrieval, order_by_cell


def made(items=500, dim=6, users=7, interests=3, seed=0):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(items, dim)).astype("float32")
    popularity = random.random(items).astype("float32")
    queries = random.normal(size=(users, interests, dim)).astype("float32")
    return vectors, popularity, queries


def search(graph, queries, width, exclude=None, allow=None, known=None, probes=None):
    users = len(queries)
    none = np.zeros((users, 0), np.int64)
    allow = none if allow is None else allow
    found = tf.function(graph)(
        tf.constant(queries),
        tf.constant(np.ones(users, bool) if known is None else known),
        tf.constant(none if exclude is None else exclude),
        tf.constant(allow),
        tf.constant((allow >= 0).any(axis=1)),
        tf.constant(width),
        None if probes is None else tf.constant(probes),
    )
    return [value.numpy() for value in found]


def best(vectors, queries, width):
    scores = np.einsum("ukd,nd->ukn", queries, vectors, dtype="float64").max(axis=1)
    places = np.argsort(-scores, axis=1)[:, :width]
    return np.take_along_axis(scores, places, axis=1), places


def test_equals_a_sort_of_all_scores():
    vectors, popularity, queries = made()
    scores, places = search(Retrieval(vectors, popularity), queries, 20)
    wanted, order = best(vectors, queries, 20)
    np.testing.assert_array_equal(places, order)
    np.testing.assert_allclose(scores, wanted, atol=1e-5)
    assert all(len(set(row)) == 20 for row in places), "interests repeat no item"


def test_blocks_change_nothing(monkeypatch):
    vectors, popularity, queries = made()
    whole = search(Retrieval(vectors, popularity), queries, 9)
    monkeypatch.setattr(retrieval, "BLOCK", 500 * 3 * 2)
    parts = search(Retrieval(vectors, popularity), queries, 9)
    np.testing.assert_array_equal(whole[1], parts[1])
    np.testing.assert_allclose(whole[0], parts[0], atol=1e-6)


def test_nobody_gets_the_popular():
    vectors, popularity, queries = made()
    known = np.arange(7) % 2 == 0
    scores, places = search(Retrieval(vectors, popularity), queries, 5, known=known)
    order = np.argsort(-popularity, kind="stable")[:5]
    for row in range(7):
        assert (places[row].tolist() == order.tolist()) is (not known[row])
    np.testing.assert_allclose(scores[1], popularity[order])


def test_all_probes_are_exact_and_one_is_right_about_what_it_finds():
    vectors, popularity, queries = made()
    order, centres, starts = order_by_cell(vectors, 20)
    assert starts[0] == 0 and starts[-1] == 500 and (np.diff(starts) >= 0).all()
    assert sorted(order) == list(range(500))
    vectors = vectors[order]
    graph = Retrieval(vectors, popularity, centres, starts)
    wanted, places = best(vectors, queries, 10)
    scores, found = search(graph, queries, 10, probes=20)
    np.testing.assert_array_equal(found, places)
    np.testing.assert_allclose(scores, wanted, atol=1e-5)
    recalls = []
    for probes in (1, 4, 12):
        scores, found = search(graph, queries, 10, probes=probes)
        own = np.einsum("ukd,und->ukn", queries, vectors[found]).max(axis=1)
        np.testing.assert_allclose(scores, own, atol=1e-5)
        assert (np.diff(scores, axis=1) <= 0).all()
        hits = [len(set(a) & set(b)) for a, b in zip(found, places, strict=True)]
        recalls.append(np.mean(hits) / 10)
    assert recalls[0] < recalls[2] and recalls[2] > 0.9


@pytest.mark.parametrize("cells", [0, 12])
def test_exclusions_and_allowed_items(cells):
    vectors, popularity, queries = made()
    index = ()
    if cells:
        order, *index = order_by_cell(vectors, cells)
        vectors = vectors[order]
    graph = Retrieval(vectors, popularity, *index)
    probes = 2 if cells else None
    _, places = best(vectors, queries, 40)
    exclude = places.astype(np.int64)
    exclude[:, 30:] = -1
    scores, found = search(graph, queries, 10, exclude=exclude, probes=probes)
    for row in range(7):
        assert not set(found[row]) & set(exclude[row])
    assert np.isfinite(scores).all()
    allow = np.tile(np.array([[5, 400, 17, -1]]), (7, 1))
    scores, found = search(graph, queries, 4, allow=allow, probes=probes)
    for row in range(7):
        assert set(found[row][:3]) == {5, 17, 400} and scores[row][3] == -np.inf
