import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.evaluation import TopK, search, top_k, top_k_of_scores

CHUNKS = [(512, 32_768), (1, 23), (7, 13), (4, 1000)]


def brute_force(users, items, k, exclude=None, candidates=None, live=None):
    users, items = np.asarray(users, "float32"), np.asarray(items, "float32")
    users = users[:, None] if users.ndim == 2 else users
    scores = np.einsum("ukd,nd->ukn", users.astype("float64"), items.astype("float64"))
    if live is not None:
        scores[np.arange(users.shape[1]) >= np.asarray(live)[:, None]] = -np.inf
    scores = scores.max(axis=1).astype("float32")
    for row, ids in enumerate(exclude or []):
        if ids is not None and len(ids):
            scores[row, np.asarray(ids)] = -np.inf
    if candidates is not None:
        scores[:, ~candidates] = -np.inf
    scores = np.pad(scores, ((0, 0), (0, k)), constant_values=-np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, axis=1)
    return np.where(best > -np.inf, order, -1), best


def random_case(seed, users=9, items=90, dim=6, interests=1, values="normal"):
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(users, interests, dim)), rng.normal(size=(items, dim))
    if values == "integers":
        u, v = u.round(), v.round()
    elif values == "copies":
        v = v[rng.integers(0, 5, items)]
    elif values == "constant":
        v[:] = v[0]
    seen = [rng.integers(0, items, rng.integers(0, 2 * items)) for _ in range(users)]
    seen[0] = None
    return (u[:, 0] if interests == 1 else u), v, seen, rng.random(items) < 0.7


@pytest.mark.parametrize("values", ["normal", "integers", "copies", "constant"])
@pytest.mark.parametrize("interests", [1, 3])
def test_equals_brute_force_for_every_chunk_size(values, interests):
    users, items, seen, mask = random_case(1, interests=interests, values=values)
    for exclude, candidates in [(None, None), (seen, None), (seen, mask)]:
        want, scores = brute_force(users, items, 12, exclude, candidates)
        for user_chunk, item_chunk in CHUNKS:
            best = top_k(
                users,
                items,
                12,
                exclude=exclude,
                candidates=candidates,
                user_chunk=user_chunk,
                item_chunk=item_chunk,
            )
            np.testing.assert_array_equal(best.indices, want)
            np.testing.assert_array_equal(best.ids, want)
            np.testing.assert_array_equal(best.scores, scores)
            np.testing.assert_array_equal(best.counts, (want >= 0).sum(axis=1))


@settings(max_examples=30, deadline=None)
@given(
    data=st.data(),
    users=st.integers(0, 4),
    items=st.integers(1, 12),
    k=st.integers(1, 15),
    user_chunk=st.integers(1, 5),
    item_chunk=st.integers(1, 13),
)
def test_never_an_excluded_item(data, users, items, k, user_chunk, item_chunk):
    # Small integers: many ties, and scores that float32 holds exactly.
    numbers = st.integers(-2, 2)
    u = [[data.draw(numbers) for _ in range(2)] for _ in range(users)]
    v = [[data.draw(numbers) for _ in range(2)] for _ in range(items)]
    seen = [data.draw(st.lists(st.integers(0, items - 1))) for _ in range(users)]
    u, v = np.reshape(u, (users, 2)), np.reshape(v, (items, 2))
    best = top_k(u, v, k, exclude=seen, user_chunk=user_chunk, item_chunk=item_chunk)
    want, _ = brute_force(u, v, k, seen)
    np.testing.assert_array_equal(best.indices, want)
    for row in range(users):
        real = best.indices[row, : best.counts[row]]
        assert not set(real.tolist()) & set(seen[row])
        assert len(set(real.tolist())) == len(real)
        assert best.counts[row] == min(k, items - len(set(seen[row])))


def test_more_exclusions_than_k_of_the_best_items():
    items = np.arange(1000, 0, -1.0)[:, None]
    seen = [np.arange(320), np.arange(5), [], None]
    best = top_k(np.ones((4, 1)), items, 3, exclude=seen, item_chunk=100)
    assert best.indices.tolist() == [[320, 321, 322], [5, 6, 7], [0, 1, 2], [0, 1, 2]]


def test_places_left_over_are_marked():
    best = top_k([[1.0]], [[1.0], [2.0], [3.0]], 4, exclude=[[2]])
    assert best.indices.tolist() == [[1, 0, -1, -1]]
    assert best.ids.tolist() == [[1, 0, -1, -1]]
    assert best.scores.tolist() == [[2.0, 1.0, -np.inf, -np.inf]]
    assert best.counts.tolist() == [2]
    everything = top_k([[1.0]], [[1.0], [2.0]], 2, exclude=[[0, 1]])
    assert everything.counts.tolist() == [0]
    nothing = top_k([[1.0]], [[1.0], [2.0]], 2, candidates=np.zeros(2, bool))
    assert nothing.indices.tolist() == [[-1, -1]]


def test_equal_scores_stand_in_the_order_of_the_items():
    best = top_k(np.ones((3, 8)), np.full((500, 8), 0.1), 10, item_chunk=64)
    assert best.indices.tolist() == [list(range(10))] * 3
    cold = top_k(np.zeros((1, 8)), np.random.default_rng(0).normal(size=(50, 8)), 4)
    assert cold.indices.tolist() == [[0, 1, 2, 3]]


def test_float64_settles_what_float32_cannot(monkeypatch):
    opened = []
    slow = search.search_float64
    monkeypatch.setattr(
        "tfrec.evaluation.topk.search_float64",
        lambda vectors: opened.append(len(vectors)) or slow(vectors),
    )
    rng = np.random.default_rng(3)
    top_k(rng.normal(size=(50, 16)), rng.normal(size=(2000, 16)), 10)
    assert opened == []  # different scores: float32 is enough
    near = np.ones((2000, 16)) + rng.integers(-3, 4, (2000, 16)) * 2.0**-24
    want, _ = brute_force(np.ones((1, 16)), near, 10)
    assert top_k(np.ones((1, 16)), near, 10).indices.tolist() == want.tolist()
    assert opened == [2000]


def test_interests_that_are_not_alive_do_not_count():
    users, items, seen, _ = random_case(5, interests=4)
    live = np.random.default_rng(0).integers(1, 5, len(users))
    zeroed = np.where((np.arange(4) < live[:, None])[..., None], users, 0.0)
    best = top_k(zeroed, items, 7, exclude=seen, num_interests=live)
    want, _ = brute_force(users, items, 7, seen, live=live)
    np.testing.assert_array_equal(best.indices, want)


@pytest.mark.parametrize(
    ("ids", "missing"),
    [
        (["b", "ähnlich", "c c"], ""),
        ([2**63 - 1, -(2**63), 2**53 + 1], -1),
        ([b"x", b"yy", b"z"], b""),
    ],
)
def test_ids_come_back_exactly(ids, missing):
    best = top_k([[1.0]], [[1.0], [2.0], [3.0]], 3, item_ids=ids, exclude=[ids[1:2]])
    assert best.ids.tolist() == [[ids[2], ids[0], missing]]


def test_ids_of_every_container(movie=("m1", "m2", "m3")):
    pandas = pytest.importorskip("pandas")
    for ids in [list(movie), np.array(movie), np.array(movie, object)]:
        for wrap in [list, np.array, pandas.Series]:
            seen = [wrap(["m3", "gone"])]
            best = top_k([[1.0]], [[1.0], [2.0], [3.0]], 1, item_ids=ids, exclude=seen)
            assert best.ids.tolist() == [["m2"]]
    by_label = pandas.Series([["m3"], ["m1"]], index=[1, 0])
    best = top_k(np.ones((2, 1)), [[1], [2], [3]], 1, item_ids=movie, exclude=by_label)
    assert best.ids.tolist() == [["m2"], ["m3"]]


def test_inputs_are_left_as_they_are_and_the_answer_is_frozen():
    users, items = np.ones((2, 3), "float32"), np.eye(3, dtype="float32")
    best = top_k(users, items, 1, exclude=[[0], [1]])
    assert (users == 1).all() and (items == np.eye(3)).all()
    assert isinstance(best, TopK) and best.scores.dtype == np.float32
    with pytest.raises(dataclasses.FrozenInstanceError):
        best.counts = None


def test_no_users():
    best = top_k(np.zeros((0, 3)), np.eye(3), 2, exclude=[])
    assert best.indices.shape == (0, 2) and best.counts.shape == (0,)


def test_scores_of_a_matrix():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 20, (30, 40)).astype("float64")
    seen = [rng.integers(0, 40, n) for n in range(30)]
    best = top_k_of_scores(scores, 9, exclude=seen)
    want, values = brute_force(scores, np.eye(40), 9, seen)
    np.testing.assert_array_equal(best.indices, want)
    np.testing.assert_array_equal(best.scores, values)
    assert (scores > -1).all()  # not written to
    huge = top_k_of_scores([[-1e300, -np.inf, np.inf]], 3, item_ids=["a", "b", "c"])
    assert huge.ids.tolist() == [["c", "a", ""]] and huge.counts.tolist() == [2]


ONE = [[1.0, 2.0]]
TWO = [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((ONE, TWO, 0), {}, "top_k: `k` must be an int >= 1. Received: k=0 (int)."),
        ((ONE, TWO, 1), {"user_chunk": 0}, "`user_chunk` must be an int >= 1"),
        ((ONE, TWO, 1), {"item_chunk": 2.5}, "`item_chunk` must be an int >= 1"),
        (([1.0], TWO, 1), {}, "`user_vectors` must have shape (users, dim) or (users"),
        (([[[[1.0]]]], TWO, 1), {}, "(users, interests, dim). Received"),
        ((np.ones((1, 0, 2)), TWO, 1), {}, "`user_vectors` must have shape"),
        ((ONE, [[1.0]], 1), {}, "`item_vectors` must have shape (items, 2)"),
        ((ONE, [1.0, 2.0], 1), {}, "`item_vectors` must have shape (items, 2)"),
        ((ONE, np.ones((0, 2)), 1), {}, "`item_vectors` must have an item"),
        (([["a", "b"]], TWO, 1), {}, "`user_vectors` must be an array of numbers"),
        (([[np.nan, 1]], TWO, 1), {}, "`user_vectors` must hold finite numbers"),
        ((ONE, [[0, 1], [np.nan, 1]], 1), {}, "Received: item_vectors='nan in row 1'"),
        ((ONE, [[-np.inf, 1]], 1), {}, "-inf in row 0"),
        (([[1e300, 0]], TWO, 1), {}, "must hold finite numbers within float32"),
        (([[1e30, 0]], [[1e30, 0]], 1), {}, "must give scores within float32"),
        ((ONE, TWO, 1), {"item_ids": [4, 4]}, "`item_ids` must not hold an id twice"),
        ((ONE, TWO, 1), {"item_ids": ["a"]}, "one id for each of the 2 items"),
        ((ONE, TWO, 1), {"item_ids": ["a", None]}, "integers or all strings, none mi"),
        ((ONE, TWO, 1), {"item_ids": [0.5, 1.5]}, "must be all integers or all str"),
        ((ONE, TWO, 1), {"exclude": [[], []]}, "array of ids for each of the 1 users"),
        ((ONE, TWO, 1), {"exclude": [[2]]}, "`exclude` must hold item indices in 0..1"),
        ((ONE, TWO, 1), {"exclude": [[-1]]}, "Pass `item_ids` if these are ids."),
        ((ONE, TWO, 1), {"exclude": [["a"]]}, "must hold integers, as the item ids"),
        ((ONE, TWO, 1), {"exclude": [3]}, "`exclude` must have shape (ids)"),
        ((ONE, TWO, 1), {"exclude": 3}, "must be a sequence with one array of ids"),
        (
            (ONE, TWO, 1),
            {"item_ids": ["a", "b"], "exclude": [[1]]},
            "`exclude` must hold strings, as the item ids are",
        ),
        ((ONE, TWO, 1), {"candidates": [0, 1]}, "`candidates` must be a bool array"),
        ((ONE, TWO, 1), {"candidates": [True]}, "bool of shape (1,)"),
        ((ONE, TWO, 1), {"num_interests": [2]}, "`num_interests` must be ints in 1..1"),
        ((ONE, TWO, 1), {"num_interests": [1, 1]}, "must have shape (1)"),
    ],
)
def test_bad_arguments(arguments, options, message):
    with pytest.raises(ValueError) as error:
        top_k(*arguments, **options)
    assert message in str(error.value) and str(error.value).startswith("top_k: ")


def test_bad_score_matrix():
    with pytest.raises(ValueError, match="`scores` must not hold NaN.*NaN in row 1"):
        top_k_of_scores([[0.0, 1.0], [1.0, np.nan]], 1)
    with pytest.raises(ValueError, match=r"`scores` must have shape \(users, items\)"):
        top_k_of_scores([0.0, 1.0], 1)
    with pytest.raises(ValueError, match="`scores` must have an item"):
        top_k_of_scores(np.zeros((1, 0)), 1)
    with pytest.raises(ValueError, match="top_k_of_scores: `k` must be an int >= 1"):
        top_k_of_scores([[0.0]], 0)
