"""FTRL-Proximal (McMahan et al., KDD 2013, alg. 1) that visits a batch's rows only."""

import keras
import tensorflow as tf

from tfrec import _checks
from tfrec.optimizers.row_sparse import RowSparseOptimizer


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseFtrl(RowSparseOptimizer):
    """FTRL with L1 and L2, for first-order weights that end up exactly 0.

    For the rows of the batch, g the sum of a row's gradients: `n' = n + g^2`,
    `z <- z + g - (sqrt(n') - sqrt(n)) / lr w`,
    `w <- (clip(z, -l1, l1) - z) / (sqrt(n') / lr + 2 l2)`, `n <- n'`.

    Differs: a row keeps its weights until a batch has it. Dense FTRL computes all
    rows from z in every step: those that no batch had become 0 in the first, and a
    new learning rate moves all. Equal where rows start at 0 and the rate is constant.

    Args:
        learning_rate: number, schedule or callable; where it is 0, all stays.
        initial_accumulator_value: number >= 0. Start of n.
        l1: number >= 0.
        l2: number >= 0, as `l2_regularization_strength` in Keras.
        name: str.
        kwargs: of `RowSparseOptimizer`: weight decay, clipping, accumulation, ...

    Raises: `ValueError` on a bad or refused argument.

    >>> RowSparseFtrl(l1=0.1).get_config()["l1"]
    0.1
    """

    slot_names = ("accumulator", "linear")

    def __init__(
        self,
        learning_rate=0.05,
        initial_accumulator_value=0.1,
        l1=0.0,
        l2=0.0,
        name="row_sparse_ftrl",
        **kwargs,
    ):
        _checks.number(
            self, 0, initial_accumulator_value=initial_accumulator_value, l1=l1, l2=l2
        )
        super().__init__(learning_rate, name=name, **kwargs)
        self.initial_accumulator_value = float(initial_accumulator_value)
        self.l1 = float(l1)
        self.l2 = float(l2)

    def start_of(self, slot_name):
        return self.initial_accumulator_value if slot_name == "accumulator" else 0.0

    def step(self, gradient, weight, slots, learning_rate):
        n, z = slots
        moves = learning_rate > 0  # a schedule may start at 0, where all stays
        rate = tf.where(moves, learning_rate, 1.0)
        grown = n + tf.square(gradient)
        moved = (tf.sqrt(grown) - tf.sqrt(n)) / rate
        new_z = z + gradient - moved * weight
        curvature = tf.sqrt(grown) / rate + 2 * self.l2
        new = (tf.clip_by_value(new_z, -self.l1, self.l1) - new_z) / curvature
        return tf.where(moves, new, weight), [
            tf.where(moves, grown, n),
            tf.where(moves, new_z, z),
        ]

    def get_config(self):
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1": self.l1,
            "l2": self.l2,
        }
