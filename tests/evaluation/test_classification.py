import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tfrec.evaluation import auc, gauc, log_loss, normalized_entropy, pcoc

# metrics.md, section 2: rows (group, label, score).
GROUPS = list("aaabbccdd")
LABELS = [1, 0, 0, 1, 1, 0, 0, 1, 0]
SCORES = [0.9, 0.1, 0.9, 0.5, 0.6, 0.3, 0.2, 0.4, 0.4]

rows = st.lists(
    st.tuples(
        st.integers(0, 1),  # label
        st.integers(-3, 3),  # score: many ties
        st.integers(0, 3),  # weight: often 0
        st.integers(0, 3),  # group
    ),
    max_size=25,
)


def columns(rows):
    table = np.array(rows, "int64").reshape(-1, 4)
    return table[:, 0], table[:, 1].astype("float64"), table[:, 2], table[:, 3]


def auc_of_pairs(y, s, w):
    good, bad = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    order = (s[good][:, None] > s[bad]) + 0.5 * (s[good][:, None] == s[bad])
    pairs = w[good][:, None] * w[bad]
    return (order * pairs).sum() / pairs.sum() if pairs.sum() else math.nan


@settings(max_examples=150, deadline=None)
@given(rows)
def test_auc_equals_counting_pairs(rows):
    y, s, w, _ = columns(rows)
    for weight in (None, w):
        want = auc_of_pairs(y, s, np.ones(len(y)) if weight is None else weight)
        got = auc(y, s, weight=weight)
        assert got == pytest.approx(want, abs=1e-12, nan_ok=True)
        flipped = auc(y, -s, weight=weight)
        assert flipped == pytest.approx(1 - want, abs=1e-12, nan_ok=True)
        swapped = auc(1 - y, s, weight=weight)
        assert swapped == pytest.approx(1 - want, abs=1e-12, nan_ok=True)
    repeated = auc(np.repeat(y, w), np.repeat(s, w))
    assert auc(y, s, weight=w) == pytest.approx(repeated, abs=1e-12, nan_ok=True)


@settings(max_examples=150, deadline=None)
@given(rows, st.sampled_from(["impressions", "clicks", "uniform"]))
def test_gauc_equals_group_by_group(rows, weighting):
    y, s, w, g = columns(rows)
    total, valid, value, weight = 0.0, 0, 0.0, 0.0
    present = np.unique(g[w > 0])
    for group in present:
        at = g == group
        mass = {
            "impressions": w[at].sum(),
            "clicks": (w[at] * y[at]).sum(),
            "uniform": 1,
        }[weighting]
        area = auc_of_pairs(y[at], s[at], w[at])
        total += mass
        if not math.isnan(area):
            valid, value, weight = valid + 1, value + mass * area, weight + mass
    got = gauc(y, s, g, weight=w, weighting=weighting)
    want = value / weight if weight else math.nan
    assert got.value == pytest.approx(want, abs=1e-12, nan_ok=True)
    assert (got.groups, got.valid_groups) == (len(present), valid)
    coverage = weight / total if total else math.nan
    assert got.coverage == pytest.approx(coverage, abs=1e-12, nan_ok=True)


def test_auc_and_gauc_equal_scikit_learn():
    rng = np.random.default_rng(0)
    y, g = rng.random(3000) < 0.3, rng.integers(0, 60, 3000)
    s, w = rng.normal(size=3000).round(1) + g, rng.random(3000)
    assert auc(y, s) == pytest.approx(metrics.roc_auc_score(y, s), abs=1e-12)
    want = metrics.roc_auc_score(y, s, sample_weight=w)
    assert auc(y, s, weight=w) == pytest.approx(want, abs=1e-12)
    size, area = np.bincount(g), np.empty(60)
    for group in range(60):
        area[group] = metrics.roc_auc_score(y[g == group], s[g == group])
    got = gauc(y, s, g)
    assert got.value == pytest.approx(np.average(area, weights=size), abs=1e-12)
    shifted = gauc(y, s + 1000 * g, np.array([f"user {i}" for i in g]))
    assert shifted.value == pytest.approx(got.value, abs=1e-12)


def test_rank_metrics_depend_on_the_order_only():
    rng = np.random.default_rng(1)
    y, s, g = rng.integers(0, 2, 300), rng.normal(size=300), rng.integers(0, 9, 300)
    for rising in (np.exp, np.arctan, lambda x: 3 * x - 7):
        assert auc(y, rising(s)) == auc(y, s)
        assert gauc(y, rising(s), g).value == gauc(y, s, g).value
    order = rng.permutation(300)
    assert gauc(y[order], s[order], g[order]) == gauc(y, s, g)
    assert gauc(y, s, np.zeros(300, int)).value == pytest.approx(auc(y, s), abs=1e-15)
    assert gauc(y, g * 1.0, g).value == 0.5  # a score of the user only


@pytest.mark.parametrize(
    ("weighting", "value", "coverage"),
    [("impressions", 0.65, 5 / 9), ("clicks", 0.625, 0.5), ("uniform", 0.625, 0.5)],
)
def test_gauc_vector_of_the_reference(weighting, value, coverage):
    got = gauc(LABELS, SCORES, GROUPS, weighting=weighting)
    assert got.value == pytest.approx(value)
    assert (got.groups, got.valid_groups) == (4, 2)
    assert got.coverage == pytest.approx(coverage)


def test_undefined_is_nan():
    assert math.isnan(auc([1, 1], [0.2, 0.3]))
    assert math.isnan(auc([], []))
    assert math.isnan(auc([1, 0], [0.2, 0.3], weight=[1, 0]))
    none = gauc([1, 0], [0.2, 0.3], ["a", "b"])
    assert math.isnan(none.value) and none[1:3] == (2, 0) and none.coverage == 0.0
    empty = gauc([], [], [])
    assert math.isnan(empty.value) and math.isnan(empty.coverage)
    assert math.isnan(log_loss([1], logits=[0.0], weight=[0]))
    assert math.isnan(normalized_entropy([1, 1], logits=[0.0, 1.0]))
    assert math.isnan(pcoc([0, 0], probabilities=[0.1, 0.2]))


def test_infinite_scores_constant_scores_and_columns():
    assert auc([1, 0, 0], [np.inf, 1.0, -np.inf]) == 1.0
    assert auc([1, 0, 1, 0], [0.0, -0.0, 0.0, 0.0]) == 0.5
    assert auc([[1], [0]], np.array([[2.0], [1.0]], "float32")) == 1.0
    assert auc(np.array([True, False]), [2, 1]) == 1.0


def test_many_small_groups_keep_their_digits():
    # Groups share one running sum: 200,000 rows before a group may not blur it.
    y, s = np.tile([1, 0, 0, 1], 50_000), np.tile([3.0, 2.0, 4.0, 4.0], 50_000)
    g, w = np.repeat(np.arange(50_000), 4), np.tile([0.1, 0.3, 0.7, 0.9], 50_000)
    want = auc_of_pairs(y[:4], s[:4], w[:4])
    assert gauc(y, s, g, weight=w).value == pytest.approx(want, abs=1e-10)


def test_log_loss_vector_of_the_reference():
    y, p = [1, 0, 1], np.array([0.9, 0.2, 0.6])
    for kwargs in ({"probabilities": p}, {"logits": np.log(p / (1 - p))}):
        assert log_loss(y, **kwargs) == pytest.approx(0.2797765636, abs=1e-10)
        assert normalized_entropy(y, **kwargs) == pytest.approx(0.4395449112)
        assert pcoc(y, **kwargs) == pytest.approx(0.85)


def test_log_loss_equals_scikit_learn_and_weights_are_repetition():
    rng = np.random.default_rng(0)
    y, z, w = rng.integers(0, 2, 200), rng.normal(size=200), rng.integers(0, 4, 200)
    p = 1 / (1 + np.exp(-z))
    want = metrics.log_loss(y, p, sample_weight=w)
    assert log_loss(y, logits=z, weight=w) == pytest.approx(want)
    assert log_loss(y, probabilities=p, weight=w) == pytest.approx(want)
    for metric in (log_loss, normalized_entropy, pcoc):
        repeated = metric(np.repeat(y, w), logits=np.repeat(z, w))
        assert metric(y, logits=z, weight=w) == pytest.approx(repeated)


def test_log_loss_is_finite_for_extreme_values():
    assert log_loss([1, 0], logits=[-1e6, 1e6]) == pytest.approx(1e6)
    assert log_loss([1, 0], logits=[1e6, -1e6]) == 0.0
    assert log_loss([1], probabilities=[0.0]) == pytest.approx(-math.log(1e-15))
    assert log_loss([0], probabilities=[1.0]) == pytest.approx(-math.log(1e-15), 1e-3)
    soft = log_loss([0.3], probabilities=[0.3])
    assert soft == pytest.approx(-0.3 * math.log(0.3) - 0.7 * math.log(0.7))


def test_base_rate_as_prediction():
    y = np.array([1, 0, 0, 0])
    assert normalized_entropy(y, probabilities=np.full(4, 0.25)) == pytest.approx(1)
    assert pcoc(y, probabilities=np.full(4, 0.25)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auc([0, 2], [1, 2]), "auc: `y` must hold labels 0 and 1 only"),
        (lambda: auc([0, np.nan], [1, 2]), "`y` must hold labels 0 and 1 only"),
        (lambda: auc([0, 0.5], [1, 2]), "Received: y=[0.5] (list)"),
        (lambda: auc(["0", "1"], [1, 2]), "`y` must hold numbers"),
        (lambda: auc(1, [1]), "`y` must have shape"),
        (lambda: auc([[1, 0]], [1, 0]), "`y` must have shape (1,) or (1, 1)"),
        (
            lambda: auc([0, 1], [1, np.nan]),
            "`score` must not hold NaN. Received: score=",
        ),
        (lambda: auc([0, 1], [1, 2, 3]), "`score` must have shape (2,) or (2, 1)"),
        (lambda: auc([0, 1], [1, 2], weight=[1, -1]), "`weight` must hold finite numb"),
        (lambda: auc([0, 1], [1, 2], weight=[1, np.nan]), "`weight` must hold finite"),
        (lambda: auc([0, 1], [1, 2], weight=[1]), "`weight` must have shape (2,)"),
        (lambda: gauc([0, 1], [1, 2], ["a"]), "gauc: `group` must have shape (2,)"),
        (lambda: gauc([0, 1], [1, 2], ["a", None]), "`group` must be all integers or"),
        (lambda: gauc([0], [1], [1], weighting="mean"), "`weighting` must be one of"),
        (lambda: log_loss([0]), "log_loss: `logits` must be given, or `probabilities`"),
        (lambda: log_loss([0], logits=[0], probabilities=[0]), "not both"),
        (
            lambda: log_loss([0], probabilities=[1.5]),
            "`probabilities` must be numbers in",
        ),
        (lambda: log_loss([0], probabilities=[np.nan]), "must not hold NaN"),
        (lambda: log_loss([0], logits=[np.inf]), "`logits` must be finite numbers"),
        (lambda: log_loss([1.5], logits=[0]), "`y` must hold labels in [0, 1]"),
        (lambda: normalized_entropy([0]), "normalized_entropy: `logits` must be given"),
        (lambda: pcoc([0], logits=[0, 1]), "pcoc: `logits` must have shape (1,)"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)
