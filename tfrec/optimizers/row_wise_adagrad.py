"""Adagrad with one accumulator per row (Naumov et al., arXiv:1906.00091, DLRM)."""

import keras
import tensorflow as tf

from tfrec import _checks
from tfrec.optimizers.row_sparse import RowSparseOptimizer


@keras.saving.register_keras_serializable(package="tfrec")
class RowWiseAdagrad(RowSparseOptimizer):
    """Adagrad that keeps one number for a table's row instead of one per weight.

    `a_r <- a_r + mean_k g_rk^2`, `w_r <- w_r - lr g_r / sqrt(a_r + epsilon)`, g_r
    the sum of row r's gradients in the batch. Slots of a table of width d take
    1/d of `RowSparseAdagrad`'s memory. Other variables are updated by Adagrad.

    Args:
        learning_rate: number, schedule or callable.
        initial_accumulator_value: number >= 0. Start of a.
        epsilon: number > 0.
        name: str.
        kwargs: of `RowSparseOptimizer`: weight decay, clipping, accumulation, ...

    Raises: `ValueError` on a bad or refused argument.

    >>> RowWiseAdagrad(learning_rate=0.5).get_config()["initial_accumulator_value"]
    0.1
    """

    slot_names = ("accumulator",)

    def __init__(
        self,
        learning_rate=0.05,
        initial_accumulator_value=0.1,
        epsilon=1e-7,
        name="row_wise_adagrad",
        **kwargs,
    ):
        _checks.number(self, 0, initial_accumulator_value=initial_accumulator_value)
        _checks.number(self, above=0, epsilon=epsilon)
        super().__init__(learning_rate, name=name, **kwargs)
        self.initial_accumulator_value = float(initial_accumulator_value)
        self.epsilon = float(epsilon)

    def start_of(self, slot_name):
        return self.initial_accumulator_value

    def slot_shape(self, variable, slot_name):
        is_table = getattr(variable, "row_sparse", False)
        return (variable.shape[0], 1) if is_table else variable.shape

    def step(self, gradient, weight, slots, learning_rate):
        squares = tf.square(gradient)
        if slots[0].shape[-1:] != weight.shape[-1:]:
            squares = tf.reduce_mean(squares, axis=1, keepdims=True)
        squares = slots[0] + squares
        weight = weight - learning_rate * gradient / tf.sqrt(squares + self.epsilon)
        return weight, [squares]

    def get_config(self):
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
