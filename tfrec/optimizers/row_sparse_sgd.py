"""Stochastic gradient descent that visits a batch's rows only."""

import keras

from tfrec.optimizers.row_sparse import RowSparseOptimizer


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseSGD(RowSparseOptimizer):
    """`w <- w - lr g`, without momentum: no slots, the least memory of all.

    Keras' SGD is right here too, and cheap; this one also clips and decays by rows.

    Args:
        learning_rate: number, schedule or callable.
        name: str.
        kwargs: of `RowSparseOptimizer`: weight decay, clipping, accumulation, ...

    Raises: `ValueError` on a bad or refused argument.

    >>> RowSparseSGD(learning_rate=0.5).variables[0].name
    'iteration'
    """

    def __init__(self, learning_rate=0.01, name="row_sparse_sgd", **kwargs):
        super().__init__(learning_rate, name=name, **kwargs)

    def step(self, gradient, weight, slots, learning_rate):
        return weight - learning_rate * gradient, []
