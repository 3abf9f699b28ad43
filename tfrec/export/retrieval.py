"""Top-k over the item matrix inside a graph: exact, or an inverted file."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.export.cells import kmeans, nearest

BLOCK = 1 << 26  # scores held at a time
NOTHING = -np.inf


def order_by_cell(vectors: np.ndarray, cells: int) -> tuple[np.ndarray, ...]:
    """(order of the items, centres, where each cell starts, and the end).

    Shapes: `(items, dim)` in; `(items,)`, `(cells, dim)`, `(cells + 1,)` out.

    >>> order_by_cell(np.array([[9.0], [0.0], [9.1]], "float32"), 2)[0].tolist()
    [1, 0, 2]
    """
    centres = kmeans(vectors, cells)
    centres = centres[np.lexsort(centres.T[::-1])]
    near, _ = nearest(vectors, centres)
    order = np.argsort(near, kind="stable")
    starts = np.searchsorted(near[order], np.arange(cells + 1))
    return order, centres, starts.astype(np.int32)


class Retrieval(tf.Module):
    """The best allowed items of each user, exactly; with cells, of the cells probed.

    `score(u, i) = max over interests j of u[j] . v[i]`, so an item that several
    interests find stands once. What may not be given is masked before the top-k.
    A user nobody knows is given the popular items. With cells, items of the
    `probes` cells whose centres score best are searched; users with an allow-list,
    users nobody knows, and those whose cells hold too few allowed items are
    searched exactly.

    Args:
        vectors: float32 array, items in their order (of cells, where there are).
        popularity: float32 array, one number an item.
        centres, starts: as `order_by_cell` gives them, or None: no cells.

    Shapes: `vectors` is `(items, dim)`, `popularity` `(items,)`.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        popularity: np.ndarray,
        centres: np.ndarray | None = None,
        starts: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.size = len(vectors)
        self.vectors = tf.Variable(vectors, trainable=False)
        self.popularity = tf.Variable(popularity, trainable=False)
        self.centres = None
        if centres is not None:
            self.centres = tf.Variable(centres, trainable=False)
            self.starts = tf.Variable(starts, trainable=False)

    def __call__(
        self,
        users: tf.Tensor,
        known: tf.Tensor,
        exclude: tf.Tensor,
        allow: tf.Tensor,
        restricted: tf.Tensor,
        width: tf.Tensor,
        probes: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores and places of the items found, best first; left over: -inf.

        Args:
            users: float32 vectors.
            known: bool; False: popular items instead.
            exclude, allow: int64 places, -1 for none.
            restricted: bool; True: only places in `allow`.
            width: int32 scalar in 1..items.
            probes: int32 scalar; cells searched by each interest.

        Shapes: `(batch, interests, dim)`, `(batch,)`, `(batch, any)` twice,
        `(batch,)` in; float32 and int32 `(batch, width)` out.
        """
        if self.centres is None:
            return self._blocks(users, known, exclude, allow, restricted, width)
        return by_row(
            lambda row: self._probe(*row, width, probes),
            (users, known, exclude, allow, restricted),
            width,
            (tf.float32, tf.int32),
        )

    def _blocks(self, users, known, exclude, allow, restricted, width):
        """Users in blocks whose scores fit into memory."""
        rows, interests = tf.shape(users)[0], tf.shape(users)[1]
        step = tf.maximum(BLOCK // (self.size * interests), 1)
        blocks = tf.maximum((rows + step - 1) // step, 1)

        def search(block, scores, places):
            part = slice(block * step, (block + 1) * step)
            inputs = users, known, exclude, allow, restricted
            found = self._exact(*(tensor[part] for tensor in inputs), width)
            return (
                block + 1,
                scores.write(block, found[0]),
                places.write(block, found[1]),
            )

        empty = [
            tf.TensorArray(dtype, blocks, infer_shape=False, element_shape=[None, None])
            for dtype in (tf.float32, tf.int32)
        ]
        _, scores, places = tf.while_loop(
            lambda block, *_: block < blocks,
            search,
            (0, *empty),
            parallel_iterations=1,
        )
        return scores.concat(), places.concat()

    def _exact(self, users, known, exclude, allow, restricted, width):
        rows, interests = tf.shape(users)[0], tf.shape(users)[1]
        flat = tf.reshape(users, [-1, self.vectors.shape[1]])
        scores = tf.matmul(flat, self.vectors, transpose_b=True)
        if users.shape[1] != 1:
            scores = tf.reshape(scores, [rows, interests, self.size])
            scores = tf.reduce_max(scores, axis=1)  # (B, N)
        scores = tf.cond(
            tf.reduce_all(known),
            lambda: scores,
            lambda: tf.where(known[:, None], scores, self.popularity[None]),
        )
        scores = tf.cond(
            tf.reduce_any(restricted),
            lambda: _only(scores, allow, restricted),
            lambda: scores,
        )
        cells = _cells(exclude)
        banned = tf.fill([tf.shape(cells)[0]], NOTHING)
        scores = tf.tensor_scatter_nd_update(scores, cells, banned)
        return tf.math.top_k(scores, width)

    def _probe(self, users, known, exclude, allow, restricted, width, probes):
        """One user: `(interests, dim)`, scalars and `(any,)`."""

        def exact():
            one = users, known, exclude, allow, restricted
            found = self._exact(*(tensor[None] for tensor in one), width)
            return found[0][0], found[1][0]

        def near():
            at_centres = tf.matmul(users, self.centres, transpose_b=True)
            most = tf.clip_by_value(probes, 1, self.centres.shape[0])
            cells = tf.math.top_k(at_centres, most).indices
            cells, _ = tf.unique(tf.reshape(cells, [-1]))
            starts, ends = (tf.gather(self.starts, cells + step) for step in (0, 1))
            places = tf.ragged.range(starts, ends).flat_values
            vectors = tf.gather(self.vectors, places)
            scores = tf.matmul(users, vectors, transpose_b=True)
            scores = tf.reduce_max(scores, axis=0)
            scores = tf.where(_member(places, exclude), NOTHING, scores)
            scores = tf.concat([scores, tf.fill([width], NOTHING)], axis=0)
            places = tf.concat([places, tf.zeros([width], tf.int32)], axis=0)
            best, at = tf.math.top_k(scores, width)
            return best, tf.gather(places, at)

        def probed():
            best, places = near()
            return tf.cond(best[-1] > NOTHING, lambda: (best, places), exact)

        return tf.cond(known & ~restricted, probed, exact)


def by_row(function: Any, rows: Any, width: tf.Tensor, dtypes: Any) -> Any:
    """A function of one row, which gives `(width,)`, over the rows; 0 rows too."""
    signature = tf.nest.map_structure(lambda d: tf.TensorSpec([None], d), dtypes)
    return tf.cond(
        tf.shape(tf.nest.flatten(rows)[-1])[0] > 0,
        lambda: tf.map_fn(function, rows, fn_output_signature=signature),
        lambda: tf.nest.map_structure(lambda d: tf.zeros([0, width], d), dtypes),
    )


def _cells(places: tf.Tensor) -> tf.Tensor:
    """(row, place) of all that are places."""
    at = tf.where(places >= 0)
    return tf.stack([at[:, 0], tf.gather_nd(places, at)], axis=1)


def _only(scores: tf.Tensor, allow: tf.Tensor, restricted: tf.Tensor) -> tf.Tensor:
    """The scores of restricted rows, -inf but for what they allow."""
    cells = _cells(allow)
    kept = tf.gather_nd(scores, cells)
    nothing = tf.fill(tf.shape(scores), NOTHING)
    only = tf.tensor_scatter_nd_update(nothing, cells, kept)
    return tf.where(restricted[:, None], only, scores)


def _member(places: tf.Tensor, of: tf.Tensor) -> tf.Tensor:
    """True where a place is one of those."""
    of = tf.sort(tf.concat([[-1], tf.cast(of, tf.int32)], axis=0))
    at = tf.searchsorted(of, places)
    return tf.gather(of, tf.minimum(at, tf.size(of) - 1)) == places
