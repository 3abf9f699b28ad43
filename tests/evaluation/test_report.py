import numpy as np
import pytest

from tfrec.evaluation import evaluate_retrieval, rank_metrics, table, target_rank


def test_table_is_aligned():
    shown = table(
        {
            "popularity": {"HR@10": 0.1349, "lists": 4692},
            "two towers": {"HR@10": 0.2, "MRR": float("nan")},
        },
        digits=3,
    )
    assert shown.split("\n") == [
        "model       HR@10  lists  MRR",
        "popularity  0.135   4692    -",
        "two towers  0.200      -  nan",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({}, 4), "table: `results` must have a metric"),
        (({"a": {}}, 4), "table: `results` must have a metric"),
        (({"HR@10": 0.1}, 4), "must be {model name: {metric name: number}}"),
        (([("a", 1)], 4), "must be {model name: {metric name: number}}"),
        (({"a": {"HR@10": "high"}}, 4), "`results` must hold numbers"),
        (({"a": {"HR@10": 0.1}}, -1), "table: `digits` must be an int >= 0"),
    ],
)
def test_bad_tables(arguments, message):
    results, digits = arguments
    with pytest.raises(ValueError) as error:
        table(results, digits=digits)
    assert message in str(error.value)


def test_evaluate_retrieval():
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(60, 5)), rng.normal(size=(120, 5))
    targets = rng.integers(0, 120, 60)
    seen = [np.setdiff1d(rng.integers(0, 120, 9), [target]) for target in targets]
    metrics = evaluate_retrieval(users, items, targets, exclude=seen, ks=(10, 50))
    ranks = target_rank(users, items, targets, exclude=seen)
    assert metrics["Recall@50"] == (ranks <= 50).mean() == metrics["HR@50"]
    assert metrics["MRR"] == (1 / ranks).mean()
    assert metrics["NDCG@10"] == rank_metrics(ranks)["NDCG@10"]
    names = "HR@10 NDCG@10 HR@50 NDCG@50 MRR Recall@10 Recall@50"
    assert list(metrics) == names.split()


def test_evaluate_retrieval_finds_planted_targets():
    rng = np.random.default_rng(1)
    items = rng.normal(size=(500, 16))
    targets = rng.integers(0, 500, 100)
    users = items[targets] + 0.1 * rng.normal(size=(100, 16))
    assert evaluate_retrieval(users, items, targets)["HR@10"] > 0.95
    untrained = evaluate_retrieval(np.ones((100, 16)), np.ones((500, 16)), targets)
    assert untrained["HR@10"] == 0.0 and untrained["MRR"] == pytest.approx(1 / 500)


def test_evaluate_retrieval_refuses_unknown_names():
    with pytest.raises(TypeError, match="seen"):
        evaluate_retrieval([[1.0]], [[1.0]], [0], seen=[[]])
    with pytest.raises(ValueError, match="`ks` must be a sequence of ints >= 1"):
        evaluate_retrieval([[1.0]], [[1.0]], [0], ks=10)
