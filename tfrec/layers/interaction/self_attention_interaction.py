"""Interacting layer of AutoInt (arXiv:1810.11921, section 4.4)."""

import math

import keras
from keras import ops

from tfrec import _checks
from tfrec.layers.basic.masked_softmax import masked_softmax


@keras.saving.register_keras_serializable(package="tfrec")
class SelfAttentionInteraction(keras.layers.Layer):
    """Each field becomes a mixture of all fields, weighted by how well they match.

    Head h: `a_mk = softmax_k <e_m Wq, e_k Wk>` (eq. 5), `f_m = sum_k a_mk e_k Wv`
    (eq. 6); the heads are put side by side (eq. 7) and `out_m = relu(f_m + e_m Wr)`
    (eq. 8). No biases. A second layer on top of the first mixes more than two
    fields. `attention(E)` gives a.

    Args:
        num_heads: int >= 1.
        units: int >= 1. Width of one head.
        scale: bool. Divide the scores by sqrt(units), which the paper does not do.
        seed: int >= 0 or None.

    Shapes: `(batch, fields, dim)` float in, `(batch, fields, num_heads * units)`
    out; head h is columns h units .. (h + 1) units - 1. Masks: `(batch, fields)`,
    True = real; other fields are not mixed in and come out as 0.
    Raises: `ValueError` on a bad argument or an input that is not rank 3.

    >>> SelfAttentionInteraction(num_heads=2, units=8)(ops.ones((2, 5, 4))).shape
    TensorShape([2, 5, 16])
    """

    def __init__(self, num_heads=2, units=32, scale=False, seed=None, **kwargs):
        super().__init__(**kwargs)
        _checks.positive_int(self, num_heads=num_heads, units=units)
        _checks.boolean(self, scale=scale)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.num_heads = int(num_heads)
        self.units = int(units)
        self.scale = scale
        self.seed = seed if seed is None else int(seed)
        self.supports_masking = True

    def build(self, input_shape):
        _checks.shape(self, inputs=(input_shape, "batch, fields, dim"))
        for place, name in enumerate(("query", "key", "value", "residual")):
            seed = None if self.seed is None else self.seed + place
            weight = self.add_weight(
                name=name,
                shape=(input_shape[2], self.num_heads * self.units),
                initializer=keras.initializers.GlorotUniform(seed=seed),
            )
            setattr(self, name, weight)

    def attention(self, inputs, mask=None):
        """What each field (axis 2) takes of each (axis 3), `(batch, heads, F, F)`.

        The layer must be built. Rows sum to 1, or are 0 where no field is real.
        """
        inputs = _cleared(ops.cast(inputs, self.compute_dtype), mask)
        queries, keys = (self._heads(inputs, w) for w in (self.query, self.key))
        scores = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2)))
        scores = ops.cast(scores, "float32")  # (B, H, F, F)
        if self.scale:
            scores = scores / math.sqrt(self.units)
        real = None if mask is None else ops.cast(mask, "bool")[:, None, None, :]
        return masked_softmax(scores, real)  # eq. 5

    def call(self, inputs, mask=None):
        e = _cleared(inputs, mask)
        values = self._heads(e, self.value)
        shares = ops.cast(self.attention(e, mask), values.dtype)
        mixed = ops.matmul(shares, values)  # (B, H, F, units), eq. 6
        fields = ops.shape(e)[1]
        mixed = ops.transpose(mixed, (0, 2, 1, 3))
        mixed = ops.reshape(mixed, (-1, fields, self.num_heads * self.units))  # eq. 7
        out = ops.relu(mixed + ops.matmul(e, self.residual))  # eq. 8
        return _cleared(out, mask)

    def _heads(self, e, weight):
        """`e W`, `(batch, heads, fields, units)`."""
        projected = ops.matmul(e, weight)
        shape = (-1, ops.shape(e)[1], self.num_heads, self.units)
        return ops.transpose(ops.reshape(projected, shape), (0, 2, 1, 3))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], self.num_heads * self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "units": self.units,
            "scale": self.scale,
            "seed": self.seed,
        }


def _cleared(fields, mask):
    """0 in the place of what is not real."""
    if mask is None:
        return fields
    real = ops.cast(mask, "bool")[:, :, None]
    return ops.where(real, fields, ops.zeros_like(fields))
