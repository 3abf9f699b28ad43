"""Adagrad (Duchi et al., JMLR 2011, fig. 1) that visits a batch's rows only."""

import keras
import tensorflow as tf

from tfrec import _checks
from tfrec.optimizers.row_sparse import RowSparseOptimizer


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseAdagrad(RowSparseOptimizer):
    """Adagrad whose step on a table costs per row used, not per row stored.

    `a <- a + g^2`, `w <- w - lr g / sqrt(a + epsilon)`, g the sum of a row's
    gradients in the batch. Adagrad leaves rows without gradient alone, so this is
    Adagrad on the dense gradient, bit for bit where sums are exact.

    Differs: Keras' own Adagrad adds up the squares of the parts where a row
    occurs twice in a batch, and reads the whole table in every step.

    Args:
        learning_rate: number, schedule or callable.
        initial_accumulator_value: number >= 0. Start of a.
        epsilon: number > 0.
        name: str.
        kwargs: of `RowSparseOptimizer`: weight decay, clipping, accumulation, ...

    Raises: `ValueError` on a bad or refused argument.

    >>> RowSparseAdagrad(learning_rate=0.5).get_config()["epsilon"]
    1e-07
    """

    slot_names = ("accumulator",)

    def __init__(
        self,
        learning_rate=0.05,
        initial_accumulator_value=0.1,
        epsilon=1e-7,
        name="row_sparse_adagrad",
        **kwargs,
    ):
        _checks.number(self, 0, initial_accumulator_value=initial_accumulator_value)
        _checks.number(self, above=0, epsilon=epsilon)
        super().__init__(learning_rate, name=name, **kwargs)
        self.initial_accumulator_value = float(initial_accumulator_value)
        self.epsilon = float(epsilon)

    def start_of(self, slot_name):
        return self.initial_accumulator_value

    def step(self, gradient, weight, slots, learning_rate):
        squares = slots[0] + tf.square(gradient)
        weight = weight - learning_rate * gradient / tf.sqrt(squares + self.epsilon)
        return weight, [squares]

    def get_config(self):
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
