import keras
import pytest

from tfrec.models import TwoTower

DIM = 3


def identity(name):
    inputs = keras.Input((DIM,), name=name)
    return keras.Model([inputs], keras.layers.Identity()(inputs), name=f"of_{name}")


def wide(name, units):
    inputs = keras.Input((DIM,), name=name)
    return keras.Model([inputs], keras.layers.Dense(units)(inputs))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"item_tower": wide("v", 2)},
            r"`towers` must both end in \(batch, dim\) of one width. Received: "
            r"towers=\(\(None, 3\), \(None, 2\)\)",
        ),
        (
            {"item_tower": identity("u")},
            r"`towers` must each read columns of their own. Received: towers=\['u'\]",
        ),
        ({"mimic": (1, 2, 3)}, "TwoTower: `mimic` must be a pair of numbers"),
        ({"mimic": (1, "a")}, "TwoTower: `mimic` must be a number >= 0"),
        (
            {"augmented": [keras.Input((3,)), keras.Input((2,))]},
            "`augmented` must be a pair of tensors of the towers' shape",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    item_tower = arguments.pop("item_tower", identity("v"))
    with pytest.raises(ValueError, match=message):
        TwoTower(identity("u"), item_tower, item_id="item", **arguments)


@pytest.mark.parametrize("tower", ["tower", keras.layers.Dense(3)])
def test_a_tower_is_a_functional_model(tower):
    message = "TwoTower: `user_tower` must be a functional keras.Model with named"
    with pytest.raises(TypeError, match=message):
        TwoTower(tower, identity("v"), item_id="item")
