"""Item ids and their places in the catalogue, and lists of ids per user."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec import _checks


def as_ids(owner: str, name: str, values: Any) -> np.ndarray:
    """Ids as a one-dimensional array of int64, str or bytes.

    Args:
        owner: str. Whom an error names.
        name: str. The argument an error names.
        values: array-like, one-dimensional, of integers or of strings.

    Shapes: `(ids,)` in and out.
    Raises: `ValueError` on another rank, another type, a missing value or an
        integer beyond int64.

    >>> as_ids("top_k", "item_ids", ["a", "b"]).tolist()
    ['a', 'b']
    """
    ids = np.asarray(values)
    if ids.ndim != 1:
        _checks.shape(owner, **{name: (ids.shape, "ids")})
    if ids.size == 0:
        return ids.astype(np.int64) if ids.dtype.kind in "fO" else ids
    if ids.dtype.kind in "iu":
        if ids.dtype.kind == "u" and ids.max() > np.iinfo(np.int64).max:
            raise _checks.argument(owner, name, "must fit into int64", int(ids.max()))
        return ids.astype(np.int64, copy=False)
    if ids.dtype.kind in "US" and hasattr(values, "dtype"):
        return ids
    # NumPy turns ["a", 1, nan] into strings: look at what was given.
    given = ids.tolist() if hasattr(values, "dtype") else list(values)
    for kind, same in ((str, str), (bytes, bytes), (np.int64, (int, np.integer))):
        if all(isinstance(x, same) and not isinstance(x, bool) for x in given):
            try:
                return np.array(given, dtype=kind)
            except OverflowError:
                shown = max(given, key=abs)
                rule = "must fit into int64"
                raise _checks.argument(owner, name, rule, shown) from None
    shown = ", ".join(sorted({type(x).__name__ for x in given}))
    rule = "must be all integers or all strings, none missing"
    raise _checks.argument(owner, name, rule, shown)


def flatten(owner: str, name: str, lists: Any, rows: int) -> tuple[Any, np.ndarray]:
    """One list of ids per row, laid end to end.

    Args:
        owner: str. Whom an error names.
        name: str. The argument an error names.
        lists: sequence of `rows` entries: array-likes of ids, empty, or None.
        rows: int. How many entries there must be.

    Shapes: returns ids `(entries,)` and the row each belongs to `(entries,)`.
    Raises: `ValueError` on another number of lists, or mixed kinds of ids.

    >>> flatten("top_k", "exclude", [[7, 8], None, [9]], 3)
    (array([7, 8, 9]), array([0, 0, 2]))
    """
    if isinstance(lists, (str, bytes)) or not hasattr(lists, "__len__"):
        rule = "must be a sequence with one array of ids per user"
        raise _checks.argument(owner, name, rule, lists)
    if len(lists) != rows:
        rule = f"must have one array of ids for each of the {rows} users"
        raise _checks.argument(owner, name, rule, f"{len(lists)} entries")
    parts = [
        as_ids(owner, name, () if entry is None else entry) for entry in entries(lists)
    ]
    row = np.repeat(np.arange(rows), [len(part) for part in parts])
    parts = [part for part in parts if len(part)]
    if not parts:
        return np.empty(0, np.int64), row
    kinds = {part.dtype.kind for part in parts}
    if len(kinds) > 1:
        rule = "must hold ids of one kind"
        raise _checks.argument(owner, name, rule, " and ".join(map(_kind, kinds)))
    return np.concatenate(parts), row


def entries(lists: Any) -> Any:
    """`lists` to be walked and sliced by place: a pandas Series goes by label.

    >>> entries([[1], [2]])
    [[1], [2]]
    """
    return lists.to_numpy() if hasattr(lists, "to_numpy") else lists


def _kind(kind: str) -> str:
    return {"i": "integers", "U": "strings", "S": "bytes"}[kind]


class Catalogue:
    """The items, in the order of their vectors, and the way back from an id.

    Args:
        owner: str. Whom an error names.
        size: int >= 1. How many items there are.
        item_ids: array-like of `size` distinct ids, or None: the ids are the
            places 0..size-1 themselves.

    Raises: `ValueError` on duplicate ids or on another number of ids.

    >>> items = Catalogue("top_k", 3, ["b", "a", "c"])
    >>> items.places("exclude", np.array(["a", "z"])).tolist()
    [1, -1]
    """

    def __init__(self, owner: str, size: int, item_ids: Any = None):
        self.owner = owner
        self.size = size
        self.item_ids = None
        if item_ids is None:
            return
        self.item_ids = as_ids(owner, "item_ids", item_ids)
        if len(self.item_ids) != size:
            rule = f"must have one id for each of the {size} items"
            received = f"{len(self.item_ids)} ids"
            raise _checks.argument(owner, "item_ids", rule, received)
        self._order = np.argsort(self.item_ids, kind="stable")
        self._sorted = self.item_ids[self._order]
        same = np.flatnonzero(self._sorted[1:] == self._sorted[:-1])
        if len(same):
            first = np.unique(self._sorted[same])[:5].tolist()
            rule = "must not hold an id twice"
            way_out = "Keep one vector for each item."
            raise _checks.argument(owner, "item_ids", rule, first, way_out)

    def places(self, name: str, ids: np.ndarray) -> np.ndarray:
        """Where each id stands; -1 when the catalogue does not have it.

        Args:
            name: str. The argument an error names.
            ids: array as `as_ids` gives it.

        Shapes: `(ids,)` in, int64 `(ids,)` out.
        Raises: `ValueError` when the ids are of another kind than the
            catalogue's, or, without `item_ids`, not in 0..size-1.

        >>> Catalogue("top_k", 3).places("exclude", np.array([2])).tolist()
        [2]
        """
        if len(ids) == 0:
            return np.empty(0, np.int64)
        wanted = "i" if self.item_ids is None else self.item_ids.dtype.kind
        if ids.dtype.kind != wanted:
            rule = f"must hold {_kind(wanted)}, as the item ids are"
            received = ids[:5].tolist()
            raise _checks.argument(self.owner, name, rule, received)
        if self.item_ids is None:
            outside = (ids < 0) | (ids >= self.size)
            if outside.any():
                rule = f"must hold item indices in 0..{self.size - 1}"
                received = ids[outside][:5].tolist()
                way_out = "Pass `item_ids` if these are ids."
                raise _checks.argument(self.owner, name, rule, received, way_out)
            return ids
        at = np.minimum(np.searchsorted(self._sorted, ids), self.size - 1)
        return np.where(self._sorted[at] == ids, self._order[at], -1)

    def ids(self, places: np.ndarray) -> np.ndarray:
        """The ids at `places`; place -1 gives -1, or "" where ids are strings.

        Shapes: any in, the same out.

        >>> Catalogue("top_k", 2, ["b", "a"]).ids(np.array([1, -1])).tolist()
        ['a', '']
        """
        if self.item_ids is None:
            return places.copy()
        found = self.item_ids[places]
        found[places < 0] = -1 if found.dtype.kind == "i" else found.dtype.type()
        return found
