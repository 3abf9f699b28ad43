"""The one door to TensorFlow Recommenders' `tfrs.layers.factorized_top_k`.

TensorFlow Recommenders is written against the legacy `tf.keras`. It is imported
on first use only; nothing else in tfrec touches `tf.keras`.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

_SWITCH = "TF_USE_LEGACY_KERAS"
_REMEDY = (
    "TensorFlow Recommenders: `tf.keras` must be the legacy Keras (tf_keras). "
    "Received: tf.keras of Keras {version}, in use before the first top-k. Write "
    "`import keras` in place of `tf.keras`, or set the environment variable "
    "TF_USE_LEGACY_KERAS=1 before TensorFlow starts."
)


def layers() -> Any:
    """The module `tfrs.layers.factorized_top_k`.

    Sets `TF_USE_LEGACY_KERAS=1` for this process where `tf.keras` has not been
    used yet; Keras 3 itself (`import keras`) is not affected.

    Raises: `ImportError` when `tf.keras` already is Keras 3 in this process.

    >>> layers().BruteForce.__name__
    'BruteForce'
    """
    import tensorflow as tf

    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "1"
    if hasattr(tf.keras, "version"):  # Keras 3; the legacy one has none
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before
        raise ImportError(_REMEDY.format(version=tf.keras.version()))
    from tensorflow_recommenders.layers import factorized_top_k

    return factorized_top_k


class BruteForce:
    """Best items by inner product among a chunk of the catalogue.

    `tfrs.layers.factorized_top_k.BruteForce` on the CPU, so that memory is the
    host's and float32 is full float32.

    Args:
        item_vectors: float32 array. Copied.

    Shapes: `item_vectors` is `(items, dim)`.
    Raises: `ImportError` as `layers` does.

    >>> scores, places = BruteForce(np.eye(3, dtype="float32")).search(
    ...     np.array([[0, 2, 1]], "float32"), 2)
    >>> scores.tolist(), places.tolist()
    ([[2.0, 1.0]], [[1, 2]])
    """

    def __init__(self, item_vectors: np.ndarray):
        import tensorflow as tf

        with tf.device("CPU:0"):
            self._index = layers().BruteForce()
            self._index.index(tf.constant(item_vectors, tf.float32))

    def search(self, user_vectors: np.ndarray, k: int) -> tuple[Any, Any]:
        """Scores and places of the `k` best items, best first.

        Shapes: `(users, dim)` in; float32 and int32 `(users, k)` out.
        Raises: nothing of its own; `k` may not exceed the number of items.
        """
        import tensorflow as tf

        with tf.device("CPU:0"):
            queries = tf.constant(user_vectors, tf.float32)
            scores, places = self._index(queries, k=k)
        return scores.numpy(), places.numpy()


def largest(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` largest scores of each row and their columns, best first.

    Equal scores: the lower column first (`tf.math.top_k` promises it).

    Shapes: `(rows, columns)` in; `(rows, k)` and int32 `(rows, k)` out.
    Raises: nothing of its own; `k` may not exceed the number of columns.

    >>> scores, columns = largest(np.array([[1.0, 3.0, 3.0]]), 2)
    >>> scores.tolist(), columns.tolist()
    ([[3.0, 3.0]], [[1, 2]])
    """
    import tensorflow as tf

    with tf.device("CPU:0"):
        best, columns = tf.math.top_k(tf.constant(scores), k=k)
    return best.numpy(), columns.numpy()
