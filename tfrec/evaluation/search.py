"""The search behind `top_k`: fast in float32, then settled in float64.

TensorFlow Recommenders searches each chunk in float32, a few items further than
asked. The finalists are scored again in float64. Where float32 cannot have told
the k-th item from the next (many equal scores), the user is searched in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfrec.evaluation import factorized
from tfrec.evaluation.retrieval import Retrieval, exact_pairs, exact_scores

_CELLS = 1 << 22  # numbers in one block of gathered vectors


def search(
    task: Retrieval, rows: np.ndarray, width: int, open_chunk: Callable[..., Any]
) -> tuple[np.ndarray, np.ndarray]:
    """The `width` best items of each user in `rows`, best first.

    Args:
        task: Retrieval. The checked inputs.
        rows: int64 array. The users searched.
        width: int. Items wanted of each; left over: score -inf.
        open_chunk: `search_float32` or `search_float64`.

    Shapes: `(users,)` in; scores float32 and places int64 `(users, width)` out.

    >>> task = Retrieval("top_k", [[1.0]], [[1.0], [2.0]], exclude=[[1]])
    >>> search(task, np.array([0]), 1, search_float64)[1].tolist()
    [[0]]
    """
    scores = np.full((len(rows), width), -np.inf, np.float32)
    places = np.full((len(rows), width), -1)
    for start, vectors in task.item_chunks():
        fetch = open_chunk(vectors)
        for part in task.user_chunks(rows):
            users = rows[part]
            cells = task.exclusions.cells(users, start, start + len(vectors))
            found, at = fetch(task.users[users], cells, width)
            # Equal scores: what was found in an earlier chunk stands first.
            found = np.concatenate([scores[part], found], axis=1)
            at = np.concatenate([places[part], at + start], axis=1)
            scores[part], best = factorized.largest(found, width)
            places[part] = np.take_along_axis(at, best, axis=1)
    return scores, places


def search_float32(vectors: np.ndarray) -> Callable[..., Any]:
    """A function that finds the best items of one chunk in float32.

    It asks for as many items more as the users have excluded ones in the chunk,
    at most, and strikes those out: enough are left, or the chunk has no more.

    Shapes: `(items, dim)` in. The function takes users `(users, interests, dim)`,
    excluded cells and the width; gives scores and places `(users, found)`, equal
    scores with the lower place first.

    >>> fetch = search_float32(np.array([[1.0], [2.0]], "float32"))
    >>> fetch(np.ones((1, 1, 1)), (np.array([0]), np.array([1])), 1)[0].tolist()
    [[-inf, 1.0]]
    """
    index = factorized.BruteForce(vectors)

    def fetch(users: np.ndarray, cells: Any, width: int) -> Any:
        count, interests, dim = users.shape
        row, column = cells
        most = int(np.bincount(row).max()) if len(row) else 0
        depth = min(width + most, len(vectors))
        scores, at = index.search(users.reshape(-1, dim), depth)
        scores, at = scores.reshape(count, -1), at.reshape(count, -1)
        if most:
            banned = np.zeros((count, len(vectors)), bool)
            banned[row, column] = True
            scores[np.take_along_axis(banned, at, axis=1)] = -np.inf
        if interests > 1:  # an item found by several interests counts once
            order = np.lexsort((-scores, at))
            scores = np.take_along_axis(scores, order, axis=1)
            at = np.take_along_axis(at, order, axis=1)
            scores[:, 1:][at[:, 1:] == at[:, :-1]] = -np.inf
        return scores, at

    return fetch


def search_float64(vectors: np.ndarray) -> Callable[..., Any]:
    """A function that finds the best items of one chunk by their exact scores.

    Shapes: as `search_float32`.

    >>> fetch = search_float64(np.array([[1.0], [2.0]], "float32"))
    >>> fetch(np.ones((1, 1, 1)), (np.array([0]), np.array([1])), 1)[0].tolist()
    [[1.0]]
    """

    def fetch(users: np.ndarray, cells: Any, width: int) -> Any:
        scores = exact_scores(users, vectors)
        scores[cells] = -np.inf
        return factorized.largest(scores, min(width, len(vectors)))

    return fetch


def finish(
    task: Retrieval,
    rows: np.ndarray,
    fetched: tuple[np.ndarray, np.ndarray],
    scores: np.ndarray,
    places: np.ndarray,
) -> np.ndarray:
    """Scores the fetched items exactly and writes the best into the answer.

    Args:
        task: Retrieval. The checked inputs.
        rows: int64 array. The users fetched for.
        fetched: scores and places as `search` gives them.
        scores, places: arrays of the answer; their `rows` are written.

    Shapes: `fetched` is `(users, depth)` twice, `scores` and `places` `(all
    users, width)`, depth >= width. Returns bool `(users,)`: False where an item
    that was not fetched may belong to the answer.

    >>> task = Retrieval("top_k", [[1.0]], [[1.0], [1.0]])
    >>> scores, places = np.zeros((1, 1), "float32"), np.zeros((1, 1), int)
    >>> fetched = search(task, np.array([0]), 1, search_float64)
    >>> finish(task, np.array([0]), fetched, scores, places).tolist()
    [False]
    """
    width, depth = scores.shape[1], fetched[0].shape[1]
    sure = np.ones(len(rows), bool)
    if width == 0:
        return sure
    dim = task.users.shape[2]
    step = max(1, _CELLS // (dim * depth))
    for low in range(0, len(rows), step):
        part = slice(low, low + step)
        users = task.users[rows[part]]
        found, at = fetched[0][part], fetched[1][part]
        exact = exact_pairs(users, task.take(at))
        exact[found == -np.inf] = -np.inf
        order = np.lexsort((at, -exact))[:, :width]
        best = np.take_along_axis(exact, order, axis=1)
        scores[rows[part]] = best
        places[rows[part]] = np.where(
            best > -np.inf, np.take_along_axis(at, order, axis=1), -1
        )
        # An item not fetched scored at most found[:, -1] in float32; the error
        # of a float32 inner product is within dim * 2**-24 * |u| * |v|.
        norm = np.sqrt(np.einsum("ukd,ukd->uk", users, users, dtype=np.float64))
        reach = norm.max(axis=1) * task.largest_norm
        error = (dim + 2) * 2.0**-24 * reach + dim * 2.0**-126
        sure[part] = (reach == 0) | (best[:, -1] > found[:, -1] + error)
        sure[part] |= found[:, -1] == -np.inf
    return sure | (depth >= task.size)
