"""Masked pooling over time: mean, sum, sqrtn, max, last."""

import math

import keras
from keras import ops

from tfrec import _checks

MODES = ("mean", "sum", "sqrtn", "max", "last")


@keras.saving.register_keras_serializable(package="tfrec")
class MaskedPooling(keras.layers.Layer):
    """One vector for each sequence, from its real steps only.

    With the real steps t: `mean` sum(x_t) / n, `sum` sum(x_t), `sqrtn`
    sum(x_t) / sqrt(n), `max` max(x_t) by coordinate, `last` the x_t of the
    largest t. A sequence without a real step gives the zero vector.

    Args:
        mode: one of the five names.

    Call arguments:
        inputs: `(batch, time, dim)` float.
        mask: `(batch, time)` bool, True = real; None: all are.

    Shapes: `(batch, dim)` out; sums run in float32. Masks: as said; what stands
    at masked steps does not matter, NaN included.
    Raises: `ValueError` on an unknown mode, an input that is not rank 3 or a mask
    that is not rank 2.

    >>> x, mask = ops.array([[[1.0], [3.0], [9.0]]]), ops.array([[True, True, False]])
    >>> MaskedPooling("mean")(x, mask=mask).numpy().tolist()
    [[2.0]]
    """

    def __init__(self, mode="mean", **kwargs):
        super().__init__(**kwargs)
        _checks.one_of(self, MODES, mode=mode)
        self.mode = mode
        self.supports_masking = True

    def compute_mask(self, inputs, mask=None):
        return None  # one vector a row: nothing is left to mask

    def build(self, input_shape):
        _checks.shape(self, inputs=(input_shape, "batch, time, dim"))

    def call(self, inputs, mask=None):
        if mask is None:
            mask = ops.ones(ops.shape(inputs)[:2], "bool")
        _checks.shape(self, mask=(mask.shape, "batch, time"))
        mask = ops.cast(mask, "bool")[:, :, None]  # (B, T, 1)
        if self.mode == "max":
            low = ops.cast(-math.inf, inputs.dtype)
            top = ops.max(ops.where(mask, inputs, low), axis=1, initial=-math.inf)
            return ops.where(ops.any(mask, axis=1), top, ops.zeros_like(top))
        if self.mode == "last":
            steps = ops.cumsum(ops.cast(mask, "int32"), axis=1)  # 1, 2, .. n, n
            total = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
            mask = mask & (steps == total)
        x = ops.where(mask, inputs, ops.zeros_like(inputs))  # (B, T, D)
        x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        total = ops.sum(x, axis=1)
        count = ops.maximum(ops.sum(ops.cast(mask, x.dtype), axis=1), 1)  # (B, 1)
        if self.mode == "mean":
            total = total / count
        elif self.mode == "sqrtn":
            total = total / ops.sqrt(count)
        return ops.cast(total, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2])

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}
