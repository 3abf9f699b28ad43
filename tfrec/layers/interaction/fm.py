"""Second-order factorisation machine (Rendle, ICDM 2010, eq. 1 and lemma 3.1)."""

import keras
from keras import ops

from tfrec import _checks


@keras.saving.register_keras_serializable(package="tfrec")
class FM(keras.layers.Layer):
    """Sum of the inner products of all pairs of fields, in linear time.

    `y = sum_{i<j} <e_i, e_j> = 1/2 sum_k [(sum_i e_ik)^2 - sum_i e_ik^2]`.

    Shapes: `(batch, fields, dim)` float in, `(batch, 1)` out, float32 inside: the
    two terms nearly cancel. One field gives 0. Masks: not used.
    Raises: `ValueError` on an input that is not rank 3.

    >>> FM()(ops.ones((2, 3, 4))).numpy().tolist()
    [[12.0], [12.0]]
    """

    def build(self, input_shape):
        _checks.shape(self, inputs=(input_shape, "batch, fields, dim"))

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        square_of_sum = ops.square(ops.sum(x, axis=1))  # (B, D)
        sum_of_squares = ops.sum(ops.square(x), axis=1)  # (B, D)
        pairs = 0.5 * ops.sum(square_of_sum - sum_of_squares, axis=1, keepdims=True)
        return ops.cast(pairs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)
