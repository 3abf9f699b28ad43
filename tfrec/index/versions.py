"""`tfrec index build` and `refresh`: a catalogue's vectors, a version at a time."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec import _checks
from tfrec.index import folder, items, neighbours, overlay
from tfrec.index.tower import Tower

SAMPLE = 500
TOP = 10


def build(
    path: str | os.PathLike[str],
    saved_models: str | os.PathLike[str],
    catalogue: Any,
    *,
    address: str | None = None,
    cells: int = 0,
    probes: int = 16,
    min_recall: float = 0.9,
    queries: Any = None,
) -> dict[str, Any]:
    """Embeds a catalogue into a new version of the index at PATH.

    The catalogue is read a block at a time and vectors go to disk as they come;
    memory holds the ids, and with cells the faiss index. Readers see the new
    version when it is complete, by one rename.

    Args:
        path: folder of the index; made when it is not there.
        saved_models: folder with the exported `item_tower`.
        catalogue: Parquet or CSV paths, or rows in memory; one row an item.
        address: `"host:port"` of a server of that tower, or None: in this process.
        cells: int >= 0. 0: exact search. Else a faiss inverted file of so many
            cells; needs `pip install tfrec[faiss]`.
        probes: int >= 1. Cells that a search looks into.
        min_recall: number in [0, 1]. The index must find that share of the exact
            ten best, averaged over queries, before it is shown.
        queries: user vectors `(users, dim)` for that; None: 500 of the items.

    Returns: what the version's `index.json` says, and how many were embedded.
    Raises: `ValueError` on a bad catalogue, and when recall is too low: the
    current version stays; `ImportError` without faiss where it is needed.
    """
    return _run(
        path, saved_models, catalogue, address, cells, probes, min_recall, queries
    )


def refresh(
    path: str | os.PathLike[str],
    saved_models: str | os.PathLike[str],
    catalogue: Any,
    *,
    address: str | None = None,
    min_recall: float = 0.9,
    queries: Any = None,
) -> dict[str, Any]:
    """A new version from the whole catalogue that embeds only what changed.

    A row whose item columns are those of the current version keeps its vector. The
    files are bit-equal to those of `build`. Cells and probes stay as they are.
    What the overlay added or removed, and the catalogue now has or lacks, leaves
    the overlay.

    Arguments, what is returned and raised: as `build`; `ValueError` too when the
    index is of another pair of towers.
    """
    version = folder.current(path)
    facts = folder.facts(version)
    cells, probes = facts["cells"], facts["probes"]
    return _run(
        path,
        saved_models,
        catalogue,
        address,
        cells,
        probes,
        min_recall,
        queries,
        version,
    )


def _run(
    path: Any,
    saved_models: Any,
    catalogue: Any,
    address: str | None,
    cells: int,
    probes: int,
    min_recall: float,
    queries: Any,
    old: Path | None = None,
) -> dict[str, Any]:
    _checks.integer("index", cells=cells)
    _checks.positive_int("index", probes=probes)
    _checks.number("index", 0, 1, min_recall=min_recall)
    if cells:
        neighbours.faiss()
    tower, root = Tower(saved_models, address), Path(path)
    if old is not None:
        tower.check(folder.facts(old)["pair_id"])
    with folder.locked(root):
        with folder.new_version(root) as place:
            embedded = _write(place, tower, catalogue, old)
            table = items.read(place)
            items.check_distinct(table)
            if not len(table):
                raise _checks.argument("index", "catalogue", "must hold an item", 0)
            facts = {
                "format": 1,
                "pair_id": tower.pair_id,
                "item_id": tower.item_id,
                "dtype": tower.spec[tower.item_id].dtype,
                "items": len(table),
                "dim": tower.dim,
                "cells": cells,
                "probes": probes,
            }
            if cells:
                recall = _index(place, cells, probes, queries)
                if not recall >= min_recall:
                    rule = f"must be reached: {min_recall} of the exact {TOP} best"
                    way_out = "The current version stays. Raise `probes`."
                    raise _checks.argument(
                        "index", "min_recall", rule, round(recall, 4), way_out
                    )
                facts["recall"] = round(recall, 6)
            text = json.dumps(facts, indent=2) + "\n"
            (place / "index.json").write_text(text, encoding="utf-8")
        overlay.settle(root, table["item_id"], tower.pair_id)
    return {**facts, "embedded": embedded}


def _write(place: Path, tower: Tower, catalogue: Any, old: Path | None) -> int:
    """Writes `vectors.npy` and `items.parquet`; returns how many were embedded."""
    before = None if old is None else (items.read(old), neighbours.vectors(old))
    embedded = rows = 0
    is_text = tower.spec[tower.item_id].dtype == "string"
    schema = items.schema(is_text)
    with (
        open(place / "vectors.npy", "wb") as stream,
        pq.ParquetWriter(place / "items.parquet", schema) as writer,
    ):
        _header(stream, 0, tower.dim)
        for ids, columns, hashes in tower.read(catalogue):
            kept = np.full(len(ids), -1)
            if before is not None:
                kept = items.unchanged(before[0], ids, hashes)
            found = np.empty((len(ids), tower.dim), np.float32)
            new = kept < 0
            if before is not None and not new.all():
                found[~new] = before[1][kept[~new]]
            if new.any():
                found[new] = tower.embed({n: v[new] for n, v in columns.items()})
            if not np.isfinite(found).all():
                rule = "must give finite vectors"
                raise _checks.argument("index", "saved_models", rule, "NaN or inf")
            stream.write(found.tobytes())
            writer.write_table(pa.table([ids, hashes], schema=schema))
            embedded, rows = embedded + int(new.sum()), rows + len(ids)
        stream.seek(0)
        _header(stream, rows, tower.dim)
    return embedded


def _header(stream: Any, rows: int, dim: int) -> None:
    """NumPy leaves room for the first axis to grow: the length stays the same."""
    told = {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)}
    np.lib.format.write_array_header_1_0(stream, told)


def _index(place: Path, cells: int, probes: int, queries: Any) -> float:
    """Writes `index.faiss`; returns its recall against exact search."""
    vectors = neighbours.vectors(place)
    if cells > len(vectors):
        rule = f"must be at most the {len(vectors)} items of the catalogue"
        raise _checks.argument("index", "cells", rule, cells)
    index = neighbours.write(place, vectors, cells)
    if queries is None:
        every = max(1, len(vectors) // SAMPLE)
        queries = vectors[::every][:SAMPLE]
    queries = np.ascontiguousarray(queries, np.float32)
    _checks.shape("index", queries=(queries.shape, f"users, {vectors.shape[1]}"))
    none = np.empty(0, np.int64)
    exact, _ = neighbours.exact(vectors, queries, TOP, none)
    found, _ = neighbours.near(index, queries, TOP, none, probes)
    hits = [
        len(set(a[a >= 0]) & set(b[b >= 0])) / max(1, (a >= 0).sum())
        for a, b in zip(exact, found, strict=True)
    ]
    return float(np.mean(hits))
