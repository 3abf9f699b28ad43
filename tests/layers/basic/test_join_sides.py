import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers import JoinSides
from tfrec.testing import check_layer

RANDOM = np.random.default_rng(0)
USER = RANDOM.normal(size=(1, 2, 4)).astype("float32")
ITEMS = RANDOM.normal(size=(5, 3, 4)).astype("float32")


def test_matches_the_definition():
    found = np.asarray(JoinSides()([USER, ITEMS]))
    for row in range(5):
        np.testing.assert_array_equal(found[row, :2], USER[0])
        np.testing.assert_array_equal(found[row, 2:], ITEMS[row])


def test_one_row_is_as_good_as_many_equal_rows():
    tiled = np.repeat(USER, 5, axis=0)
    layer = JoinSides()
    one, many = layer([USER, ITEMS]), layer([tiled, ITEMS])
    np.testing.assert_array_equal(one, many)
    first_many = layer([ITEMS, USER, ITEMS])
    np.testing.assert_array_equal(first_many[:, 3:], JoinSides()([tiled, ITEMS]))


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_open_batch_sizes(rows):
    layer = JoinSides()
    spec = [tf.TensorSpec([None, 2, 4]), tf.TensorSpec([None, 3, 4])]
    join = tf.function(lambda a, b: layer([a, b]), input_signature=spec)
    found = join(USER, ITEMS[:rows])
    assert found.shape == (rows, 5, 4)
    np.testing.assert_array_equal(found, layer([USER, ITEMS[:rows]]))
    assert join.get_concrete_function().outputs[0].shape.as_list() == [None, 5, 4]


def test_symbolic_shapes():
    def shape(*shapes):
        tensors = [keras.Input(batch_shape=shape) for shape in shapes]
        return JoinSides()(tensors).shape

    assert shape((None, 2), (None, 3)) == (None, 5)
    assert shape((1, 2, 4), (5, 3, 4)) == (5, 5, 4)
    assert shape((1, 2), (1, 3)) == (1, 5)
    assert shape((1, 2), (None, 3)) == (None, 5)
    assert shape((None, None, 4), (None, 3, 4)) == (None, None, 4)


def test_contract():
    inputs = [RANDOM.normal(size=(4, 2)), RANDOM.normal(size=(4, 3))]
    check_layer(JoinSides(), [x.astype("float32") for x in inputs])
    check_layer(JoinSides(), [np.repeat(USER, 5, axis=0), ITEMS])


@pytest.mark.parametrize(
    "inputs, message",
    [
        ([USER, ITEMS[0]], "JoinSides: `inputs` must be a list of tensors of equal"),
        ([USER, ITEMS[:, :, :3]], "of equal rank >= 2, equal after axis 1. Received: "),
        ([USER[0, 0], ITEMS[0, 0]], "of equal rank >= 2"),
        (USER, "must be a list of tensors"),
        ([ITEMS[:2], ITEMS[:3]], "`inputs` must have one batch size, or a single row"),
    ],
)
def test_bad_inputs(inputs, message):
    with pytest.raises(ValueError, match=message):
        JoinSides()(inputs)


def test_bad_arguments():
    with pytest.raises(ValueError, match="nonsense"):
        JoinSides(nonsense=1)
