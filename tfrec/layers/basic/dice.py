"""Data-adaptive activation (Deep Interest Network, arXiv:1706.06978, section 5.3)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfrec")
class Dice(keras.layers.Layer):
    """PReLU whose bend follows the distribution of each unit.

    `f(s) = p s + (1 - p) alpha s`, `p = sigmoid((s - E[s]) / sqrt(Var[s] + 1e-8))`;
    alpha of each unit is learned from 0 on. In training E and Var are those of the
    batch; otherwise their moving averages, so that a row's answer does not depend on
    the other rows.

    Shapes: `(batch, ..., units)` float in, the same out. Masks: `(batch, ...)`, True
    = real; moments are those of the real entries, and masked entries become 0.
    Rows of sample weight 0 count in the moments: Keras does not show them to layers.

    >>> Dice()(ops.array([[-1.0, 0.0]])).shape
    TensorShape([1, 2])
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        self.norm = keras.layers.BatchNormalization(
            epsilon=1e-8, center=False, scale=False, dtype=self.dtype_policy
        )
        self.norm.build(input_shape)
        self.alpha = self.add_weight(
            name="alpha", shape=(input_shape[-1],), initializer="zeros"
        )

    def call(self, inputs, training=False, mask=None):
        s = inputs
        if mask is not None:
            s = ops.where(ops.expand_dims(mask, -1), s, ops.zeros_like(s))
        p = ops.sigmoid(self.norm(s, training=training, mask=mask))
        return p * s + (1 - p) * self.alpha * s

    def compute_output_shape(self, input_shape):
        return input_shape
