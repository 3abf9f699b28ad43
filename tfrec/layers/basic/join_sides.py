"""Where the user's half of a ranker meets the item's half."""

import keras
from keras import ops

from tfrec import _checks


@keras.saving.register_keras_serializable(package="tfrec")
class JoinSides(keras.layers.Layer):
    """Concatenates along axis 1; a single row is repeated for all rows of the others.

    With one user row and N item rows, everything before this layer ran once for
    the user: `[(1, a, ...), (N, b, ...)]` gives `(N, a + b, ...)`.

    Shapes: a list of tensors `(1 or batch, n, ...)` of equal rank in,
    `(batch, sum of n, ...)` out.
    Raises: `ValueError` when the ranks differ.

    >>> JoinSides()([ops.ones((1, 2)), ops.zeros((3, 1))]).shape
    TensorShape([3, 3])
    """

    def build(self, input_shape):
        ranks = {len(shape) for shape in input_shape}
        if len(ranks) != 1 or min(ranks) < 2:
            rule = "must be tensors of equal rank >= 2"
            raise _checks.argument(self, "inputs", rule, input_shape)

    def call(self, inputs):
        sizes = [ops.shape(x)[0] for x in inputs]
        if any(not isinstance(size, int) for size in sizes) or len(set(sizes)) > 1:
            batch = sizes[0]
            for size in sizes[1:]:
                batch = ops.maximum(batch, size)
            inputs = [ops.broadcast_to(x, (batch, *x.shape[1:])) for x in inputs]
        return ops.concatenate(inputs, axis=1)

    def compute_output_spec(self, inputs):
        width = sum(x.shape[1] for x in inputs)
        shape = (None, width, *inputs[0].shape[2:])
        return keras.KerasTensor(shape, inputs[0].dtype)
