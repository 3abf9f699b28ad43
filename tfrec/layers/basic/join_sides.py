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
    Raises: `ValueError` when ranks, or axes but the first two, differ, and when
    two known batch sizes are neither equal nor 1.

    >>> JoinSides()([ops.ones((1, 2)), ops.zeros((3, 1))]).shape
    TensorShape([3, 3])
    """

    def build(self, input_shape):
        is_list = all(isinstance(shape, (tuple, list)) for shape in input_shape)
        shapes = [tuple(shape) for shape in input_shape] if is_list else []
        if len({(len(s), s[2:]) for s in shapes}) != 1 or len(shapes[0]) < 2:
            rule = "must be a list of tensors of equal rank >= 2, equal after axis 1"
            raise _checks.argument(self, "inputs", rule, input_shape)

    def call(self, inputs):
        known = {x.shape[0] for x in inputs} - {None, 1}
        if len(known) > 1:
            rule = "must have one batch size, or a single row"
            shapes = [tuple(x.shape) for x in inputs]
            raise _checks.argument(self, "inputs", rule, shapes)
        sizes = [ops.shape(x)[0] for x in inputs]
        if len({x.shape[0] for x in inputs}) > 1 or None in {
            x.shape[0] for x in inputs
        }:
            batch = sizes[0]
            for size in sizes[1:]:
                batch = ops.where(ops.equal(batch, 1), size, batch)
            inputs = [ops.broadcast_to(x, (batch, *ops.shape(x)[1:])) for x in inputs]
        return ops.concatenate(inputs, axis=1)

    def compute_output_spec(self, inputs):
        shapes = [x.shape for x in inputs]
        batches, widths = {s[0] for s in shapes}, [s[1] for s in shapes]
        known = batches - {None, 1}
        batch = known.pop() if known else (1 if batches == {1} else None)
        width = None if None in widths else sum(widths)
        return keras.KerasTensor((batch, width, *shapes[0][2:]), inputs[0].dtype)
