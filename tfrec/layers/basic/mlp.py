"""Multi-layer perceptron."""

import keras
from keras import ops

from tfrec import _checks
from tfrec.layers.basic.activation import check_activation
from tfrec.layers.basic.dice import Dice
from tfrec.layers.basic.dropout import Dropout


@keras.saving.register_keras_serializable(package="tfrec")
class MLP(keras.layers.Layer):
    """Dense layers, each followed by batch norm, its activation and dropout.

    `h[l] = dropout(act(norm(h[l-1] W[l] + b[l])))`, l = 1 .. L; the last layer has
    `last_activation`, no batch norm and no dropout.

    Args:
        hidden_units: tuple of ints >= 1. Widths; empty: the identity.
        activation: name of a Keras activation or `"dice"`, for all layers but the
            last.
        last_activation: the same, or None: that of the others.
        dropout: number in [0, 1).
        batch_norm: bool. Rows of sample weight 0 count in the moments, also in
            those of `"dice"`: Keras does not show them to layers.
        seed: int >= 0 or None.

    Shapes: `(batch, ..., dim)` float in, `(batch, ..., hidden_units[-1])` out.
    Masks: `(batch, ...)`, True = real; what is masked does not count in the moments
    of batch norm and Dice, and what comes out at its place means nothing.
    Raises: `ValueError` on a bad argument or an input of rank < 2.

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
        batch_norm=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _checks.hidden_units(self, hidden_units=hidden_units)
        check_activation(self, own=("dice",), activation=activation)
        if last_activation is not None:
            check_activation(self, own=("dice",), last_activation=last_activation)
        _checks.rate(self, dropout=dropout)
        _checks.boolean(self, batch_norm=batch_norm)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.hidden_units = tuple(int(units) for units in hidden_units)
        self.activation = activation
        self.last_activation = last_activation
        self.dropout = float(dropout)
        self.seed = seed if seed is None else int(seed)
        self.batch_norm = batch_norm
        self.supports_masking = True

    def build(self, input_shape):
        if len(input_shape) < 2:
            rule = "must have shape (batch, ..., dim)"
            raise _checks.argument(self, "inputs", rule, tuple(input_shape))
        self.dense, self.norm, self.act, self.drop = [], [], [], []
        shape = tuple(input_shape)
        for number, units in enumerate(self.hidden_units):
            last = number == len(self.hidden_units) - 1
            seed = None if self.seed is None else self.seed + number
            dense = keras.layers.Dense(
                units,
                kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
                dtype=self.dtype_policy,
                name=f"dense_{number}",
            )
            dense.build(shape)
            shape = (*shape[:-1], units)
            self.dense.append(dense)
            norm = None
            if self.batch_norm and not last:
                norm = keras.layers.BatchNormalization(
                    dtype=self.dtype_policy, name=f"norm_{number}"
                )
                norm.build(shape)
            self.norm.append(norm)
            name = (last and self.last_activation) or self.activation
            options = {"dtype": self.dtype_policy, "name": f"activation_{number}"}
            if name == "dice":
                act = Dice(**options)
            else:
                act = keras.layers.Activation(name, **options)
            act.build(shape)
            self.act.append(act)
            rate = 0.0 if last else self.dropout
            drop = Dropout(
                rate, seed=seed, dtype=self.dtype_policy, name=f"dropout_{number}"
            )
            self.drop.append(drop)

    def call(self, inputs, training=False, mask=None):
        x = inputs
        if mask is not None:
            x = ops.where(ops.expand_dims(mask, -1), x, ops.zeros_like(x))
        layers = zip(self.dense, self.norm, self.act, self.drop, strict=True)
        for dense, norm, act, drop in layers:
            x = dense(x)
            if norm is not None:
                x = norm(x, training=training, mask=mask)
            if isinstance(act, Dice):
                x = act(x, training=training, mask=mask)
            else:
                x = act(x)
            x = drop(x, training=training)
        return x

    def compute_output_shape(self, input_shape):
        width = self.hidden_units[-1] if self.hidden_units else input_shape[-1]
        return (*input_shape[:-1], width)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": self.activation,
            "last_activation": self.last_activation,
            "dropout": self.dropout,
            "seed": self.seed,
            "batch_norm": self.batch_norm,
        }
