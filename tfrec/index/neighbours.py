"""The places of the nearest vectors: exactly, or with faiss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

CHUNK = 65_536
SAMPLE = 64  # vectors a cell that k-means looks at


def faiss() -> Any:
    """The library.

    Raises: `ImportError` with the remedy.
    """
    try:
        import faiss as library
    except ImportError as error:
        raise ImportError(
            "index: `cells` needs faiss. Run `pip install tfrec[faiss]`, or pass "
            "cells=0 for exact search."
        ) from error
    return library


def vectors(version: Path) -> np.ndarray:
    """`vectors.npy` of a version, mapped into memory.

    Shapes: `(items, dim)` float32.
    """
    return np.load(version / "vectors.npy", mmap_mode="r")


def write(version: Path, rows: np.ndarray, cells: int) -> Any:
    """Trains and writes `index.faiss`; equal vectors give an equal file."""
    library = faiss()
    dim = rows.shape[1]
    centres = library.IndexFlatIP(dim)
    metric = library.METRIC_INNER_PRODUCT
    index = library.IndexIVFFlat(centres, dim, cells, metric)
    index.cp.min_points_per_centroid = 1
    index.cp.max_points_per_centroid = SAMPLE
    index.cp.seed = 1
    every = max(1, len(rows) // (SAMPLE * cells))
    index.train(np.ascontiguousarray(rows[::every]))
    for start in range(0, len(rows), CHUNK):
        index.add(np.ascontiguousarray(rows[start : start + CHUNK]))
    library.write_index(index, str(version / "index.faiss"))
    return index


def read(version: Path) -> Any:
    """`index.faiss` of a version; None where its search is exact."""
    file = version / "index.faiss"
    return faiss().read_index(str(file)) if file.exists() else None


def exact(
    rows: np.ndarray, queries: np.ndarray, k: int, hidden: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Places and scores of the k best, hidden places left out; -1 where none is.

    Shapes: `(items, dim)`, `(users, dim)` and `(any,)` in; `(users, k)` out.

    >>> exact(np.eye(2, dtype="float32"), np.array([[1.0, 2.0]], "float32"), 1, [1])
    (array([[0]]), array([[1.]], dtype=float32))
    """
    best = np.full((len(queries), k), -np.inf, np.float32)
    places = np.full((len(queries), k), -1)
    hidden = np.sort(hidden)
    for start in range(0, len(rows), CHUNK):
        scores = queries @ rows[start : start + CHUNK].T
        low, high = np.searchsorted(hidden, [start, start + CHUNK])
        scores[:, np.asarray(hidden[low:high], np.int64) - start] = -np.inf
        at = np.broadcast_to(start + np.arange(scores.shape[1]), scores.shape)
        best, places = merge(np.hstack([best, scores]), np.hstack([places, at]), k)
    return places, best


def near(
    index: Any, queries: np.ndarray, k: int, hidden: np.ndarray, probes: int
) -> tuple[np.ndarray, np.ndarray]:
    """`exact`, in the cells that faiss looks into; hidden ones never count."""
    library = faiss()
    selector = None
    if len(hidden):
        selector = library.IDSelectorNot(library.IDSelectorBatch(hidden))
    options = library.SearchParametersIVF(sel=selector, nprobe=probes)
    scores, places = index.search(queries, k, params=options)
    scores = np.where(places < 0, np.float32(-np.inf), scores)
    return places, scores


def merge(
    scores: np.ndarray, places: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of each row, equal scores in the order of the columns."""
    if scores.shape[1] > 4 * k:  # a full sort is the slowest part of a search
        some = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        limit = np.take_along_axis(scores, some, axis=1).min(axis=1, keepdims=True)
        ties = (scores >= limit).sum(axis=1).max() > k
        if not ties:
            some.sort(axis=1)
            scores = np.take_along_axis(scores, some, axis=1)
            places = np.take_along_axis(places, some, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    scores = np.take_along_axis(scores, order, axis=1)
    places = np.take_along_axis(places, order, axis=1)
    return scores, np.where(scores > -np.inf, places, -1)
