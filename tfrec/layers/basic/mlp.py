"""Multi-layer perceptron."""

import keras

from tfrec import _checks
from tfrec.layers.basic.dropout import Dropout


@keras.saving.register_keras_serializable(package="tfrec")
class MLP(keras.layers.Layer):
    """Dense layers, each followed by its activation and dropout.

    `h[l] = dropout(act(h[l-1] W[l] + b[l]))`, l = 1 .. L; the last layer has
    `last_activation` and no dropout.

    Args:
        hidden_units: tuple of ints >= 1. Widths; empty: the identity.
        activation: name of a Keras activation, for all layers but the last.
        last_activation: name of a Keras activation, or None: that of the others.
        dropout: number in [0, 1).
        seed: int >= 0 or None.

    Shapes: `(batch, dim)` float in, `(batch, hidden_units[-1])` out.
    Raises: `ValueError` on a bad argument or an input that is not rank 2.

    >>> MLP((8, 4))(keras.ops.ones((2, 3))).shape
    TensorShape([2, 4])
    """

    def __init__(
        self,
        hidden_units,
        activation="relu",
        last_activation=None,
        dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _checks.hidden_units(self, hidden_units=hidden_units)
        _activation(self, activation=activation)
        if last_activation is not None:
            _activation(self, last_activation=last_activation)
        _checks.rate(self, dropout=dropout)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.hidden_units = tuple(int(units) for units in hidden_units)
        self.activation = activation
        self.last_activation = last_activation
        self.dropout = float(dropout)
        self.seed = seed if seed is None else int(seed)

    def build(self, input_shape):
        _checks.shape(self, inputs=(input_shape, "batch, dim"))
        self.dense, self.drop = [], []
        shape = tuple(input_shape)
        for number, units in enumerate(self.hidden_units):
            last = number == len(self.hidden_units) - 1
            seed = None if self.seed is None else self.seed + number
            dense = keras.layers.Dense(
                units,
                activation=(last and self.last_activation) or self.activation,
                kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
                dtype=self.dtype_policy,
                name=f"dense_{number}",
            )
            dense.build(shape)
            shape = (shape[0], units)
            self.dense.append(dense)
            rate = 0.0 if last else self.dropout
            drop = Dropout(
                rate, seed=seed, dtype=self.dtype_policy, name=f"dropout_{number}"
            )
            self.drop.append(drop)

    def call(self, inputs, training=False):
        x = inputs
        for dense, drop in zip(self.dense, self.drop, strict=True):
            x = drop(dense(x), training=training)
        return x

    def compute_output_shape(self, input_shape):
        width = self.hidden_units[-1] if self.hidden_units else input_shape[1]
        return (input_shape[0], width)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": self.activation,
            "last_activation": self.last_activation,
            "dropout": self.dropout,
            "seed": self.seed,
        }


def _activation(owner, **arguments):
    """Each argument is the name of a Keras activation."""
    for name, value in arguments.items():
        try:
            known = isinstance(value, str) and keras.activations.get(value)
        except ValueError:
            known = False
        if not known:
            rule = "must be the name of a Keras activation"
            raise _checks.argument(owner, name, rule, value)
