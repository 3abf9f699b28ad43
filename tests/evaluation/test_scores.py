import itertools
import re

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tfrec import evaluation
from tfrec.evaluation import Scores
from tfrec.evaluation.scores import METRICS

ROWS = 90
RANDOM = np.random.default_rng(0)
Y = RANDOM.integers(0, 2, ROWS)
Z = np.round(RANDOM.normal(size=ROWS), 1)  # with ties
WEIGHT = RANDOM.uniform(0, 2, ROWS)
GROUP = RANDOM.choice(["a", "bb", "ccc", "d"], ROWS)
PARTS = [slice(0, 10), slice(10, 11), slice(11, 70), slice(70, ROWS)]


def part(rows):
    scores = Scores()
    scores.update(Y[rows], Z[rows], WEIGHT[rows], GROUP[rows])
    return scores


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_parts_in_any_order_are_the_whole(order):
    merged = part(PARTS[order[0]]).merge(part(PARTS[order[1]]))
    merged.merge(part(PARTS[order[2]]).merge(part(PARTS[order[3]])))
    assert len(merged) == ROWS
    whole, found = part(slice(None)).result(METRICS), merged.result(METRICS)
    assert list(found) == list(METRICS)
    np.testing.assert_allclose(
        list(found.values()), list(whole.values()), rtol=1e-12, atol=0
    )


def test_they_are_those_of_sklearn():
    found = part(slice(None)).result(("auc", "log_loss", "gauc"))
    chance = 1 / (1 + np.exp(-Z))
    assert found["auc"] == pytest.approx(roc_auc_score(Y, Z, sample_weight=WEIGHT))
    assert found["log_loss"] == pytest.approx(log_loss(Y, chance, sample_weight=WEIGHT))
    gauc = evaluation.gauc(Y, Z, GROUP, weight=WEIGHT).value
    assert found["gauc"] == pytest.approx(gauc)


def test_without_weights_and_groups():
    scores = Scores()
    for rows in PARTS:
        scores.update(Y[rows][:, None], Z[rows][:, None])
    assert scores.result()["auc"] == pytest.approx(roc_auc_score(Y, Z))


def raises(text):
    return pytest.raises(ValueError, match=re.escape(text))


def test_bad_arguments():
    scores = Scores()
    with raises("Scores: `metrics` needs rows: call `update` before `result`"):
        scores.result()
    with raises("Scores: `scores` must have shape (2,) or (2, 1)"):
        scores.update([0, 1], [1.0])
    scores.update([0, 1], [1.0, 2.0])
    with raises("Scores: `parts` must have weights and groups for all rows or for no"):
        scores.update([0, 1], [1.0, 2.0], [1.0, 1.0])
    with raises("`parts` must have weights and groups for all rows or for none"):
        scores.merge(part(slice(None)))
    with raises('Scores: `metrics` "gauc" needs `groups` in `update`'):
        scores.result(["gauc"])
    with raises("Scores: `metrics` must be one of 'auc', 'gauc'"):
        scores.result(["recall"])
    assert len(scores) == 2
