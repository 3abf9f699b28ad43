"""Weighted masked pooling: the values of a set count as much as their weights say."""

import keras
from keras import ops

from tfrec import _checks

MODES = ("mean", "sum", "sqrtn")


@keras.saving.register_keras_serializable(package="tfrec")
class WeightedPooling(keras.layers.Layer):
    """One vector for each set of weighted values, from its real places only.

    Over the real places t: `sum` sum(w_t x_t), `mean` sum(w_t x_t) / sum(w_t),
    `sqrtn` sum(w_t x_t) / sqrt(sum(w_t^2)). A set without a real place, or whose
    divisor is 0, gives the zero vector.

    Args:
        mode: one of the three names.

    Call arguments:
        inputs: `[x, w]`, `(batch, time, dim)` and `(batch, time)` float.
        mask: `(batch, time)` bool, True = real; None: all are.

    Shapes: `(batch, dim)` out; sums run in float32. Masks: as said; what stands at
    masked places does not matter, NaN included.
    Raises: `ValueError` on an unknown mode or inputs of another rank.

    >>> x, w = ops.array([[[1.0], [4.0]]]), ops.array([[3.0, 1.0]])
    >>> WeightedPooling("mean")([x, w]).numpy().tolist()
    [[1.75]]
    """

    def __init__(self, mode="mean", **kwargs):
        super().__init__(**kwargs)
        _checks.one_of(self, MODES, mode=mode)
        self.mode = mode
        self.supports_masking = True

    def compute_mask(self, inputs, mask=None):
        return None  # one vector a row: nothing is left to mask

    def build(self, input_shape):
        if len(input_shape) != 2 or isinstance(input_shape[0], int):
            raise _checks.argument(self, "inputs", "must be [x, w]", input_shape)
        _checks.shape(self, x=(input_shape[0], "batch, time, dim"))
        _checks.shape(self, w=(input_shape[1], "batch, time"))

    def call(self, inputs, mask=None):
        x, weights = inputs
        if isinstance(mask, (list, tuple)):  # what Keras passes when none is given
            mask = mask[0]
        if mask is None:
            mask = ops.ones(ops.shape(weights), "bool")
        mask = ops.cast(mask, "bool")[:, :, None]  # (B, T, 1)
        dtype = keras.backend.result_type(x.dtype, "float32")
        w = ops.cast(weights, dtype)[:, :, None]
        w = ops.where(mask, w, ops.zeros_like(w))
        values = ops.cast(ops.where(mask, x, ops.zeros_like(x)), dtype)
        total = ops.sum(w * values, axis=1)  # (B, D)
        if self.mode == "mean":
            total = _divided(total, ops.sum(w, axis=1))
        elif self.mode == "sqrtn":
            total = _divided(total, ops.sqrt(ops.sum(ops.square(w), axis=1)))
        return ops.cast(total, x.dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], input_shape[0][2])

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}


def _divided(total, by):
    """`total / by`, 0 where `by` is 0, with finite gradients there."""
    zero = ops.equal(by, 0)
    return ops.where(zero, 0.0, total / ops.where(zero, ops.ones_like(by), by))
