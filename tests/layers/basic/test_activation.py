import numpy as np
import pytest

from tfrec.layers.basic.activation import check_activation


def test_names_that_keras_knows_and_own_ones():
    for name in ("relu", "linear", "gelu", "dice"):
        check_activation("MLP", own=("dice",), activation=name)


@pytest.mark.parametrize("value", ["relo", "dice", "", None, np.tanh, 3])
def test_bad_names(value):
    message = "CIN: `activation` must be the name of a Keras activation. Received: act"
    with pytest.raises(ValueError, match=message):
        check_activation("CIN", activation=value)


def test_own_names_stand_in_the_error():
    message = "MLP: `last` must be the name of a Keras activation or 'dice'. Received"
    with pytest.raises(ValueError, match=message):
        check_activation("MLP", own=("dice",), last="dise")
