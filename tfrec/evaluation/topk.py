"""Exact top-k over the whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfrec import _checks
from tfrec.evaluation import factorized
from tfrec.evaluation.catalogue import Catalogue
from tfrec.evaluation.exclusions import Exclusions
from tfrec.evaluation.retrieval import Retrieval
from tfrec.evaluation.search import finish, search, search_float32, search_float64

_SPARE = 8  # items fetched beyond k, so that rounding rarely hides the k-th
_CELLS = 1 << 24  # scores sorted at a time


@dataclass(frozen=True, eq=False)
class TopK:
    """The best items of each user, best first; equal scores: lower index first.

    Where fewer than k items are allowed the places left over hold index -1,
    score -inf and id -1 (or "" where ids are strings): `counts` tells them.

    Args:
        indices: int64. Rows of the item vectors.
        ids: the items' ids, the indices where none were given.
        scores: float32 inner products; from a score matrix, its own type.
        counts: int64. How many places of each row are filled.

    Shapes: `indices`, `ids`, `scores` are `(users, k)`, `counts` `(users,)`.

    >>> top_k([[1.0]], [[1.0], [2.0]], 3).counts
    array([2])
    """

    indices: np.ndarray
    ids: np.ndarray
    scores: np.ndarray
    counts: np.ndarray


def top_k(
    user_vectors: Any,
    item_vectors: Any,
    k: int,
    *,
    item_ids: Any = None,
    exclude: Any = None,
    candidates: Any = None,
    num_interests: Any = None,
    user_chunk: int = 512,
    item_chunk: int = 32_768,
) -> TopK:
    """The k items with the highest inner product for each user.

    `score(u, i) = max over interests j of u[j] . v[i]`, summed in float64 and
    rounded to float32; so equal vectors tie and chunk sizes change nothing.
    Memory beyond the arguments and the answer: at most about
    `20 * user_chunk * item_chunk` bytes.

    Args:
        user_vectors: array-like of finite numbers, used as float32.
        item_vectors: array-like of finite numbers, read a chunk at a time.
        k: int >= 1. Length of the lists.
        item_ids: distinct ids, integers or strings, or None: ids are indices.
        exclude: sequence of arrays of item ids, one per user; None or an empty
            array excludes nothing. Ids the catalogue does not have are ignored.
        candidates: bool array, True for items that may be given, or None: all.
        num_interests: ints, how many interests of each user are alive, the
            others are ignored; or None: all are.
        user_chunk: int >= 1. User vectors at a time.
        item_chunk: int >= 1. Items at a time.

    Shapes: `user_vectors` is `(users, dim)` or `(users, interests, dim)`,
    `item_vectors` `(items, dim)`, `candidates` `(items,)`, `num_interests`
    `(users,)`.
    Raises: `ValueError` on a bad argument, duplicate ids, NaN or infinite
    vectors; `ImportError` when `tf.keras` already is Keras 3.

    >>> best = top_k([[1.0, 0.0]], [[1.0, 0.0], [3.0, 0.0], [2.0, 0.0]], 2,
    ...              item_ids=["a", "b", "c"], exclude=[["b"]])
    >>> best.ids.tolist(), best.scores.tolist()
    ([['c', 'a']], [[2.0, 1.0]])
    """
    _checks.positive_int("top_k", k=k)
    task = Retrieval(
        "top_k",
        user_vectors,
        item_vectors,
        item_ids=item_ids,
        exclude=exclude,
        candidates=candidates,
        num_interests=num_interests,
        user_chunk=user_chunk,
        item_chunk=item_chunk,
    )
    users, width = len(task.users), min(k, task.size)
    scores = np.full((users, width), -np.inf, np.float32)
    places = np.full((users, width), -1)
    # Users with as many exclusions share chunks: the longest list sets the depth.
    rows = np.argsort(task.exclusions.counts, kind="stable")
    fetched = search(task, rows, min(k + _SPARE, task.size), search_float32)
    sure = finish(task, rows, fetched, scores, places)
    if not sure.all():
        rows = rows[~sure]
        fetched = search(task, rows, width, search_float64)
        finish(task, rows, fetched, scores, places)
    if task.kept is not None and task.size:
        places = np.where(places < 0, -1, task.kept[places])
    return _answer(task.catalogue, scores, places, k)


def top_k_of_scores(
    scores: Any, k: int, *, item_ids: Any = None, exclude: Any = None
) -> TopK:
    """The k items with the highest score for each user, from a score matrix.

    Args:
        scores: array-like of numbers; -inf marks an item that may not be given.
        k: int >= 1. Length of the lists.
        item_ids, exclude: as in `top_k`.

    Shapes: `scores` is `(users, items)`.
    Raises: `ValueError` on a bad argument, duplicate ids or NaN.

    >>> top_k_of_scores([[0.1, 0.7, 0.7]], 2, exclude=[[1]]).indices.tolist()
    [[2, 0]]
    """
    _checks.positive_int("top_k_of_scores", k=k)
    scores = score_matrix("top_k_of_scores", scores)
    catalogue = Catalogue("top_k_of_scores", scores.shape[1], item_ids)
    banned = Exclusions("top_k_of_scores", exclude, len(scores), catalogue)
    width = min(k, scores.shape[1])
    best = np.full((len(scores), width), -np.inf, scores.dtype)
    places = np.full((len(scores), width), -1)
    step = max(1, _CELLS // scores.shape[1])
    for low in range(0, len(scores), step):
        rows = np.arange(low, min(low + step, len(scores)))
        block = scores[rows]
        block[banned.cells(rows, 0, catalogue.size)] = -np.inf
        best[rows], places[rows] = factorized.largest(block, width)
    return _answer(catalogue, best, places, k)


def score_matrix(owner: str, values: Any) -> np.ndarray:
    """A score matrix as float32 or float64 `(users, items)`, without NaN.

    Raises: `ValueError` on another rank, no items, or NaN.

    >>> score_matrix("top_k_of_scores", [[1, 2]]).dtype
    dtype('float64')
    """
    scores = np.asarray(values)
    _checks.shape(owner, scores=(scores.shape, "users, items"))
    if scores.shape[1] == 0:
        raise _checks.argument(owner, "scores", "must have an item", scores.shape)
    if scores.dtype != np.float32:
        scores = scores.astype(np.float64)
    if np.isnan(scores.min(initial=0)):
        row = int(np.flatnonzero(np.isnan(scores).any(axis=1))[0])
        rule = "must not hold NaN"
        raise _checks.argument(owner, "scores", rule, f"NaN in row {row}")
    return scores


def _answer(
    catalogue: Catalogue, scores: np.ndarray, places: np.ndarray, k: int
) -> TopK:
    """A TopK of k columns; what has no place or the score -inf is left over."""
    places = np.where(scores > -np.inf, places, -1)
    wider = ((0, 0), (0, k - scores.shape[1]))
    places = np.pad(places, wider, constant_values=-1)
    scores = np.pad(scores, wider, constant_values=-np.inf)
    counts = (places >= 0).sum(axis=1)
    return TopK(places, catalogue.ids(places), scores, counts)
