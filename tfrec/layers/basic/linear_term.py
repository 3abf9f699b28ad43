"""First-order part of a factorisation machine (Rendle, ICDM 2010, eq. 1)."""

import keras
from keras import ops

from tfrec import _checks


@keras.saving.register_keras_serializable(package="tfrec")
class LinearTerm(keras.layers.Layer):
    """`y = b + sum_f l_f + sum_n w_n x_n`; b and w start at 0.

    Args:
        kwargs: of `keras.layers.Layer`.

    Shapes: `[l]` or `[l, x]` in: `l` `(batch, fields)`, weights that were looked
    up, `x` `(batch, n)`, numbers. `(batch, 1)` out.
    Raises: `ValueError` on an input that is not such a list.

    >>> LinearTerm()([ops.ones((2, 3)), ops.ones((2, 1))]).numpy().tolist()
    [[3.0], [3.0]]
    """

    def build(self, input_shape):
        shapes = input_shape if isinstance(input_shape[0], (tuple, list)) else ()
        if not 1 <= len(shapes) <= 2:
            raise _checks.argument(self, "inputs", "must be [l] or [l, x]", input_shape)
        for name, shape in zip(("l", "x"), shapes, strict=False):
            _checks.shape(self, **{name: (shape, "batch, fields")})
        self.number_weights = None
        if len(shapes) == 2:
            self.number_weights = self.add_weight(
                name="number_weights", shape=(shapes[1][1], 1), initializer="zeros"
            )
        self.bias = self.add_weight(name="bias", shape=(1,), initializer="zeros")

    def call(self, inputs):
        logit = ops.sum(inputs[0], axis=1, keepdims=True) + self.bias
        if self.number_weights is not None:
            logit = logit + ops.matmul(inputs[1], self.number_weights)
        return logit

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], 1)
