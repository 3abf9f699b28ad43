"""Rows of labels, scores and weights, checked and in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec import _checks


def labels(owner: str, y: Any, weight: Any, soft: bool = False) -> Any:
    """Labels and weights in float64, checked; no weights are ones.

    Args:
        owner: str. Whom an error names.
        y: numbers, 0 or 1; with `soft`, in [0, 1].
        weight: finite numbers >= 0, or None.
        soft: bool.

    Shapes: `(rows,)` or `(rows, 1)` in, `(rows,)` twice out.
    Raises: `ValueError` on anything else.

    >>> labels("auc", [True, False], None)
    (array([1., 0.]), array([1., 1.]))
    """
    values = np.asarray(y)
    y = flat(owner, "y", values, len(values) if values.ndim else 0)
    y = numbers(owner, "y", y)
    if soft:
        legal, rule = (y >= 0) & (y <= 1), "must hold labels in [0, 1]"
    else:
        legal, rule = (y == 0) | (y == 1), "must hold labels 0 and 1 only"
    if not legal.all():
        raise _checks.argument(owner, "y", rule, y[~legal][:5].tolist())
    if weight is None:
        return y, np.ones(len(y))
    weight = numbers(owner, "weight", flat(owner, "weight", weight, len(y)))
    if not (np.isfinite(weight) & (weight >= 0)).all():
        rule = "must hold finite numbers >= 0"
        raise _checks.argument(owner, "weight", rule, weight)
    return y, weight


def scores(owner: str, name: str, values: Any, rows: int) -> np.ndarray:
    """Scores in float64: infinite ones are legal, NaN is not.

    Shapes: `(rows,)` or `(rows, 1)` in, `(rows,)` out.
    Raises: `ValueError` on NaN or another shape.

    >>> scores("auc", "score", [[1], [2]], 2)
    array([1., 2.])
    """
    score = numbers(owner, name, flat(owner, name, values, rows))
    if np.isnan(score).any():
        received = f"NaN in row {int(np.flatnonzero(np.isnan(score))[0])}"
        raise _checks.argument(owner, name, "must not hold NaN", received)
    return score


def flat(owner: str, name: str, values: Any, rows: int) -> np.ndarray:
    """`values` as one axis of `rows` entries.

    Shapes: `(rows,)` or `(rows, 1)` in, `(rows,)` out.
    Raises: `ValueError` on another shape.

    >>> flat("auc", "score", [[1], [2]], 2)
    array([1, 2])
    """
    values = np.asarray(values)
    if values.shape not in ((rows,), (rows, 1)):
        rule = f"must have shape ({rows},) or ({rows}, 1)"
        raise _checks.argument(owner, name, rule, values.shape)
    return values.reshape(-1)


def numbers(owner: str, name: str, values: np.ndarray) -> np.ndarray:
    """`values` in float64.

    Shapes: any in, the same out.
    Raises: `ValueError` when they are no numbers.

    >>> numbers("auc", "score", np.array([True]))
    array([1.])
    """
    if values.dtype.kind not in "fiub":
        raise _checks.argument(owner, name, "must hold numbers", values)
    return values.astype(np.float64)


def ratio(numerator: float, denominator: float) -> float:
    """numerator / denominator, NaN where that is not defined.

    >>> ratio(1.0, 0.0)
    nan
    """
    return numerator / denominator if denominator > 0 else float("nan")
