"""Metrics of ranked lists: Recall, HR, Precision, NDCG, MRR; means over lists.

One list is one user or request. A list without a relevant item has no recall:
it is left out of the mean and counted, never taken as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfrec import _checks
from tfrec.evaluation.catalogue import as_ids, flatten
from tfrec.evaluation.topk import TopK


class ListMean(NamedTuple):
    """A mean over lists: its value, the lists in it, the lists left out.

    >>> ListMean(0.5, lists=2, skipped=1).value
    0.5
    """

    value: float
    lists: int
    skipped: int


def recall_at_k(ranked: Any, relevant: Any, k: int) -> ListMean:
    """Mean share of the relevant items that are among the first k.

    `Recall@k = H_k / R`, H_k hits among the first k, R relevant items in all.

    Args:
        ranked: a `TopK`, or an array of ids, best first, no id twice in a list.
        relevant: sequence of arrays of relevant ids, one per list.
        k: int >= 1. A `TopK` must have at least k columns; an array with fewer
            is taken as the whole list.

    Shapes: `ranked` is `(lists, places)`.
    Raises: `ValueError` on a bad argument or an id twice in a list.

    >>> recall_at_k([[4, 7, 9]], [[7, 8]], 2)
    ListMean(value=0.5, lists=1, skipped=0)
    """
    return _mean(*_recall(*_hits("recall_at_k", ranked, relevant, k), k))


def hit_rate_at_k(ranked: Any, relevant: Any, k: int) -> ListMean:
    """Mean over lists of `HR@k = 1[H_k > 0]`: is a relevant item in the first k?

    Args, Shapes, Raises: as `recall_at_k`.

    >>> hit_rate_at_k([[4, 7, 9], [1, 2, 3]], [[7, 8], [3]], 2).value
    0.5
    """
    return _mean(*_hit_rate(*_hits("hit_rate_at_k", ranked, relevant, k), k))


def precision_at_k(ranked: Any, relevant: Any, k: int) -> ListMean:
    """Mean over lists of `Precision@k = H_k / k`, also where a list is shorter.

    A list without a relevant item has precision 0 and stays in the mean.

    Args, Shapes, Raises: as `recall_at_k`.

    >>> precision_at_k([[4, 7, 9]], [[7, 8]], 2).value
    0.5
    """
    return _mean(*_precision(*_hits("precision_at_k", ranked, relevant, k), k))


def ndcg_at_k(ranked: Any, relevant: Any, k: int) -> ListMean:
    """Mean normalised discounted cumulative gain of the first k, binary gains.

    `DCG@k = sum of 1 / log2(1 + i) over the hits at places i <= k`, divided by
    that of min(R, k) hits in the first places (Jarvelin & Kekalainen, 2002).

    Args, Shapes, Raises: as `recall_at_k`.

    >>> round(ndcg_at_k([[4, 7, 9]], [[7]], 2).value, 4)
    0.6309
    """
    return _mean(*_ndcg(*_hits("ndcg_at_k", ranked, relevant, k), k))


def mrr_at_k(ranked: Any, relevant: Any, k: int) -> ListMean:
    """Mean reciprocal rank of the first relevant item, 0 where it is beyond k.

    Args, Shapes, Raises: as `recall_at_k`.

    >>> mrr_at_k([[4, 7, 9]], [[7, 9]], 3).value
    0.5
    """
    return _mean(*_mrr(*_hits("mrr_at_k", ranked, relevant, k), k))


def list_metrics(
    ranked: Any, relevant: Any, ks: Sequence[int] = (10,)
) -> dict[str, float]:
    """Recall, HR, Precision, NDCG and MRR at each k, by name: `Recall@10`, ...

    Args:
        ranked, relevant: as in `recall_at_k`.
        ks: ints >= 1, at least one.

    Shapes, Raises: as `recall_at_k`.

    >>> list_metrics([[4, 7, 9]], [[7, 8]], [2])["HR@2"]
    1.0
    """
    _ks("list_metrics", ks)
    hits, total = _hits("list_metrics", ranked, relevant, max(ks))
    formulas = {
        "Recall": _recall,
        "HR": _hit_rate,
        "Precision": _precision,
        "NDCG": _ndcg,
        "MRR": _mrr,
    }
    return {
        f"{name}@{k}": _mean(*formula(hits[:, :k], total, k)).value
        for k in ks
        for name, formula in formulas.items()
    }


def rank_metrics(ranks: Any, ks: Sequence[int] = (10,)) -> dict[str, float]:
    """HR@k and NDCG@k for each k, and MRR, from one target's rank per list.

    `HR@k = 1[rank <= k]` (which is Recall@k, and k times Precision@k),
    `NDCG@k = 1[rank <= k] / log2(1 + rank)`, `MRR = 1 / rank`; means over lists.

    Args:
        ranks: numbers >= 1, as `target_rank` gives them; inf is a miss.
        ks: ints >= 1, at least one.

    Shapes: `ranks` is `(lists,)`. No lists: every metric is NaN.
    Raises: `ValueError` on NaN, a rank below 1, or a bad k.

    >>> rank_metrics([1, float("inf")])
    {'HR@10': 0.5, 'NDCG@10': 0.5, 'MRR': 0.5}
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    _checks.shape("rank_metrics", ranks=(ranks.shape, "lists"))
    if not (ranks >= 1).all():
        raise _checks.argument("rank_metrics", "ranks", "must be numbers >= 1", ranks)
    _ks("rank_metrics", ks)
    metrics = {}
    for k in ks:
        hit = ranks <= k
        metrics[f"HR@{k}"] = _average(hit)
        metrics[f"NDCG@{k}"] = _average(hit / np.log2(1 + ranks))
    metrics["MRR"] = _average(1 / ranks)
    return metrics


def _recall(hits: Any, total: Any, k: int) -> tuple[Any, Any]:
    return hits.sum(axis=1), total


def _hit_rate(hits: Any, total: Any, k: int) -> tuple[Any, Any]:
    return hits.any(axis=1), np.minimum(total, 1)


def _precision(hits: Any, total: Any, k: int) -> tuple[Any, Any]:
    return hits.sum(axis=1), np.full(len(total), k)


def _ndcg(hits: Any, total: Any, k: int) -> tuple[Any, Any]:
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(total, k)]
    return hits @ discount[: hits.shape[1]], ideal


def _mrr(hits: Any, total: Any, k: int) -> tuple[Any, Any]:
    place = hits / np.arange(1, hits.shape[1] + 1)
    return place.max(axis=1, initial=0.0), np.minimum(total, 1)


def _hits(owner: str, ranked: Any, relevant: Any, k: int) -> tuple[Any, np.ndarray]:
    """Which of the first k places hold a relevant item; relevant items per list."""
    _checks.positive_int(owner, k=k)
    filled = None
    if isinstance(ranked, TopK):
        filled, ranked = ranked.counts, ranked.ids
        if ranked.shape[1] < k:
            rule = f"must have at least k = {k} places"
            raise _checks.argument(owner, "ranked", rule, ranked.shape)
    ranked = np.asarray(ranked)
    _checks.shape(owner, ranked=(ranked.shape, "lists, places"))
    lists, places = ranked.shape
    ids, row = flatten(owner, "relevant", relevant, lists)
    flat = as_ids(owner, "ranked", ranked.ravel())
    if len(ids) and len(flat) and ids.dtype.kind != flat.dtype.kind:
        rule = "must hold ids of the kind that `ranked` holds"
        raise _checks.argument(owner, "relevant", rule, ids[:5].tolist())
    if len(ids) == 0:
        ids = ids.astype(flat.dtype)
    if len(flat) == 0:
        flat = flat.astype(ids.dtype)
    names, codes = np.unique(np.concatenate([flat, ids]), return_inverse=True)
    real = np.ones((lists, places), bool)
    if filled is not None:
        real = np.arange(places) < filled[:, None]
    key = np.repeat(np.arange(lists), places) * len(names) + codes[: len(flat)]
    once, count = np.unique(key[real.ravel()], return_counts=True)
    if (count > 1).any():
        twice = once[count > 1][0]
        received = f"{names[twice % len(names)]} in list {twice // len(names)}"
        raise _checks.argument(owner, "ranked", "must not hold an id twice", received)
    good = np.unique(row * len(names) + codes[len(flat) :])
    hits = np.isin(key, good).reshape(lists, places) & real
    total = np.bincount(good // max(len(names), 1), minlength=lists)
    return hits[:, :k], total


def _mean(values: np.ndarray, divisors: np.ndarray) -> ListMean:
    """Mean of values / divisors; lists whose divisor is 0 are left out."""
    valid = divisors > 0
    return ListMean(
        _average(values[valid] / divisors[valid]), int(valid.sum()), int((~valid).sum())
    )


def _average(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _ks(owner: str, ks: Any) -> None:
    if isinstance(ks, (int, str)) or len(ks) == 0:
        raise _checks.argument(owner, "ks", "must be a sequence of ints >= 1", ks)
    for k in ks:
        _checks.positive_int(owner, ks=k)
