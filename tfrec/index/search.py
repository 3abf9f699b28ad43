"""Searching an index that changes meanwhile."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec import _checks
from tfrec.index import folder, items, neighbours, overlay


class Index:
    """The nearest items of user vectors, with the overlay applied.

    A new version and a changed overlay are taken up by the next search; one that
    runs stays with what it began with.

    Args:
        path: folder that `index.build` wrote.
        pair_id: str or None. The towers that the queries come from; an index of
            others is refused, when opened and when it changes.

    Raises: `ValueError` when there is no index, or it is of another pair.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, pair_id: str | None = None
    ) -> None:
        self._root, self._wanted = Path(path), pair_id
        self._version: Path | None = None
        self._stamp: Any = None
        self._take_up()

    @property
    def pair_id(self) -> str:
        """The towers that the vectors come from."""
        return self._facts["pair_id"]

    def search(
        self,
        vectors: Any,
        k: int,
        *,
        exclude: Sequence[Sequence[Any]] | None = None,
        probes: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ids and scores of the k best items of each user, best first.

        Args:
            vectors: user vectors.
            k: int >= 1.
            exclude: item ids that each user may not be given, or None.
            probes: int >= 1, where the index has cells; None: as it was built.

        Shapes: `(users, dim)` or `(users, interests, dim)` in; `(users, k)` out,
        ids padded with "" or -1, scores with -inf.
        """
        _checks.positive_int("Index", k=k)
        self._take_up()
        queries = np.ascontiguousarray(vectors, np.float32)
        queries = queries[:, None] if queries.ndim == 2 else queries
        dim = self._vectors.shape[1]
        _checks.shape("Index", vectors=(queries.shape, f"users, interests, {dim}"))
        if exclude is None:
            exclude = [()] * len(queries)
        elif len(exclude) != len(queries):
            rule = f"must hold a list for each of the {len(queries)} users"
            raise _checks.argument("Index", "exclude", rule, len(exclude))
        probes = self._facts["probes"] if probes is None else probes
        _checks.positive_int("Index", probes=probes)
        text = self._facts["dtype"] == "string"
        ids = np.full((len(queries), k), "" if text else -1, object if text else int)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        for row, banned in enumerate(exclude):
            found, score = self._one(queries[row], k, list(banned), probes)
            ids[row, : len(found)], scores[row, : len(found)] = found, score
        return ids, scores

    def _one(self, interests: Any, k: int, banned: list[Any], probes: int) -> Any:
        """Ids and scores for one user, `(found,)`; every item once."""
        hidden = np.union1d(self._hidden, self._places(banned))
        if self._index is None:
            places, scores = neighbours.exact(self._vectors, interests, k, hidden)
        else:
            places, scores = neighbours.near(self._index, interests, k, hidden, probes)
        places, scores = places.ravel(), scores.ravel()
        ids = pc.take(self._ids, pa.array(places[places >= 0])).to_pylist()
        scores = scores[places >= 0].tolist()
        ban = {*banned, *self._overlay.blocked.tolist()}
        extra = (self._extra @ interests.T).max(axis=1) if len(self._extra) else []
        for value, score in zip(self._added, extra, strict=True):
            if value not in ban:
                ids.append(value)
                scores.append(score)
        best: dict[Any, float] = {}
        for at in np.argsort(-np.asarray(scores), kind="stable"):
            best.setdefault(ids[at], scores[at])
        found = list(best)[:k]
        return found, [best[value] for value in found]

    def _places(self, ids: Any) -> np.ndarray:
        """Rows of the version's vectors, of the ids that are there."""
        values = pa.array(np.asarray(ids).tolist(), self._ids.type)
        at = pc.index_in(values, self._ids)
        return np.asarray(pc.drop_null(at).to_numpy(zero_copy_only=False), np.int64)

    def _take_up(self) -> None:
        """Loads the version and the overlay where they are not those at hand."""
        stamp = self._stamp_of_overlay()
        version = folder.current(self._root)
        if version == self._version and stamp == self._stamp:
            return
        # A refresh shows its version, then takes out of the overlay what that says:
        # a version looked up after the overlay is never too old for it.
        over = overlay.read(self._root, folder.facts(version)["dtype"])
        version = folder.current(self._root)
        facts = folder.facts(version)
        if self._wanted is not None and facts["pair_id"] != self._wanted:
            rule = f"must be of the towers {facts['pair_id']}, as the index is"
            raise _checks.argument("Index", "pair_id", rule, self._wanted)
        if version != self._version:
            self._vectors = neighbours.vectors(version)
            self._ids = items.read(version)["item_id"].combine_chunks()
            self._index = neighbours.read(version)
        self._facts, self._overlay = facts, over
        fits = over.pair_id == facts["pair_id"]
        self._added = over.added.tolist() if fits else []
        self._extra = over.vectors if fits else over.vectors[:0]
        gone = [*over.blocked.tolist(), *over.removed.tolist(), *self._added]
        self._hidden = self._places(gone)
        self._version, self._stamp = version, stamp

    def _stamp_of_overlay(self) -> Any:
        try:
            told = os.stat(self._root / overlay.FILE)
        except FileNotFoundError:
            return None
        return told.st_ino, told.st_mtime_ns, told.st_size
