"""Adaptive-mimic loss of DAT (Yu et al., DLP-KDD 2021, section 3.3, eq. 5)."""

import keras
from keras import ops

from tfrec import _checks


@keras.saving.register_keras_serializable(package="tfrec")
class AdaptiveMimic(keras.losses.Loss):
    """Draws augmented vectors to what the other tower says of their positives.

    `L = 1/T sum_t y_t || a_t - sg(p_t) ||^2`, a the augmented vectors, p the other
    tower's output, sg without gradient, T all pairs; y is the `sample_weight`: 1
    for positives, 0 for others. The squares are summed over the dimensions.

    Differs: a y between 0 and 1 is a weight; in the paper's bracket, which is equal
    for 0 and 1, it would be squared.

    Args:
        reduction: as Keras has it. The default divides by T;
            "mean_with_sample_weight" divides by the sum of y.
        name: str.

    Shapes: `y_true` (p) and `y_pred` (a) `(batch, dim)`, `sample_weight` `(batch,)`.
    Raises: `ValueError` when the two are not rank 2 of one width.

    >>> a, p = np.array([[1.0, 2.0], [3.0, 3.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])
    >>> float(AdaptiveMimic()(p, a, sample_weight=np.array([1.0, 0.0])))
    2.5
    """

    def __init__(
        self, reduction="sum_over_batch_size", name="adaptive_mimic", **kwargs
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        _checks.shape(self, y_pred=(y_pred.shape, "batch, dim"))
        _checks.shape(self, y_true=(y_true.shape, f"batch, {y_pred.shape[1]}"))
        target = ops.stop_gradient(ops.cast(y_true, "float32"))
        return ops.sum(ops.square(ops.cast(y_pred, "float32") - target), axis=1)
