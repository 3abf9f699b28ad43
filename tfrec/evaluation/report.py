"""One table for several models, and the usual metrics of one retrieval model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tfrec import _checks
from tfrec.evaluation.ranking import rank_metrics
from tfrec.evaluation.ranks import target_rank


def table(results: Mapping[str, Mapping[str, float]], *, digits: int = 4) -> str:
    """Models in rows, metrics in columns, as aligned text.

    Args:
        results: {model name: {metric name: number}}. Metrics stand in the order
            they first occur; one that a model does not have is shown as "-".
        digits: int >= 0. Places behind the point; ints are shown whole.

    Raises: `ValueError` when there is nothing to show or a value is no number.

    >>> print(table({"popularity": {"HR@10": 0.135}, "knn": {"HR@10": 0.1445}}))
    model        HR@10
    popularity  0.1350
    knn         0.1445
    """
    _checks.integer("table", digits=digits)
    if not isinstance(results, Mapping) or not all(
        isinstance(metrics, Mapping) for metrics in results.values()
    ):
        rule = "must be {model name: {metric name: number}}"
        raise _checks.argument("table", "results", rule, results)
    names = list(dict.fromkeys(name for row in results.values() for name in row))
    if not names:
        raise _checks.argument("table", "results", "must have a metric", results)
    lines = [["model", *names]]
    for model, row in results.items():
        shown = [_show(row[name], digits) if name in row else "-" for name in names]
        lines.append([str(model), *shown])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            text.rjust(width) if place else text.ljust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def evaluate_retrieval(
    user_vectors: Any,
    item_vectors: Any,
    targets: Any,
    *,
    ks: Sequence[int] = (10, 50),
    **options: Any,
) -> dict[str, float]:
    """HR@k, NDCG@k and Recall@k for each k, and MRR, of one target per user.

    The target is ranked among the whole catalogue, ties against it. With one
    target per user `Recall@k = HR@k`; for several, see `top_k` and
    `list_metrics`.

    Args:
        user_vectors, item_vectors, targets: as in `target_rank`.
        ks: ints >= 1.
        **options: `item_ids`, `exclude` (the items seen), `candidates`,
            `num_interests`, `ties`, `user_chunk`, `item_chunk`: as in
            `target_rank`, which refuses other names.

    Shapes: as in `target_rank`.
    Raises: `ValueError` as `target_rank` and `rank_metrics` do.

    >>> evaluate_retrieval([[1.0]], [[1.0], [2.0], [3.0]], [1], ks=[1, 2])["HR@2"]
    1.0
    """
    metrics = rank_metrics(
        target_rank(user_vectors, item_vectors, targets, **options), ks
    )
    return metrics | {f"Recall@{k}": metrics[f"HR@{k}"] for k in ks}


def _show(value: Any, digits: int) -> str:
    if _checks.is_int(value):
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        rule = "must hold numbers"
        raise _checks.argument("table", "results", rule, value) from None
    return "nan" if math.isnan(number) else f"{number:.{digits}f}"
