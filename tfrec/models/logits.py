"""The ends of rankers: terms of a logit, and their sum."""

import keras

from tfrec import _checks
from tfrec.layers.basic.mlp import MLP


def deep_part(
    owner,
    *,
    hidden_units,
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    seed=None,
):
    """A function of `(batch, ...)` that gives `(batch, 1)`; its last layer is linear.

    Raises: `ValueError` on a bad argument.
    """
    _checks.hidden_units(owner, hidden_units=hidden_units)
    _checks.rate(owner, dropout=dropout)
    mlp = MLP(
        (*hidden_units, 1),
        activation=activation,
        last_activation="linear",
        dropout=dropout,
        seed=seed,
        batch_norm=batch_norm,
        name=f"{owner}_deep",
    )

    def logit(x):
        if len(x.shape) > 2:
            x = keras.layers.Flatten(name=f"{owner}_flat_deep")(x)
        return mlp(x)

    return logit


def weighted(owner, x, seed=None, bias=False):
    """`w . x`, or `w . x + b`, `(batch, 1)`, on `(batch, ...)`."""
    if len(x.shape) > 2:
        x = keras.layers.Flatten(name=f"{owner}_flat")(x)
    start = keras.initializers.GlorotUniform(seed=seed)
    layer = keras.layers.Dense(
        1, use_bias=bias, kernel_initializer=start, name=f"{owner}_product"
    )
    return layer(x)


def summed(owner, *terms):
    """The logit, in float32 under any policy."""
    name = f"{owner}_logit"
    if len(terms) == 1:
        return keras.layers.Activation("linear", dtype="float32", name=name)(terms[0])
    return keras.layers.Add(dtype="float32", name=name)(list(terms))
