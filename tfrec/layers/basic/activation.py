"""Which names of activations a layer takes."""

import keras

from tfrec import _checks


def check_activation(owner, own=(), **arguments):
    """Each argument is the name of a Keras activation, or one of `own`.

    >>> check_activation("MLP", own=("dice",), activation="dice")
    """
    for name, value in arguments.items():
        try:
            known = isinstance(value, str) and (
                value in own or keras.activations.get(value)
            )
        except ValueError:
            known = False
        if not known:
            rule = "must be the name of a Keras activation"
            rule += "".join(f" or {one!r}" for one in own)
            raise _checks.argument(owner, name, rule, value)
