"""Adam (Kingma and Ba, ICLR 2015, alg. 1) that visits a batch's rows only."""

import keras
import tensorflow as tf

from tfrec import _checks
from tfrec.optimizers.row_sparse import RowSparseOptimizer


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseAdam(RowSparseOptimizer):
    """Adam whose step on a table costs per row used, not per row stored.

    For the rows of the batch, g the sum of a row's gradients, t the number of the
    step: `m <- m + (1 - beta_1) (g - m)`, `v <- v + (1 - beta_2) (g^2 - v)`,
    `w <- w - lr sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)`.

    The moments are lazy: those of a row decay when the batch has the row, not in
    every step. t counts all steps, as in Keras, not the row's own: where every
    row is in every batch this is Adam, a row that is seen rarely takes steps of up
    to `(1 - beta_1) / sqrt(1 - beta_2)` lr (3.2 lr by default) until its moments
    have grown, and no count per row is stored. A count per row would shrink just
    those steps to lr, while dense Adam goes on moving such a row by its decaying
    moment, about `1 / sqrt(1 - beta_2)` lr in all: t is the nearer of the two.

    Differs: from dense Adam as said. Keras' own Adam moves all rows in every step
    and squares the parts of a repeated row one by one.

    Args:
        learning_rate: number, schedule or callable.
        beta_1: number in [0, 1).
        beta_2: number in [0, 1).
        epsilon: number > 0.
        name: str.
        kwargs: of `RowSparseOptimizer`: weight decay (then it is AdamW), clipping,
            accumulation, ...

    Raises: `ValueError` on a bad or refused argument.

    >>> RowSparseAdam(weight_decay=0.01).get_config()["weight_decay"]
    0.01
    """

    slot_names = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        name="row_sparse_adam",
        **kwargs,
    ):
        _checks.rate(self, beta_1=beta_1, beta_2=beta_2)
        _checks.number(self, above=0, epsilon=epsilon)
        super().__init__(learning_rate, name=name, **kwargs)
        self.beta_1 = float(beta_1)
        self.beta_2 = float(beta_2)
        self.epsilon = float(epsilon)

    def step(self, gradient, weight, slots, learning_rate):
        t = tf.cast(self.iterations + 1, weight.dtype)
        power_1 = tf.pow(tf.cast(self.beta_1, weight.dtype), t)
        power_2 = tf.pow(tf.cast(self.beta_2, weight.dtype), t)
        rate = learning_rate * tf.sqrt(1 - power_2) / (1 - power_1)
        m = slots[0] + (gradient - slots[0]) * (1 - self.beta_1)
        v = slots[1] + (tf.square(gradient) - slots[1]) * (1 - self.beta_2)
        weight = weight - m * rate / (tf.sqrt(v) + self.epsilon)
        return weight, [m, v]

    def get_config(self):
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
