"""Dropout (Srivastava et al., JMLR 2014, section 4)."""

import keras

from tfrec import _checks
from tfrec.layers.basic.draws import load_draws, save_draws


@keras.saving.register_keras_serializable(package="tfrec")
class Dropout(keras.layers.Layer):
    """In training sets a share of the inputs to 0 and scales up the others.

    `y = r x / (1 - rate)`, r Bernoulli(1 - rate), drawn for each number.

    Differs: from `keras.layers.Dropout` in that a saved model goes on with its
    draws where it stopped.

    Args:
        rate: number in [0, 1).
        seed: int >= 0 or None.

    Shapes: any float in, the same out. Masks: passed on.
    Raises: `ValueError` on a bad argument.

    >>> Dropout(0.5)(keras.ops.ones((1, 2))).numpy().tolist()
    [[1.0, 1.0]]
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        _checks.rate(self, rate=rate)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.rate = float(rate)
        self.seed = seed if seed is None else int(seed)
        self.draws = keras.random.SeedGenerator(self.seed) if rate else None
        self.supports_masking = True
        self.built = True

    def save_own_variables(self, store):
        super().save_own_variables(store)
        save_draws(self.draws, store)

    def load_own_variables(self, store):
        super().load_own_variables(load_draws(self.draws, store))

    def call(self, inputs, training=False):
        if not training or self.draws is None:
            return inputs
        return keras.random.dropout(inputs, self.rate, seed=self.draws)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
