import numpy as np
import pandas
import pytest

from tfrec.evaluation import (
    ItemToItem,
    Markov,
    Popularity,
    hit_rate_at_k,
    ndcg_at_k,
    recall_at_k,
)

USERS = [1, 1, 1, 2, 2, 3, 3, 3]
ITEMS = ["a", "b", "c", "a", "b", "b", "c", "d"]
TIMES = [1, 2, 3, 2, 1, 1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "hit_rate", "ndcg"),
    [
        (Popularity(), 0.135, 0.069),
        (ItemToItem(), 0.143, 0.075),
        (Markov(), 0.165, 0.094),
    ],
)
def test_floors_of_real_data(movietweetings, model, hit_rate, ndcg):
    train, histories, targets = movietweetings
    assert len(targets) == 4692
    model.fit(train.user_id, train.movie_id, train.timestamp)
    best = model.recommend(histories, 10, exclude=histories)
    assert hit_rate_at_k(best, targets[:, None], 10).value == pytest.approx(
        hit_rate, abs=0.005
    )
    assert ndcg_at_k(best, targets[:, None], 10).value == pytest.approx(ndcg, abs=0.005)
    assert recall_at_k(best, histories, 10).value == 0.0  # nothing seen comes back


def test_popularity_counts_rows():
    model = Popularity().fit(USERS, ITEMS)
    assert model.item_ids.tolist() == ["a", "b", "c", "d"]
    assert model.scores([[], ["zzz"]]).tolist() == [[2, 3, 2, 1]] * 2
    best = model.recommend([[], ["b"]], 3, exclude=[[], ["b"]])
    assert best.ids.tolist() == [["b", "a", "c"], ["a", "c", "d"]]


@pytest.mark.parametrize("shrinkage", [0.0, 3.5])
@pytest.mark.parametrize("num_neighbors", [1, 4, 1000])
def test_item_to_item_equals_the_formula(num_neighbors, shrinkage, monkeypatch):
    monkeypatch.setattr("tfrec.evaluation.baselines._CELLS", 60)  # several blocks
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 40, 300), rng.integers(0, 25, 300)
    seen = np.zeros((40, 25))
    seen[users, items] = 1.0
    both, had = seen.T @ seen, seen.sum(axis=0)
    want = both / (np.sqrt(np.outer(had, had)) + shrinkage)
    np.fill_diagonal(want, 0.0)
    for row in want:
        row[np.argsort(-row, kind="stable")[num_neighbors:]] = 0.0
    model = ItemToItem(num_neighbors, shrinkage).fit(users, items)
    np.testing.assert_allclose(model.similarity.toarray(), want, rtol=1e-6)
    histories = [[3, 3, 7], [], [24], [99]]
    scores = [want[3] + want[7], np.zeros(25), want[24], np.zeros(25)]
    np.testing.assert_allclose(model.scores(histories), scores, rtol=1e-5)


def test_item_to_item_of_a_checkerboard():
    # Even users had even items, odd users odd ones: only the own colour scores.
    users, items = np.nonzero(np.add.outer(np.arange(20), np.arange(30)) % 2 == 0)
    keep = users * 7 % 11 != items * 5 % 11
    model = ItemToItem().fit(users[keep], items[keep])
    best = model.recommend([[0, 2], [1, 3]], 8, exclude=[[0, 2], [1, 3]])
    assert (best.ids[0] % 2 == 0).all() and (best.ids[1] % 2 == 1).all()


def test_markov_equals_the_formula():
    model = Markov().fit(USERS, ITEMS, TIMES)  # a b c | b a | b c d
    popularity = np.array([2, 3, 2, 1]) / 8
    after_b = (popularity + np.array([1, 0, 2, 0])) / 4
    scores = model.scores([["d", "b"], ["b", "zzz"], [], ["d"]])
    want = [after_b, after_b, popularity, popularity]
    np.testing.assert_allclose(scores, want, rtol=1e-6)
    best = model.recommend([["b"]], 4, exclude=[["c"]])
    assert best.ids.tolist() == [["a", "b", "d", ""]]


def test_markov_takes_the_order_given_without_timestamps():
    by_row = Markov().fit(USERS, ITEMS)
    assert by_row.transitions.toarray()[0].tolist() == [0, 2, 0, 0]
    shuffled = [3, 0, 7, 4, 1, 6, 2, 5]
    rows = [[column[i] for i in shuffled] for column in (USERS, ITEMS, TIMES)]
    dates = np.array(rows[2], "datetime64[D]")
    by_time, by_date = Markov().fit(*rows), Markov().fit(*rows[:2], dates)
    want = Markov().fit(USERS, ITEMS, TIMES).transitions.toarray()
    np.testing.assert_array_equal(by_time.transitions.toarray(), want)
    np.testing.assert_array_equal(by_date.transitions.toarray(), want)


@pytest.mark.parametrize("model", [Popularity, ItemToItem, Markov])
def test_users_are_served_in_chunks(model, monkeypatch):
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 30, 200), rng.integers(0, 15, 200)
    histories = [rng.integers(0, 15, n % 6) for n in range(20)]
    fitted = model().fit(users, items)
    whole = fitted.recommend(histories, 20, exclude=histories)
    monkeypatch.setattr("tfrec.evaluation.baselines._CELLS", 3 * 15)
    parts = fitted.recommend(histories, 20, exclude=histories)
    np.testing.assert_array_equal(whole.indices, parts.indices)
    by_label = pandas.Series(histories, index=range(20, 0, -1))
    parts = fitted.recommend(by_label, 20, exclude=by_label)
    np.testing.assert_array_equal(whole.indices, parts.indices)
    assert (whole.counts == [15 - len(set(h.tolist())) for h in histories]).all()
    assert fitted.recommend([], 3).ids.shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ItemToItem(0), "ItemToItem: `num_neighbors` must be an int >= 1"),
        (lambda: ItemToItem(5, -1.0), "ItemToItem: `shrinkage` must be a number >= 0"),
        (lambda: Popularity().fit([1], ["a", "b"]), "`item_ids` must have shape (1)"),
        (lambda: Popularity().fit([], []), "Popularity: `item_ids` must have a row"),
        (lambda: Markov().fit([1], ["a"], [1, 2]), "`timestamps` must have shape (1)"),
        (lambda: Markov().fit([1], ["a"], [np.nan]), "`timestamps` must be numbers or"),
        (lambda: Markov().fit([1], ["a"], ["mon"]), "`timestamps` must be numbers or"),
        (lambda: Markov().fit([None], ["a"]), "`user_ids` must be all integers or all"),
        (lambda: fitted().scores([[1]]), "`histories` must hold strings, as the item"),
        (lambda: fitted().scores("a"), "`histories` must be a sequence with one array"),
        (lambda: fitted().recommend([["a"]], 0), "Markov: `k` must be an int >= 1"),
        (
            lambda: fitted().recommend([["a"]], 1, exclude=3),
            "Markov: `exclude` must be a sequence with one array of ids per user",
        ),
        (
            lambda: fitted().recommend([["a"]], 1, exclude=[]),
            "`exclude` must have one array of ids for each of the 1 users",
        ),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)


def fitted():
    return Markov().fit(USERS, ITEMS, TIMES)


@pytest.mark.parametrize("model", [Popularity(), ItemToItem(), Markov()])
def test_before_fit(model):
    with pytest.raises(RuntimeError, match="`fit` must be called first"):
        model.scores([[]])
    with pytest.raises(RuntimeError, match="`fit` must be called first"):
        model.recommend([[]], 1)
