"""Items that a user may not be given, as cells of users x items."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec.evaluation.catalogue import Catalogue, flatten


class Exclusions:
    """Which items each user may not be given.

    Args:
        owner: str. Whom an error names.
        exclude: sequence of arrays of item ids, one per user, or None.
        users: int. How many users there are.
        catalogue: Catalogue. Ids it does not have are ignored.
        kept: int64 array of the items that take part, ascending, or None: all.

    Shapes: `kept` is `(items,)`.
    Raises: `ValueError` as `catalogue.flatten` and `Catalogue.places` do.

    >>> seen = Exclusions("top_k", [[2], [0, 1]], 2, Catalogue("top_k", 3))
    >>> seen.counts.tolist(), seen.cells(np.array([1]), 1, 3)
    ([1, 2], (array([0]), array([0])))
    """

    def __init__(
        self,
        owner: str,
        exclude: Any,
        users: int,
        catalogue: Catalogue,
        kept: np.ndarray | None = None,
    ):
        self._items = catalogue.size
        keys = np.empty(0, np.int64)
        if exclude is not None:
            ids, row = flatten(owner, "exclude", exclude, users)
            places = catalogue.places("exclude", ids)
            if kept is not None:
                places = positions(kept, catalogue.size)[places]
            known = places >= 0
            keys = np.unique(row[known] * self._items + places[known])
        self._keys = keys
        self.counts = np.bincount(keys // self._items, minlength=users)

    def cells(self, rows: np.ndarray, start: int, stop: int) -> tuple[Any, Any]:
        """Excluded cells of the block `rows` x items start..stop-1.

        Shapes: `rows` is `(users,)`; returns row and column in the block, each
        `(cells,)`.

        >>> Exclusions("top_k", [[1]], 1, Catalogue("top_k", 2)).cells([0], 0, 2)
        (array([0]), array([1]))
        """
        base = np.asarray(rows) * self._items
        low = np.searchsorted(self._keys, base + start)
        count = np.searchsorted(self._keys, base + stop) - low
        row = np.repeat(np.arange(len(base)), count)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        return row, self._keys[low[row] + nth] % self._items - start

    def has(self, places: np.ndarray) -> np.ndarray:
        """Whether user i may not be given the item at `places[i]`.

        Shapes: `(users,)` in, bool `(users,)` out.

        >>> seen = Exclusions("top_k", [[1], []], 2, Catalogue("top_k", 2))
        >>> seen.has(np.array([1, 1])).tolist()
        [True, False]
        """
        return np.isin(np.arange(len(places)) * self._items + places, self._keys)


def positions(kept: np.ndarray, size: int) -> np.ndarray:
    """Where each of `size` items stands among the kept ones, -1 if it does not.

    Shapes: `(items kept,)` in, int64 `(size + 1,)` out; the last, which index
    -1 reads, is -1.

    >>> positions(np.array([0, 2]), 3).tolist()
    [0, -1, 1, -1]
    """
    found = np.full(size + 1, -1)
    found[kept] = np.arange(len(kept))
    return found
