import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.optimizers import RowSparseAdagrad

ROWS, DIM = 10, 3
RANDOM = np.random.default_rng(0)
START = RANDOM.normal(size=(ROWS, DIM)).astype("float32")


def test_matches_the_paper():
    ids = np.array([3, 7, 3, 3])
    parts = RANDOM.normal(size=(4, DIM)).astype("float32")
    optimizer = RowSparseAdagrad(0.5, initial_accumulator_value=0.2, epsilon=1e-3)
    table = keras.Variable(START)
    w, a = START.astype(float), np.full((ROWS, DIM), 0.2)
    for _ in range(3):
        optimizer.apply([tf.IndexedSlices(parts, ids, [ROWS, DIM])], [table])
        g = np.zeros((ROWS, DIM))
        np.add.at(g, ids, parts)
        a += g**2
        w -= 0.5 * g / np.sqrt(a + 1e-3)
    np.testing.assert_allclose(table, w, atol=1e-5)
    np.testing.assert_allclose(optimizer.slots["accumulator"][0], a, atol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"initial_accumulator_value": -0.1},
            "RowSparseAdagrad: `initial_accumulator_value` must be a number >= 0. "
            r"Received: initial_accumulator_value=-0.1 \(float\).",
        ),
        ({"epsilon": 0}, "RowSparseAdagrad: `epsilon` must be a number > 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RowSparseAdagrad(**arguments)


def test_contract():
    optimizer = RowSparseAdagrad(0.2, initial_accumulator_value=0.3, epsilon=1e-4)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert (again.initial_accumulator_value, again.epsilon) == (0.3, 1e-4)
