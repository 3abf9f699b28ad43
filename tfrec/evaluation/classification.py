"""Metrics of binary labels: AUC, GAUC, log loss, normalised entropy, PCOC.

Exact, over all rows at once, in float64. What is not defined (one class only)
is NaN, never 0 or 0.5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tfrec import _checks
from tfrec.evaluation import samples
from tfrec.evaluation.catalogue import as_ids

WEIGHTINGS = ("impressions", "clicks", "uniform")


class Gauc(NamedTuple):
    """GAUC, the groups there are, those with both classes, their weight's share.

    >>> Gauc(0.65, groups=4, valid_groups=2, coverage=0.5).value
    0.65
    """

    value: float
    groups: int
    valid_groups: int
    coverage: float


def auc(y: Any, score: Any, *, weight: Any = None) -> float:
    """Area under the ROC curve: share of positive-negative pairs in order.

    `AUC = sum over i in P, j in N of w_i w_j (1[s_i > s_j] + 1[s_i = s_j] / 2)
    / (sum_P w * sum_N w)`, ties count half (Mann & Whitney, 1947). O(n log n).
    Give logits: float32 probabilities saturate and tie.

    Args:
        y: labels, 0 or 1.
        score: numbers, higher is better; infinite ones are legal.
        weight: numbers >= 0; a row of weight 0 is absent. None: all 1.

    Shapes: each `(rows,)` or `(rows, 1)`. One class only: NaN.
    Raises: `ValueError` on NaN, other labels, negative weights or other shapes.

    >>> auc([1, 0, 0], [0.9, 0.1, 0.9])
    0.75
    """
    y, weight = samples.labels("auc", y, weight)
    score = samples.scores("auc", "score", score, len(y))
    areas = _areas(y, score, weight, np.zeros(len(y), np.int64), 1)
    return float(areas[0])


def gauc(
    y: Any,
    score: Any,
    group: Any,
    *,
    weight: Any = None,
    weighting: str = "impressions",
) -> Gauc:
    """Mean AUC within groups (users, sessions), weighted by the groups' size.

    `GAUC = sum W_g AUC_g / sum W_g` over the groups with both classes (Zhu et
    al., KDD 2017, arXiv:1703.02091, section 4.2); the others are left out and
    counted. O(n log n).

    Args:
        y, score, weight: as in `auc`.
        group: ints or strings, whom a row belongs to.
        weighting: W_g is the sum of weights ("impressions"), of positives'
            weights ("clicks"), or 1 ("uniform").

    Shapes: each `(rows,)` or `(rows, 1)`. No group with both classes: NaN.
        `coverage` is the share of W in the groups that count.
    Raises: `ValueError` as `auc` does, and on missing groups.

    >>> gauc([1, 0, 1, 0, 0], [3, 1, 1, 2, 0], list("aabbc")).value
    0.5
    """
    _checks.one_of("gauc", WEIGHTINGS, weighting=weighting)
    y, weight = samples.labels("gauc", y, weight)
    score = samples.scores("gauc", "score", score, len(y))
    group = as_ids("gauc", "group", samples.flat("gauc", "group", group, len(y)))
    present = weight > 0
    y, score, weight = y[present], score[present], weight[present]
    names, code = np.unique(group[present], return_inverse=True)
    groups = len(names)
    areas = _areas(y, score, weight, code, groups)
    mass = {
        "impressions": lambda: np.bincount(code, weight, groups),
        "clicks": lambda: np.bincount(code, weight * y, groups),
        "uniform": lambda: np.ones(groups),
    }[weighting]()
    valid = ~np.isnan(areas)
    return Gauc(
        samples.ratio(float(areas[valid] @ mass[valid]), float(mass[valid].sum())),
        groups,
        int(valid.sum()),
        samples.ratio(float(mass[valid].sum()), float(mass.sum())),
    )


def log_loss(
    y: Any, *, logits: Any = None, probabilities: Any = None, weight: Any = None
) -> float:
    """Mean binary cross-entropy, in nats.

    `sum w (softplus(z) - y z) / sum w` from logits z, without clipping;
    `sum w (-y log p - (1 - y) log(1 - p)) / sum w` from probabilities, clipped to
    [1e-15, 1 - 1e-15]. float32 probabilities near 1 have lost their digits:
    give logits.

    Args:
        y: labels in [0, 1]; soft ones are legal.
        logits: finite numbers, log-odds. Give these or `probabilities`.
        probabilities: numbers in [0, 1].
        weight: numbers >= 0. None: all 1.

    Shapes: each `(rows,)` or `(rows, 1)`. No weight at all: NaN.
    Raises: `ValueError` on NaN, values out of range or other shapes.

    >>> round(log_loss([1, 0, 1], probabilities=[0.9, 0.2, 0.6]), 6)
    0.279777
    """
    y, weight = samples.labels("log_loss", y, weight, soft=True)
    loss, _ = _losses("log_loss", y, logits, probabilities)
    return samples.ratio(float(loss @ weight), float(weight.sum()))


def normalized_entropy(
    y: Any, *, logits: Any = None, probabilities: Any = None, weight: Any = None
) -> float:
    """Log loss over that of the base rate: below 1 is better than the mean.

    `NE = log_loss / H(m)`, m the weighted mean label,
    `H(m) = -m log m - (1 - m) log(1 - m)` (He et al., ADKDD 2014, section 3).
    Not comparable between data of different base rates.

    Args, Shapes, Raises: as `log_loss`. One class only: NaN.

    >>> round(normalized_entropy([1, 0, 1], probabilities=[0.9, 0.2, 0.6]), 6)
    0.439545
    """
    y, weight = samples.labels("normalized_entropy", y, weight, soft=True)
    loss, _ = _losses("normalized_entropy", y, logits, probabilities)
    mass = float(weight.sum())
    rate = samples.ratio(float(y @ weight), mass)
    if not 0 < rate < 1:
        return float("nan")
    entropy = -rate * np.log(rate) - (1 - rate) * np.log1p(-rate)
    return float(loss @ weight / mass / entropy)


def pcoc(
    y: Any, *, logits: Any = None, probabilities: Any = None, weight: Any = None
) -> float:
    """Predicted over observed clicks, `sum w p / sum w y`: above 1 is too high.

    Args, Shapes, Raises: as `log_loss`. No positive: NaN.

    >>> round(pcoc([1, 0, 1], probabilities=[0.9, 0.2, 0.6]), 6)
    0.85
    """
    y, weight = samples.labels("pcoc", y, weight, soft=True)
    _, chance = _losses("pcoc", y, logits, probabilities)
    return samples.ratio(float(chance @ weight), float(y @ weight))


def _areas(
    y: np.ndarray, score: np.ndarray, weight: np.ndarray, code: np.ndarray, groups: int
) -> np.ndarray:
    """The AUC of each group, NaN where it has one class."""
    order = np.lexsort((score, code))
    y, score, code, weight = y[order], score[order], code[order], weight[order]
    positive, negative = weight * y, weight * (1 - y)
    mass_p = np.bincount(code, positive, groups)
    mass_n = np.bincount(code, negative, groups)
    # A block is one group's rows of one score; the scores rise within a group.
    new = np.ones(len(y), bool)
    new[1:] = (code[1:] != code[:-1]) | (score[1:] != score[:-1])
    block = np.cumsum(new) - 1
    owner = code[new]
    p, q = np.bincount(block, positive), np.bincount(block, negative)
    below = np.cumsum(q) - q - (np.cumsum(mass_n) - mass_n)[owner]
    ordered = np.bincount(owner, p * (below + q / 2), groups)
    areas = np.full(groups, np.nan)
    pairs = mass_p * mass_n
    return np.divide(ordered, pairs, out=areas, where=pairs > 0)


def _losses(owner: str, y: np.ndarray, logits: Any, probabilities: Any) -> Any:
    """Cross-entropy and probability of each row."""
    if (logits is None) == (probabilities is None):
        rule = "must be given, or `probabilities`, not both"
        raise _checks.argument(owner, "logits", rule, logits)
    if logits is not None:
        z = samples.scores(owner, "logits", logits, len(y))
        if np.isinf(z).any():
            raise _checks.argument(owner, "logits", "must be finite numbers", z)
        # softplus(-z) or softplus(z), whichever a label of 0 or 1 leaves
        return np.logaddexp(0, z) - y * z, np.exp(-np.logaddexp(0, -z))
    p = samples.scores(owner, "probabilities", probabilities, len(y))
    if ((p < 0) | (p > 1)).any():
        rule = "must be numbers in [0, 1]"
        way_out = "Pass log-odds as `logits`."
        raise _checks.argument(owner, "probabilities", rule, p, way_out)
    inside = np.clip(p, 1e-15, 1 - 1e-15)
    return -y * np.log(inside) - (1 - y) * np.log1p(-inside), p
