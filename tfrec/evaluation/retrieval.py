"""User vectors against a catalogue, in chunks: checks and exact scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tfrec import _checks
from tfrec.evaluation.catalogue import Catalogue
from tfrec.evaluation.exclusions import Exclusions


class Retrieval:
    """The checked inputs of `top_k` and `target_rank`, served in chunks.

    Args: as `top_k` has them, after `owner`, whom an error names.

    Shapes: `users` becomes float32 `(users, interests, dim)`.
    Raises: `ValueError` as `top_k` says.

    >>> Retrieval("top_k", np.ones((2, 4)), np.ones((3, 4))).users.shape
    (2, 1, 4)
    """

    def __init__(
        self,
        owner: str,
        user_vectors: Any,
        item_vectors: Any,
        *,
        item_ids: Any = None,
        exclude: Any = None,
        candidates: Any = None,
        num_interests: Any = None,
        user_chunk: int = 512,
        item_chunk: int = 32_768,
    ):
        _checks.positive_int(owner, user_chunk=user_chunk, item_chunk=item_chunk)
        self.users = _user_vectors(owner, user_vectors, num_interests)
        self.items = _vectors(owner, "item_vectors", item_vectors)
        count, interests, dim = self.users.shape
        _checks.shape(owner, item_vectors=(self.items.shape, f"items, {dim}"))
        if len(self.items) == 0:
            raise _checks.argument(owner, "item_vectors", "must have an item", [])
        self.catalogue = Catalogue(owner, len(self.items), item_ids)
        self.kept = _kept(owner, candidates, len(self.items))
        self.size = len(self.items) if self.kept is None else len(self.kept)
        self.exclusions = Exclusions(owner, exclude, count, self.catalogue, self.kept)
        self.user_chunk = max(1, user_chunk // interests)
        self.item_chunk = item_chunk
        self.largest_norm = self._check_range(owner)

    def _check_range(self, owner: str) -> float:
        most = _largest(owner, "user_vectors", self.users, np.arange(len(self.users)))
        square = item = 0.0
        for start, vectors in self.item_chunks():
            rows = np.arange(start, start + len(vectors))
            rows = rows if self.kept is None else self.kept[rows]
            item = max(item, _largest(owner, "item_vectors", vectors, rows))
            squares = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
            square = max(square, float(squares.max()))
        product = most * item * self.users.shape[2]
        if product > float(np.finfo(np.float32).max):
            rule = "must give scores within float32"
            received = f"a possible score of {product:.1e}"
            raise _checks.argument(owner, "user_vectors", rule, received)
        return square**0.5

    def item_chunks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The items that take part, as (start, float32 vectors).

        Shapes: each `(<= item_chunk, dim)`.
        """
        for start in range(0, self.size, self.item_chunk):
            run: Any = slice(start, min(start + self.item_chunk, self.size))
            yield (
                start,
                _float32(self.items[run if self.kept is None else self.kept[run]]),
            )

    def take(self, places: np.ndarray) -> np.ndarray:
        """float32 vectors of the items at `places` among those that take part.

        Shapes: `(...)` in, `(..., dim)` out.
        """
        places = places if self.kept is None else self.kept[places]
        return _float32(self.items[places])

    def user_chunks(self, rows: np.ndarray) -> Iterator[slice]:
        """Slices of `rows`, `user_chunk` vectors each.

        Shapes: `rows` is `(users,)`.
        """
        for start in range(0, len(rows), self.user_chunk):
            yield slice(start, min(start + self.user_chunk, len(rows)))


def exact_scores(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Inner products summed in float64, the best over interests, as float32.

    So that equal vectors have equal scores wherever they stand: a float32
    matrix product rounds the edges of its blocks in another order.

    Shapes: `(users, interests, dim)` and `(items, dim)` in; `(users, items)` out.

    >>> exact_scores(np.eye(2)[None], np.array([[3.0, 5.0]])).tolist()
    [[5.0]]
    """
    count, interests, dim = users.shape
    flat = users.reshape(-1, dim).astype(np.float64)
    scores = flat @ items.astype(np.float64).T
    scores = scores.reshape(count, interests, len(items))
    best = scores[:, 0]
    for other in range(1, interests):  # faster than max over a short middle axis
        np.maximum(best, scores[:, other], out=best)
    return best.astype(np.float32)


def exact_pairs(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """`exact_scores` of each user with items of its own.

    Shapes: `(users, interests, dim)` and `(users, items, dim)` in;
    `(users, items)` out.

    >>> exact_pairs(np.eye(2)[None], np.array([[[3.0, 5.0]]])).tolist()
    [[5.0]]
    """
    wide = users.astype(np.float64), items.astype(np.float64)
    return np.einsum("ukd,und->ukn", *wide).max(axis=1).astype(np.float32)


def _float32(vectors: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # too large becomes inf, which is refused
        return np.ascontiguousarray(vectors, dtype=np.float32)


def _vectors(owner: str, name: str, values: Any) -> np.ndarray:
    vectors = np.asarray(values)
    if vectors.dtype.kind not in "fiu":
        rule = "must be an array of numbers"
        raise _checks.argument(owner, name, rule, str(vectors.dtype))
    return vectors


def _user_vectors(owner: str, values: Any, num_interests: Any) -> np.ndarray:
    vectors = _vectors(owner, "user_vectors", values)
    if vectors.ndim == 2:
        vectors = vectors[:, None, :]
    if vectors.ndim != 3 or 0 in vectors.shape[1:]:
        rule = "must have shape (users, dim) or (users, interests, dim)"
        raise _checks.argument(owner, "user_vectors", rule, vectors.shape)
    vectors = _float32(vectors)
    if num_interests is None:
        return vectors
    live = np.asarray(num_interests)
    _checks.shape(owner, num_interests=(live.shape, f"{len(vectors)}"))
    most = vectors.shape[1]
    if live.dtype.kind not in "iu" or ((live < 1) | (live > most)).any():
        rule = f"must be ints in 1..{most}"
        raise _checks.argument(owner, "num_interests", rule, live.tolist())
    # The best over interests does not change when dead ones repeat the first.
    dead = np.arange(most) >= live[:, None]
    return np.where(dead[..., None], vectors[:, :1], vectors)


def _kept(owner: str, candidates: Any, items: int) -> np.ndarray | None:
    if candidates is None:
        return None
    mask = np.asarray(candidates)
    if mask.dtype != bool or mask.shape != (items,):
        rule = f"must be a bool array with one entry for each of the {items} items"
        received = f"{mask.dtype} of shape {mask.shape}"
        raise _checks.argument(owner, "candidates", rule, received)
    return np.flatnonzero(mask)


def _largest(owner: str, name: str, vectors: np.ndarray, rows: np.ndarray) -> float:
    if vectors.size == 0:
        return 0.0
    most = max(float(vectors.max()), -float(vectors.min()))
    if not np.isfinite(most):
        bad = np.argwhere(~np.isfinite(vectors))[0]
        rule = "must hold finite numbers within float32"
        received = f"{vectors[tuple(bad)]} in row {rows[bad[0]]}"
        raise _checks.argument(owner, name, rule, received)
    return most
