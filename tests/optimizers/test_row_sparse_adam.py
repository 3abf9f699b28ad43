import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.optimizers import RowSparseAdam

ROWS, DIM = 10, 3
RANDOM = np.random.default_rng(0)
START = RANDOM.normal(size=(ROWS, DIM)).astype("float32")


@pytest.mark.parametrize("decay", [None, 0.3])
def test_matches_the_paper(decay):
    """Moments of a batch's rows only, corrected by the count of all steps."""
    optimizer = RowSparseAdam(0.1, 0.8, 0.95, 1e-3, weight_decay=decay)
    table = keras.Variable(START)
    w, m, v = START.astype(float), np.zeros((ROWS, DIM)), np.zeros((ROWS, DIM))
    for t, ids in enumerate(([3, 7, 3, 3], [7, 1, 1, 0], [2, 2, 2, 2], [3, 7, 9, 9])):
        parts = RANDOM.normal(size=(4, DIM)).astype("float32")
        optimizer.apply([tf.IndexedSlices(parts, ids, [ROWS, DIM])], [table])
        g = np.zeros((ROWS, DIM))
        np.add.at(g, ids, parts)
        r = np.unique(ids)
        w[r] -= 0.1 * (decay or 0) * w[r]
        m[r] = 0.8 * m[r] + 0.2 * g[r]
        v[r] = 0.95 * v[r] + 0.05 * g[r] ** 2
        rate = 0.1 * np.sqrt(1 - 0.95 ** (t + 1)) / (1 - 0.8 ** (t + 1))
        w[r] -= rate * m[r] / (np.sqrt(v[r]) + 1e-3)
    np.testing.assert_allclose(table, w, atol=1e-5)
    np.testing.assert_allclose(optimizer.slots["momentum"][0], m, atol=1e-5)
    np.testing.assert_allclose(optimizer.slots["velocity"][0], v, atol=1e-5)


def test_a_row_that_comes_late_takes_the_step_that_is_documented():
    """`(1 - beta_1) / sqrt(1 - beta_2)` of the learning rate, about 3.2 of it."""
    optimizer = RowSparseAdam(0.01)
    table = keras.Variable(np.zeros((2, 1), "float32"))
    optimizer.build([table])
    optimizer.iterations.assign(100_000)
    optimizer.apply([tf.IndexedSlices(tf.constant([[5.0]]), [1], [2, 1])])
    np.testing.assert_allclose(table.numpy()[1], -0.01 * 0.1 / 0.001**0.5, rtol=1e-3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"beta_1": 1},
            r"RowSparseAdam: `beta_1` must be a number in \[0, 1\). Received: "
            r"beta_1=1 \(int\).",
        ),
        ({"beta_2": -0.1}, r"RowSparseAdam: `beta_2` must be a number in \[0, 1\)"),
        ({"epsilon": 0}, "RowSparseAdam: `epsilon` must be a number > 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RowSparseAdam(**arguments)


def test_contract():
    optimizer = RowSparseAdam(0.2, 0.7, 0.8, 1e-4)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert (again.beta_1, again.beta_2, again.epsilon) == (0.7, 0.8, 1e-4)
