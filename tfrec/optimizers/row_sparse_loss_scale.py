"""Dynamic loss scaling (Micikevicius et al., ICLR 2018, section 3.2) by rows."""

import keras
from keras import ops

from tfrec import _checks
from tfrec.optimizers.row_sparse import RowSparseOptimizer


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseLossScale(keras.optimizers.LossScaleOptimizer):
    """Keras' `LossScaleOptimizer`, which looks at gradients of rows as rows.

    The loss is multiplied by a scale that doubles after `dynamic_growth_steps` good
    steps; a step whose gradient is not finite is left out and halves it.

    Under `mixed_float16` Keras wraps every optimizer in its own; that one looks for
    infinities in a gradient as long as the table. Compile with this one around the
    optimizer instead.

    Args:
        inner_optimizer: `RowSparseOptimizer` without `loss_scale_factor`.
        kwargs: of `keras.optimizers.LossScaleOptimizer`.

    Raises: `ValueError` on another optimizer.

    >>> from tfrec.optimizers import RowSparseAdam
    >>> RowSparseLossScale(RowSparseAdam()).initial_scale
    32768.0
    """

    def __init__(self, inner_optimizer, **kwargs):
        if getattr(inner_optimizer, "scale", 1) is not None or not isinstance(
            inner_optimizer, RowSparseOptimizer
        ):
            rule = "must be a RowSparseOptimizer without `loss_scale_factor`"
            raise _checks.argument(self, "inner_optimizer", rule, inner_optimizer)
        super().__init__(inner_optimizer, **kwargs)

    def check_finite(self, grads):
        """True when all numbers of the gradients, rows or not, are finite."""
        numbers = [getattr(g, "values", g) for g in grads if g is not None]
        return ops.all(ops.stack([ops.all(ops.isfinite(g)) for g in numbers]))
