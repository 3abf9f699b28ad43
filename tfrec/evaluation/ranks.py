"""The rank of one target item per user among the whole catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec import _checks
from tfrec.evaluation.catalogue import Catalogue, as_ids
from tfrec.evaluation.exclusions import Exclusions, positions
from tfrec.evaluation.retrieval import Retrieval, exact_pairs, exact_scores
from tfrec.evaluation.topk import score_matrix

TIES = ("pessimistic", "optimistic", "average")
_CELLS = 1 << 24  # scores compared at a time


def target_rank(
    user_vectors: Any,
    item_vectors: Any,
    targets: Any,
    *,
    item_ids: Any = None,
    exclude: Any = None,
    candidates: Any = None,
    num_interests: Any = None,
    ties: str = "pessimistic",
    user_chunk: int = 512,
    item_chunk: int = 32_768,
) -> np.ndarray:
    """The rank of each user's target, 1 = best.

    `rank = 1 + #{s_j > s_target} + #{j != target: s_j = s_target}`: pessimistic;
    optimistic leaves the ties out, average counts them half. A constant model
    has the pessimistic rank "number of items". Scores as in `top_k`. Leave-one-out
    protocol: SASRec (arXiv:1808.09781, section IV-B), without sampling; sampled
    metrics can invert the order of models (Krichene & Rendle, KDD 2020).

    Args:
        user_vectors, item_vectors: array-likes of finite numbers.
        targets: one item id per user.
        item_ids, exclude, candidates, num_interests: as in `top_k`. Excluded
            items are not ranked.
        ties: "pessimistic", "optimistic" or "average".
        user_chunk, item_chunk: int >= 1. As in `top_k`.

    Shapes: as in `top_k`; `targets` is `(users,)`; returns float64 `(users,)`.
    Raises: `ValueError` as `top_k` does, and for a target that is excluded or
        not among the items: it has no rank.

    >>> scores = [[0.5], [0.9], [0.5], [0.1], [0.5]]
    >>> [float(target_rank([[1.0]], scores, [0], ties=t)[0]) for t in TIES]
    [4.0, 2.0, 3.0]
    """
    _checks.one_of("target_rank", TIES, ties=ties)
    task = Retrieval(
        "target_rank",
        user_vectors,
        item_vectors,
        item_ids=item_ids,
        exclude=exclude,
        candidates=candidates,
        num_interests=num_interests,
        user_chunk=user_chunk,
        item_chunk=item_chunk,
    )
    rows = np.arange(len(task.users))
    places = _places("target_rank", targets, len(rows), task.catalogue)
    if task.kept is not None:
        places = positions(task.kept, task.catalogue.size)[places]
        _ranked("target_rank", targets, places < 0, "among `candidates`")
    excluded = task.exclusions.has(places)
    _ranked("target_rank", targets, excluded, "an item that is not excluded")
    wanted = np.empty(len(rows), np.float32)
    for part in task.user_chunks(rows):
        items = task.take(places[part])[:, None]
        wanted[part] = exact_pairs(task.users[part], items)[:, 0]
    above, equal = np.zeros((2, len(rows)), np.int64)
    for start, vectors in task.item_chunks():
        for part in task.user_chunks(rows):
            scores = exact_scores(task.users[part], vectors)
            stop = start + len(vectors)
            banned = task.exclusions.cells(rows[part], start, stop)
            found = _compare(scores, wanted[part], banned, places[part] - start)
            above[part] += found[0]
            equal[part] += found[1]
    return _rank(above, equal, ties)


def target_rank_of_scores(
    scores: Any,
    targets: Any,
    *,
    item_ids: Any = None,
    exclude: Any = None,
    ties: str = "pessimistic",
) -> np.ndarray:
    """The rank of each user's target in a score matrix, 1 = best.

    Args:
        scores: array-like of numbers.
        targets: one item id per user.
        item_ids, exclude, ties: as in `target_rank`.

    Shapes: `scores` is `(users, items)`, `targets` `(users,)`; returns float64
    `(users,)`.
    Raises: `ValueError` as `target_rank` does, and on NaN.

    >>> target_rank_of_scores([[0.9, 0.5, 0.5]], [1], exclude=[[0]])
    array([2.])
    """
    owner = "target_rank_of_scores"
    _checks.one_of(owner, TIES, ties=ties)
    scores = score_matrix(owner, scores)
    catalogue = Catalogue(owner, scores.shape[1], item_ids)
    places = _places(owner, targets, len(scores), catalogue)
    banned = Exclusions(owner, exclude, len(scores), catalogue)
    _ranked(owner, targets, banned.has(places), "an item that is not excluded")
    above, equal = np.zeros((2, len(scores)), np.int64)
    step = max(1, _CELLS // catalogue.size)
    for low in range(0, len(scores), step):
        rows = np.arange(low, min(low + step, len(scores)))
        wanted = scores[rows, places[rows]]
        cells = banned.cells(rows, 0, catalogue.size)
        found = _compare(scores[low : low + step], wanted, cells, places[rows])
        above[rows], equal[rows] = found
    return _rank(above, equal, ties)


def _places(owner: str, targets: Any, users: int, catalogue: Catalogue) -> np.ndarray:
    ids = as_ids(owner, "targets", targets)
    _checks.shape(owner, targets=(ids.shape, f"{users}"))
    places = catalogue.places("targets", ids)
    _ranked(owner, targets, places < 0, "among the items")
    return places


def _ranked(owner: str, targets: Any, bad: np.ndarray, rule: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        received = f"{np.asarray(targets)[row]} of user {row}, {bad.sum()} in all"
        way_out = "Leave such users out, or count them as misses: rank inf."
        raise _checks.argument(owner, "targets", f"must be {rule}", received, way_out)


def _compare(
    scores: np.ndarray, wanted: np.ndarray, banned: Any, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Counts of scores above and equal to `wanted`, less the cells not ranked."""
    above = np.count_nonzero(scores > wanted[:, None], axis=1)
    equal = np.count_nonzero(scores == wanted[:, None], axis=1)
    mine = np.flatnonzero((own >= 0) & (own < scores.shape[1]))
    row = np.concatenate([banned[0], mine])
    left_out = scores[row, np.concatenate([banned[1], own[mine]])]
    above -= np.bincount(row[left_out > wanted[row]], minlength=len(wanted))
    equal -= np.bincount(row[left_out == wanted[row]], minlength=len(wanted))
    return above, equal


def _rank(above: np.ndarray, equal: np.ndarray, ties: str) -> np.ndarray:
    share = {"pessimistic": 1.0, "optimistic": 0.0, "average": 0.5}[ties]
    return 1.0 + above + share * equal
