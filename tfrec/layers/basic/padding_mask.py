"""Mask of the ids that are not padding."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfrec")
class PaddingMask(keras.layers.Layer):
    """True where an id is not 0.

    Shapes: `(batch, time)` int in, `(batch, time)` bool out.

    >>> PaddingMask()(ops.array([[3, 0]])).numpy().tolist()
    [[True, False]]
    """

    def call(self, inputs):
        return ops.not_equal(inputs, 0)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, "bool")
