import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from tfrec.evaluation import (
    TopK,
    hit_rate_at_k,
    list_metrics,
    mrr_at_k,
    ndcg_at_k,
    precision_at_k,
    rank_metrics,
    recall_at_k,
    top_k,
)
from tfrec.evaluation.ranking import ListMean


def test_vector_of_the_reference():
    # Relevance (0, 1, 1, 0, 1) in score order, k = 3.
    ranked, relevant = [[10, 11, 12, 13, 14]], [[11, 12, 14]]
    assert precision_at_k(ranked, relevant, 3).value == pytest.approx(2 / 3)
    assert recall_at_k(ranked, relevant, 3).value == pytest.approx(2 / 3)
    assert hit_rate_at_k(ranked, relevant, 3).value == 1.0
    assert ndcg_at_k(ranked, relevant, 3).value == pytest.approx(0.5307212740)
    assert mrr_at_k(ranked, relevant, 3).value == 0.5


def test_vectors_of_the_reranking_paper():
    ranked = [[0, 1, 2, 3]] * 3
    relevant = [[0, 2], [], [1]]
    assert precision_at_k(ranked, relevant, 2) == ListMean(1 / 3, 3, 0)


def test_lists_without_relevant_items_are_left_out_and_counted():
    ranked, relevant = [["a", "b"], ["a", "b"], ["b", "a"]], [["b"], [], None]
    for metric in (recall_at_k, hit_rate_at_k, ndcg_at_k, mrr_at_k):
        mean = metric(ranked, relevant, 2)
        assert (mean.lists, mean.skipped) == (1, 2)
        nothing = metric(ranked, [[], [], []], 2)
        assert math.isnan(nothing.value) and nothing[1:] == (0, 3)
    assert recall_at_k(ranked, relevant, 2).value == 1.0
    assert precision_at_k(ranked, relevant, 2) == ListMean(1 / 6, 3, 0)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 8), st.integers(1, 10))
def test_equals_the_formulas_list_by_list(data, items, k):
    lists = data.draw(st.integers(1, 4))
    ranked = [data.draw(st.permutations(range(items))) for _ in range(lists)]
    # Item `items` is relevant but never retrieved: it counts in R.
    relevant = [data.draw(st.sets(st.integers(0, items))) for _ in range(lists)]
    want = {"recall": [], "hit": [], "ndcg": [], "mrr": []}
    precision = []
    for order, good in zip(ranked, relevant, strict=True):
        hits = [item in good for item in order][:k]
        precision.append(sum(hits) / k)
        if good:
            want["recall"].append(sum(hits) / len(good))
            want["hit"].append(any(hits))
            dcg = sum(hit / math.log2(i + 2) for i, hit in enumerate(hits))
            best = sum(1 / math.log2(i + 2) for i in range(min(k, len(good))))
            want["ndcg"].append(dcg / best)
            want["mrr"].append(next((1 / (i + 1) for i, h in enumerate(hits) if h), 0))
    metrics = [recall_at_k, hit_rate_at_k, ndcg_at_k, mrr_at_k]
    for metric, values in zip(metrics, want.values(), strict=True):
        got = metric(ranked, [list(good) for good in relevant], k)
        assert got.lists == len(values) and got.skipped == lists - len(values)
        if values:
            assert got.value == pytest.approx(np.mean(values), abs=1e-12)
    got = precision_at_k(ranked, [list(good) for good in relevant], k)
    assert got.value == pytest.approx(np.mean(precision), abs=1e-12)


def test_ndcg_equals_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.random((20, 30)) < 0.2
    scores = rng.normal(size=(20, 30))
    ranked = np.argsort(-scores, axis=1)
    relevant = [np.flatnonzero(row) for row in truth]
    want = ndcg_score(truth[truth.any(axis=1)], scores[truth.any(axis=1)], k=7)
    assert ndcg_at_k(ranked, relevant, 7).value == pytest.approx(want)


def test_strings_and_integers_give_the_same():
    rng = np.random.default_rng(1)
    ranked = np.array([rng.permutation(50)[:20] for _ in range(9)])
    relevant = [rng.integers(0, 50, n) for n in range(9)]
    names = np.array([f"item {i}" for i in range(50)])
    as_strings = list_metrics(names[ranked], [names[r] for r in relevant], [5, 20])
    assert as_strings == list_metrics(ranked, relevant, [5, 20])


def test_list_metrics_equal_the_single_functions():
    ranked, relevant = [[1, 2, 3], [3, 2, 1]], [[2], [1, 7]]
    metrics = list_metrics(ranked, relevant, ks=(1, 3, 5))
    assert metrics["Recall@3"] == recall_at_k(ranked, relevant, 3).value
    assert metrics["HR@1"] == hit_rate_at_k(ranked, relevant, 1).value
    assert metrics["NDCG@5"] == ndcg_at_k(ranked, relevant, 5).value
    assert metrics["MRR@3"] == mrr_at_k(ranked, relevant, 3).value
    assert metrics["Precision@5"] == precision_at_k(ranked, relevant, 5).value
    assert len(metrics) == 15


def test_ranks_and_lists_of_one_target_agree():
    rng = np.random.default_rng(2)
    ranked = np.array([rng.permutation(30) for _ in range(50)])
    targets = rng.integers(0, 30, 50)
    ranks = np.argmax(ranked == targets[:, None], axis=1) + 1
    by_rank, by_list = rank_metrics(ranks, [10]), [ranked, targets[:, None]]
    assert by_rank["HR@10"] == pytest.approx(hit_rate_at_k(*by_list, 10).value)
    assert by_rank["NDCG@10"] == pytest.approx(ndcg_at_k(*by_list, 10).value)
    assert by_rank["MRR"] == pytest.approx(mrr_at_k(*by_list, 30).value)


def test_rank_metrics_by_hand():
    assert rank_metrics([3.0], [10])["NDCG@10"] == 0.5
    metrics = rank_metrics([1, 2, 11, np.inf], ks=[10])
    assert metrics["HR@10"] == 0.5
    assert metrics["NDCG@10"] == pytest.approx((1 + 1 / math.log2(3)) / 4)
    assert metrics["MRR"] == pytest.approx((1 + 1 / 2 + 1 / 11) / 4)
    assert all(math.isnan(value) for value in rank_metrics([], [10]).values())


def test_places_left_over_are_no_hits():
    best = top_k([[1.0]], [[1.0], [2.0]], 3, item_ids=[-1, 5], exclude=[[-1]])
    assert best.ids.tolist() == [[5, -1, -1]]
    assert recall_at_k(best, [[-1]], 3).value == 0.0
    assert recall_at_k(best, [[5]], 3).value == 1.0
    assert precision_at_k([[5]], [[5]], 4).value == 0.25


def test_no_places_at_all():
    empty = np.empty((2, 0), "int64")
    assert recall_at_k(empty, [["a"], []], 3) == ListMean(0.0, 1, 1)


def best_of(ids):
    ids = np.array(ids)
    return TopK(ids, ids, ids.astype(float), np.full(len(ids), ids.shape[1]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 2]], [[1]], 0), "recall_at_k: `k` must be an int >= 1"),
        (([1, 2], [[1]], 1), "`ranked` must have shape (lists, places)"),
        (
            ([[1, 2]], [[1], [2]], 1),
            "`relevant` must have one array of ids for each of",
        ),
        (([[1, 2]], [["a"]], 1), "`relevant` must hold ids of the kind that `ranked`"),
        (
            ([[1, 2, 1]], [[1]], 1),
            "must not hold an id twice. Received: ranked='1 in l",
        ),
        (([[0.5, 1.0]], [[1]], 1), "`ranked` must be all integers or all strings"),
        ((best_of([[1, 2]]), [[1]], 3), "`ranked` must have at least k = 3 places"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError) as error:
        recall_at_k(*arguments)
    assert message in str(error.value)


@pytest.mark.parametrize("ks", [10, [], "10", [0]])
def test_bad_ks(ks):
    with pytest.raises(ValueError, match="`ks` must be"):
        rank_metrics([1.0], ks)
    with pytest.raises(ValueError, match="`ks` must be"):
        list_metrics([[1]], [[1]], ks)


@pytest.mark.parametrize("ranks", [[0.5], [np.nan], [-1]])
def test_bad_ranks(ranks):
    with pytest.raises(ValueError, match="`ranks` must be numbers >= 1"):
        rank_metrics(ranks)
