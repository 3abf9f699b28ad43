"""Changes between versions: blocked, removed and added items, in one file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfrec import _checks
from tfrec.index import folder
from tfrec.index.tower import Tower

FILE = "overlay.npz"


@dataclass(frozen=True, eq=False)
class Overlay:
    """What `overlay.npz` holds.

    Args:
        blocked: ids never given, whatever the catalogue says.
        removed: ids that are gone until a refresh finds their rows.
        added: ids that are new, or whose vector is.
        vectors: float32, those of `added`.
        pair_id: str. The towers of the vectors.

    Shapes: ids `(any,)`, `vectors` `(added, dim)`.
    """

    blocked: np.ndarray
    removed: np.ndarray
    added: np.ndarray
    vectors: np.ndarray
    pair_id: str


def read(root: Path, dtype: str) -> Overlay:
    """The overlay of an index; empty where there is none."""
    kind = np.int64 if dtype == "int64" else np.str_
    none = np.empty(0, kind)
    if not (root / FILE).exists():
        return Overlay(none, none, none, np.empty((0, 0), np.float32), "")
    with np.load(root / FILE) as found:
        ids = {n: found[n].astype(kind) for n in ("blocked", "removed", "added")}
        return Overlay(**ids, vectors=found["vectors"], pair_id=str(found["pair_id"]))


def block(path: Any, ids: Iterable[Any]) -> None:
    """These items are not given from now on, in later versions neither."""
    _change(path, ids, lambda old, ids: {"blocked": np.union1d(old.blocked, ids)})


def unblock(path: Any, ids: Iterable[Any]) -> None:
    """These items may be given again."""
    _change(path, ids, lambda old, ids: {"blocked": np.setdiff1d(old.blocked, ids)})


def remove(path: Any, ids: Iterable[Any]) -> None:
    """These items are gone, until `add` brings one back.

    A refresh whose catalogue lacks them too forgets that they were removed.
    """

    def change(old: Overlay, ids: np.ndarray) -> dict[str, Any]:
        kept = ~np.isin(old.added, ids)
        return {
            "removed": np.union1d(old.removed, ids),
            "added": old.added[kept],
            "vectors": old.vectors[kept],
        }

    _change(path, ids, change)


def add(path: Any, saved_models: Any, rows: Any, *, address: str | None = None) -> int:
    """New or changed items, embedded now; the next refresh takes them over.

    Args:
        path: folder of the index.
        saved_models, address: as in `index.build`.
        rows: their rows, as the catalogue's.

    Returns: how many.
    Raises: `ValueError` when the towers are not those of the index.
    """
    facts = folder.facts(folder.current(path))
    tower = Tower(saved_models, address)
    tower.check(facts["pair_id"])
    found: dict[Any, np.ndarray] = {}
    for ids, columns, _ in tower.read(rows):
        found.update(zip(ids.to_pylist(), tower.embed(columns), strict=True))

    def change(old: Overlay, ids: np.ndarray) -> dict[str, Any]:
        stale = old.pair_id != tower.pair_id
        kept = np.zeros(len(old.added), bool) if stale else ~np.isin(old.added, ids)
        vectors = [old.vectors[kept]] if kept.any() else []
        return {
            "removed": np.setdiff1d(old.removed, ids),
            "added": np.concatenate([old.added[kept], ids]),
            "vectors": np.concatenate([*vectors, np.stack(list(found.values()))]),
            "pair_id": tower.pair_id,
        }

    if found:
        _change(path, found, change)
    return len(found)


def settle(root: Path, ids: pa.ChunkedArray, pair_id: str) -> None:
    """After a new version: forgets what its catalogue already says.

    Vectors of other towers go too. The caller holds the lock.
    """
    if not (root / FILE).exists():
        return
    there = ids.to_numpy()
    text = there.dtype == object
    there = there.astype(np.str_) if text else there
    old = read(root, "string" if text else "int64")
    same = old.pair_id == pair_id
    kept = ~np.isin(old.added, there) & same
    _write(
        root,
        replace(
            old,
            removed=old.removed[np.isin(old.removed, there)],
            added=old.added[kept],
            vectors=old.vectors[kept],
            pair_id=pair_id,
        ),
    )


def _change(path: Any, ids: Iterable[Any], change: Any) -> None:
    root = Path(path)
    dtype = folder.facts(folder.current(root))["dtype"]
    wanted = str if dtype == "string" else int
    ids = list(ids)
    for value in ids:
        if not (_checks.is_int(value) if wanted is int else isinstance(value, str)):
            rule = f"must hold ids of the index's type, {dtype}"
            raise _checks.argument("index", "ids", rule, value)
    array = np.array(ids, np.int64 if wanted is int else np.str_)
    with folder.locked(root):
        old = read(root, dtype)
        _write(root, replace(old, **change(old, array)))


def _write(root: Path, overlay: Overlay) -> None:
    partial = root / "overlay.partial.npz"
    np.savez(partial, **vars(overlay))
    os.replace(partial, root / FILE)
