"""Category alignment loss of DAT (Yu et al., DLP-KDD 2021, section 3.4, eq. 8)."""

import keras
from keras import ops

from tfrec import _checks

NO_CATEGORY = 0


@keras.saving.register_keras_serializable(package="tfrec")
class CategoryAlignment(keras.losses.Loss):
    """Makes the item vectors of every category vary like those of the largest one.

    `L = sum_{i != major} || C(S_major) - C(S_i) ||_F^2`, S_i the vectors of category
    i in the batch, `C(S) = 1/(n-1) sum_{x in S} (x - mean)(x - mean)^T`. Major is the
    category with most rows; of several, the smallest id. Categories with fewer than
    two rows are left out, and rows of category 0 (padding) are no category.
    Gradients flow into the vectors of both. All covariances at once and none of them
    stored: `||A - B||^2 = <A, A> + <B, B> - 2 <A, B>`, and `<C(S_i), C(S_j)>` is a
    sum of squares of the centred vectors' Gram matrix.

    Args:
        reduction: unused by this loss, which is one number; Keras' default.
        name: str.

    Shapes: `y_true` `(batch,)` int ids of categories, `y_pred` `(batch, dim)`; a
    scalar out. A row of `sample_weight` 0 is absent; other weights are all 1.
    Raises: `ValueError` on other shapes.

    >>> vectors = [[1.0], [-1.0], [2.0], [-2.0]]  # variances 2 and 8
    >>> float(CategoryAlignment()([1, 1, 2, 2], vectors))
    36.0
    """

    def __init__(self, name="category_alignment", **kwargs):
        super().__init__(name=name, **kwargs)

    def __call__(self, y_true, y_pred, sample_weight=None):
        # Not Keras' own: it would cast the ids to float32.
        categories = ops.convert_to_tensor(y_true)
        if sample_weight is not None:
            here = ops.not_equal(ops.reshape(sample_weight, (-1,)), 0)
            categories = ops.where(here, categories, NO_CATEGORY)
        return self.call(categories, ops.convert_to_tensor(y_pred))

    def call(self, y_true, y_pred):
        _checks.shape(self, y_true=(y_true.shape, "batch"))
        _checks.shape(self, y_pred=(y_pred.shape, "batch, dim"))
        vectors = ops.cast(y_pred, "float32")
        here = ops.not_equal(y_true, NO_CATEGORY)
        same = ops.equal(y_true[:, None], y_true[None, :]) & here[:, None]
        same = ops.cast(same, "float32")
        rows = ops.sum(same, axis=1)  # of each row's category
        mean = ops.matmul(same, vectors) / ops.maximum(rows, 1.0)[:, None]
        counted = ops.cast(rows >= 2, "float32")
        # Row x of S_i with weight 1/(n-1), so that <C_i, C_j> is a plain sum.
        scale = counted / ops.maximum(rows - 1.0, 1.0)
        centred = vectors - mean
        gram = ops.square(ops.matmul(centred, ops.transpose(centred)))
        gram = gram * scale[:, None] * scale[None, :]
        largest = ops.equal(rows, ops.max(rows, initial=0.0)) & here
        last = ops.max(y_true, initial=0)
        first = ops.min(ops.where(largest, y_true, last), initial=last)
        major = ops.cast(ops.equal(y_true, first), "float32") * counted
        others = counted - major
        num_others = ops.sum(others / ops.maximum(rows, 1.0))
        own = ops.sum(gram * same, axis=1)
        return ops.maximum(
            num_others * ops.sum(major * own)
            + ops.sum(others * own)
            - 2.0 * ops.sum(major * ops.matmul(gram, others[:, None])[:, 0]),
            0.0,
        )
