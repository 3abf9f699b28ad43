"""In-batch softmax loss (Yi et al., RecSys 2019, section 4, eq. 3 to 5)."""

import keras
from keras import ops

from tfrec import _checks


@keras.saving.register_keras_serializable(package="tfrec")
class InBatchSoftmax(keras.losses.Loss):
    """Each row's own item against all columns of the batch.

    `L_i = -r_i log( exp(s_ii) / sum_j exp(s_ij) )`. The scores are those that
    `TwoTower` returns: temperature, log-Q correction and the mask of accidental
    hits are already in them.

    Args:
        reduction: as Keras has it; the default divides by the sum of the sample
            weights, so that a row of weight 0 is as good as absent.
        name: str.

    Shapes: `y_true` `(batch,)` or `(batch, 1)`, the rewards r (1 for every plain
    positive); `y_pred` `(batch, columns >= batch)`, row i's own item in column i.
    Raises: `ValueError` when `y_pred` is not rank 2, has fewer columns than rows,
    or `y_true` is not one number a row.

    >>> float(InBatchSoftmax()(ops.ones((2,)), ops.zeros((2, 2))))  # log(2)
    0.6931471824645996
    """

    def __init__(
        self, reduction="mean_with_sample_weight", name="in_batch_softmax", **kwargs
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        _checks.shape(self, y_pred=(y_pred.shape, "batch, columns"))
        rows, columns = y_pred.shape
        if rows is not None and columns is not None and columns < rows:
            rule = "must have a column for each row"
            raise _checks.argument(self, "y_pred", rule, tuple(y_pred.shape))
        if len(y_true.shape) > 1 and tuple(y_true.shape[1:]) != (1,):
            rule = "must have shape (batch,) or (batch, 1)"
            raise _checks.argument(self, "y_true", rule, tuple(y_true.shape))
        scores = ops.cast(y_pred, "float32")
        reward = ops.reshape(ops.cast(y_true, "float32"), (-1,))
        own = ops.diagonal(scores)
        return reward * (ops.logsumexp(scores, axis=1) - own)
