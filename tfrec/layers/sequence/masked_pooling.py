"""Masked pooling over time: mean, sum, sqrtn, max, last."""

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

    Shapes: `(batch, dim)` out. Masks: as said; what stands at masked steps does
    not matter, NaN included.
    Raises: `ValueError` on an unknown mode or an input that is not rank 3.

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
        mask = ops.cast(mask, "bool")[:, :, None]
        x = ops.where(mask, inputs, ops.zeros_like(inputs))  # (B, T, D)
        count = ops.sum(ops.cast(mask, x.dtype), axis=1)  # (B, 1)
        if self.mode == "max":
            low = ops.cast(-3e38 if x.dtype == "float32" else -6e4, x.dtype)
            if x.shape[1] == 0:
                return ops.zeros_like(x[:, 0:1, :])[:, 0, :]
            top = ops.max(ops.where(mask, inputs, low), axis=1)
            return ops.where(count > 0, top, ops.zeros_like(top))
        if self.mode == "last":
            steps = ops.cumsum(ops.cast(mask, "int32"), axis=1)  # 1, 2, .. n, n
            total = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
            is_last = mask & (steps == total)
            return ops.sum(ops.where(is_last, x, ops.zeros_like(x)), axis=1)
        total = ops.sum(x, axis=1)
        if self.mode == "sum":
            return total
        count = ops.maximum(count, 1)
        return total / (count if self.mode == "mean" else ops.sqrt(count))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2])

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}
