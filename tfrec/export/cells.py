"""k-means cells of an inverted file, made when a model is exported."""

from __future__ import annotations

import numpy as np

SAMPLE = 64  # vectors a cell that k-means looks at
ROUNDS = 12
_CELLS = 1 << 24  # numbers in one block of distances


def kmeans(vectors: np.ndarray, cells: int, seed: int = 0) -> np.ndarray:
    """Lloyd's k-means on a sample: the centres of the cells.

    A cell that loses all its vectors starts again at the one farthest from its
    centre. Same seed, same centres.

    Shapes: `(items, dim)` in, `(cells, dim)` float32 out.

    >>> kmeans(np.array([[0.0], [0.1], [9.0], [9.1]], "float32"), 2).round(2).ravel()
    array([0.05, 9.05], dtype=float32)
    """
    random = np.random.default_rng(seed)
    most = min(len(vectors), SAMPLE * cells)
    sample = vectors[np.sort(random.choice(len(vectors), most, replace=False))]
    centres = sample[np.sort(random.choice(most, cells, replace=False))].copy()
    for _ in range(ROUNDS):
        near, gap = nearest(sample, centres)
        count = np.bincount(near, minlength=cells)
        order = np.argsort(near, kind="stable")
        filled = np.flatnonzero(count)
        starts = (np.cumsum(count) - count)[filled]
        sums = np.add.reduceat(sample[order].astype(np.float64), starts, axis=0)
        centres[filled] = sums / count[filled, None]
        empty = np.flatnonzero(count == 0)
        centres[empty] = sample[np.argsort(-gap, kind="stable")[: len(empty)]]
    return centres


def nearest(vectors: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each vector, and the squared distance to it.

    Shapes: `(items, dim)` and `(cells, dim)` in; `(items,)` int64 and float32 out.

    >>> nearest(np.array([[1.0]], "float32"), np.array([[0.0], [3.0]], "float32"))
    (array([0]), array([1.], dtype=float32))
    """
    near = np.empty(len(vectors), np.int64)
    gap = np.empty(len(vectors), np.float32)
    norm = (centres**2).sum(axis=1)
    step = max(1, _CELLS // len(centres))
    for start in range(0, len(vectors), step):
        part = slice(start, start + step)
        block = vectors[part]
        distance = norm - 2 * (block @ centres.T)
        near[part] = distance.argmin(axis=1)
        gap[part] = distance.min(axis=1) + (block**2).sum(axis=1)
    return near, gap
