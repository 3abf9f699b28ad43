import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.optimizers import RowSparseAdagrad, RowWiseAdagrad

ROWS, DIM = 10, 3
RANDOM = np.random.default_rng(0)
START = RANDOM.normal(size=(ROWS, DIM)).astype("float32")


def table_of(values):
    table = keras.Variable(values, name="table")
    table.row_sparse = True  # as EmbeddingTable says of its own
    return table


def test_matches_the_paper():
    optimizer = RowWiseAdagrad(0.5, initial_accumulator_value=0.2, epsilon=1e-3)
    table = table_of(START)
    w, a = START.astype(float), np.full((ROWS, 1), 0.2)
    for ids in ([3, 7, 3, 3], [7, 1, 1, 0], [3, 7, 9, 9]):
        parts = RANDOM.normal(size=(4, DIM)).astype("float32")
        optimizer.apply([tf.IndexedSlices(parts, ids, [ROWS, DIM])], [table])
        g = np.zeros((ROWS, DIM))
        np.add.at(g, ids, parts)
        a += (g**2).mean(axis=1, keepdims=True)
        w -= 0.5 * g / np.sqrt(a + 1e-3)
    (slot,) = optimizer.slots["accumulator"]
    assert slot.shape == (ROWS, 1)
    np.testing.assert_allclose(table, w, atol=1e-5)
    np.testing.assert_allclose(slot, a, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 3), (3,), ()])
def test_other_variables_are_those_of_adagrad(shape):
    start = RANDOM.normal(size=shape).astype("float32")
    gradient = tf.constant(RANDOM.normal(size=shape).astype("float32"))
    found = []
    for optimizer in (RowWiseAdagrad(0.3), RowSparseAdagrad(0.3)):
        weight = keras.Variable(start)
        for _ in range(3):
            optimizer.apply([gradient], [weight])
        found.append(weight.numpy())
    np.testing.assert_array_equal(*found)


def test_a_table_of_width_one_is_adagrad():
    ids, parts = [3, 7, 3, 3], RANDOM.normal(size=(4, 1)).astype("float32")
    found = []
    for optimizer in (RowWiseAdagrad(0.3), RowSparseAdagrad(0.3)):
        table = table_of(START[:, :1])
        optimizer.apply([tf.IndexedSlices(parts, ids, [ROWS, 1])], [table])
        found.append(table.numpy())
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"initial_accumulator_value": -0.1},
            "RowWiseAdagrad: `initial_accumulator_value` must be a number >= 0. "
            r"Received: initial_accumulator_value=-0.1 \(float\).",
        ),
        ({"epsilon": 0}, "RowWiseAdagrad: `epsilon` must be a number > 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RowWiseAdagrad(**arguments)


def test_contract():
    optimizer = RowWiseAdagrad(0.2, initial_accumulator_value=0.3, epsilon=1e-4)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert (again.initial_accumulator_value, again.epsilon) == (0.3, 1e-4)
