"""Baselines that need no training loop: popularity, item-kNN, first-order Markov.

A model that does not beat them on its own data has a fault. Each has
`fit(user_ids, item_ids)`, `scores(histories)` and `recommend(histories, k)`, and
`item_ids`, the catalogue it was fitted on, ascending.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec import _checks
from tfrec.evaluation.catalogue import Catalogue, as_ids, entries, flatten
from tfrec.evaluation.topk import TopK, top_k_of_scores

_CELLS = 1 << 24  # scores made at a time


class Popularity:
    """Scores an item by how often it occurs, the same for everyone.

    `score(i) = number of rows of item i`.

    Shapes: `scores` gives float32 `(users, items)`.
    Raises: `ValueError` on bad ids; `RuntimeError` before `fit`.

    >>> Popularity().fit([1, 1, 2], ["a", "b", "b"]).recommend([[]], 2).ids
    array([['b', 'a']], dtype='<U1')
    """

    def fit(self, user_ids: Any, item_ids: Any, timestamps: Any = None) -> Popularity:
        """Counts the rows of each item; `timestamps` are not used."""
        self.item_ids, _, items = _log("Popularity", user_ids, item_ids, timestamps)
        self.counts = np.bincount(items, minlength=len(self.item_ids))
        return self

    def scores(self, histories: Any) -> np.ndarray:
        """The score of every item for each history; the history does not matter."""
        _fitted(self, "counts")
        flatten("Popularity", "histories", histories, _users(self, histories))
        return np.tile(self.counts.astype(np.float32), (len(histories), 1))

    def recommend(self, histories: Any, k: int, *, exclude: Any = None) -> TopK:
        """The k items of the highest score; see `tfrec.evaluation.top_k`."""
        return _recommend(self, histories, k, exclude)


class ItemToItem:
    """Item-kNN: items that the same users had as those of the history.

    `sim(i, j) = c(i, j) / (sqrt(n(i) n(j)) + shrinkage)`, c(i, j) users with
    both, n(i) users with i, each user counted once; every item keeps its
    `num_neighbors` most similar ones; `score(j) = sum over i in the history of
    sim(i, j)` (cosine: Sarwar et al., WWW 2001, section 3.1; shrinkage: Dacrema
    et al., RecSys 2019). Needs scipy.

    Args:
        num_neighbors: int >= 1. Similar items kept for each item.
        shrinkage: number >= 0, in users. Lowers what few users support.

    Shapes: `scores` gives float32 `(users, items)`.
    Raises: `ValueError` on a bad argument or bad ids; `RuntimeError` before `fit`.

    >>> knn = ItemToItem().fit([1, 1, 2, 2, 3], ["a", "b", "a", "b", "c"])
    >>> knn.scores([["a"]]).round(2).tolist()
    [[0.0, 1.0, 0.0]]
    """

    def __init__(self, num_neighbors: int = 100, shrinkage: float = 0.0):
        _checks.positive_int(self, num_neighbors=num_neighbors)
        _checks.number(self, 0, shrinkage=shrinkage)
        self.num_neighbors = num_neighbors
        self.shrinkage = shrinkage

    def fit(self, user_ids: Any, item_ids: Any, timestamps: Any = None) -> ItemToItem:
        """Counts the users that had two items; `timestamps` are not used."""
        from scipy import sparse

        self.item_ids, users, items = _log("ItemToItem", user_ids, item_ids, timestamps)
        shape = (int(users.max(initial=-1)) + 1, len(self.item_ids))
        seen = sparse.csr_matrix((np.ones(len(users)), (users, items)), shape)
        seen.data[:] = 1.0  # a user counts once, however often the pair occurs
        had = np.asarray(seen.sum(axis=0)).ravel()
        columns = seen.tocsc()
        blocks = []
        step = max(1, _CELLS // shape[1])
        for low in range(0, shape[1], step):
            both = (columns[:, low : low + step].T @ seen).tocoo()
            row, column = both.row + low, both.col
            value = both.data / (np.sqrt(had[row] * had[column]) + self.shrinkage)
            other = row != column
            row, column, value = row[other], column[other], value[other]
            order = np.lexsort((column, -value, row))  # equal: lower index first
            row, column, value = row[order], column[order], value[order]
            nth = np.arange(len(row)) - np.searchsorted(row, row)
            near = nth < self.num_neighbors
            blocks.append((row[near], column[near], value[near]))
        row, column, value = (
            np.concatenate(part) for part in zip(*blocks, strict=True)
        )
        square = (shape[1], shape[1])
        self.similarity = sparse.csr_matrix(
            (value.astype(np.float32), (row, column)), square
        )
        return self

    def scores(self, histories: Any) -> np.ndarray:
        """The score of every item for each history; an empty one gives zeros."""
        from scipy import sparse

        _fitted(self, "similarity")
        row, places = _history(self, histories)
        shape = (len(histories), len(self.item_ids))
        ones = np.ones(len(row), np.float32)
        seen = sparse.csr_matrix((ones, (row, places)), shape)
        seen.data[:] = 1.0
        return (seen @ self.similarity).toarray()

    def recommend(self, histories: Any, k: int, *, exclude: Any = None) -> TopK:
        """The k items of the highest score; see `tfrec.evaluation.top_k`."""
        return _recommend(self, histories, k, exclude)


class Markov:
    """First-order Markov chain: what came next after the last item of the history.

    `P(j | i) = (n(i, j) + p(j)) / (n(i) + 1)`, n(i, j) how often a user had j
    right after i, n(i) its sum over j, p(j) the popularity share of j: so items
    never seen after i stand in the order of popularity (the baseline of Rendle
    et al., FPMC, WWW 2010, section 3; Differs: a prior of weight 1). A history
    without a known item gives p. Needs scipy.

    Shapes: `scores` gives float32 `(users, items)`, rows sum to 1.
    Raises: `ValueError` on bad ids or timestamps; `RuntimeError` before `fit`.

    >>> Markov().fit([1, 1, 1], ["a", "b", "c"]).recommend([["a"]], 1).ids
    array([['b']], dtype='<U1')
    """

    def fit(self, user_ids: Any, item_ids: Any, timestamps: Any = None) -> Markov:
        """Counts successive items of each user, by `timestamps` or as they come.

        Rows of one user with one timestamp stay in the order given.
        """
        from scipy import sparse

        self.item_ids, users, items = _log("Markov", user_ids, item_ids, timestamps)
        size = len(self.item_ids)
        same = users[1:] == users[:-1]
        pairs = items[:-1][same], items[1:][same]
        self.transitions = sparse.csr_matrix(
            (np.ones(len(pairs[0]), np.float32), pairs), (size, size)
        )
        self.popularity = np.bincount(items, minlength=size) / len(items)
        return self

    def scores(self, histories: Any) -> np.ndarray:
        """The probability of every item to come next after each history."""
        _fitted(self, "transitions")
        row, places = _history(self, histories)
        last = np.full(len(histories), -1)
        last[row] = places  # the last of equal rows stays
        known = np.flatnonzero(last >= 0)
        scores = np.tile(self.popularity, (len(histories), 1))
        scores[known] += self.transitions[last[known]].toarray()
        return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)

    def recommend(self, histories: Any, k: int, *, exclude: Any = None) -> TopK:
        """The k items of the highest score; see `tfrec.evaluation.top_k`."""
        return _recommend(self, histories, k, exclude)


def _log(owner: str, user_ids: Any, item_ids: Any, timestamps: Any) -> Any:
    """The catalogue, and the rows' user and item numbers, users together."""
    users = as_ids(owner, "user_ids", user_ids)
    items = as_ids(owner, "item_ids", item_ids)
    _checks.shape(owner, item_ids=(items.shape, f"{len(users)}"))
    if len(items) == 0:
        raise _checks.argument(owner, "item_ids", "must have a row", [])
    _, users = np.unique(users, return_inverse=True)
    catalogue, items = np.unique(items, return_inverse=True)
    times = np.zeros(len(users)) if timestamps is None else np.asarray(timestamps)
    _checks.shape(owner, timestamps=(times.shape, f"{len(users)}"))
    if times.dtype.kind not in "iufM" or (times != times).any():
        rule = "must be numbers or datetimes, none missing"
        raise _checks.argument(owner, "timestamps", rule, times)
    order = np.lexsort((times, users))
    return catalogue, users[order], items[order]


def _fitted(model: Any, attribute: str) -> None:
    if not hasattr(model, attribute):
        name = type(model).__name__
        raise RuntimeError(f"{name}: `fit` must be called first. Received: no fit.")


def _users(model: Any, histories: Any) -> int:
    if hasattr(histories, "__len__") and not isinstance(histories, (str, bytes)):
        return len(histories)
    rule = "must be a sequence with one array of item ids per user"
    raise _checks.argument(model, "histories", rule, histories)


def _history(model: Any, histories: Any) -> tuple[np.ndarray, np.ndarray]:
    """User and place of each known item in the histories, in order."""
    owner = type(model).__name__
    ids, row = flatten(owner, "histories", histories, _users(model, histories))
    items = Catalogue(owner, len(model.item_ids), model.item_ids)
    places = items.places("histories", ids)
    return row[places >= 0], places[places >= 0]


def _recommend(model: Any, histories: Any, k: int, exclude: Any) -> TopK:
    owner = type(model).__name__
    users = _users(model, histories)
    _checks.positive_int(owner, k=k)
    _fitted(model, "item_ids")
    if exclude is not None:
        flatten(owner, "exclude", exclude, users)
    histories, exclude = entries(histories), entries(exclude)
    step = max(1, _CELLS // len(model.item_ids))
    parts = []
    for low in range(0, max(users, 1), step):
        part = slice(low, low + step)
        banned = None if exclude is None else exclude[part]
        scores = model.scores(histories[part])
        ids = model.item_ids
        parts.append(top_k_of_scores(scores, k, item_ids=ids, exclude=banned))
    fields = ("indices", "ids", "scores", "counts")
    return TopK(*(np.concatenate([getattr(p, f) for p in parts]) for f in fields))
