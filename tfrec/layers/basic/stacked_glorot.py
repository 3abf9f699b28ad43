"""Glorot's start for kernels that are stacked in one weight (Glorot, Bengio 2010)."""

import math

import keras


def stacked_glorot(fan_in, fan_out, seed=None):
    """A new initializer, uniform in ±sqrt(6 / (fan_in + fan_out)).

    Keras's own takes the leading axis of a rank-3 weight for a receptive field, so
    that each matrix of a stack starts too small. Make one initializer a weight: an
    object gives equal numbers whenever it is asked for equal shapes.

    Args:
        fan_in: int >= 1, of one matrix.
        fan_out: int >= 1, of one matrix.
        seed: int >= 0 or None.

    >>> bool(ops.max(stacked_glorot(3, 3, seed=1)((40, 3, 3))) <= 1.0)
    True
    """
    limit = math.sqrt(6 / (fan_in + fan_out))
    return keras.initializers.RandomUniform(-limit, limit, seed=seed)
