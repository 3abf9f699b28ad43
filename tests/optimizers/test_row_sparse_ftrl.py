import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.optimizers import RowSparseFtrl

ROWS, DIM = 10, 3


def test_matches_the_paper():
    """The paper's `w = -(z - sgn(z) l1) / ((sqrt(n) + beta) / alpha + l2)`, beta = 0;
    its l2 is twice ours."""
    random = np.random.default_rng(0)
    options = {"initial_accumulator_value": 0.2, "l1": 0.7, "l2": 0.3}
    optimizer = RowSparseFtrl(0.5, **options)
    table = keras.Variable(np.zeros((ROWS, DIM), "float32"))
    w, z, n = (np.full((ROWS, DIM), start) for start in (0.0, 0.0, 0.2))
    for ids in ([3, 7, 3, 3], [7, 1, 1, 0], [2, 2, 2, 2], [3, 7, 9, 9]):
        parts = random.normal(size=(4, DIM)).astype("float32")
        optimizer.apply([tf.IndexedSlices(parts, ids, [ROWS, DIM])], [table])
        g = np.zeros((ROWS, DIM))
        np.add.at(g, ids, parts)
        sigma = (np.sqrt(n + g**2) - np.sqrt(n)) / 0.5
        z, n = z + g - sigma * w, n + g**2
        moved = -(z - np.sign(z) * 0.7) / (np.sqrt(n) / 0.5 + 0.6)
        w = np.where(np.abs(z) <= 0.7, 0, moved)
    assert (w[[3, 7, 1, 0, 2, 9]] == 0).any() and (w != 0).sum() > 5
    np.testing.assert_allclose(table, w, atol=1e-5)
    np.testing.assert_allclose(optimizer.slots["accumulator"][0], n, atol=1e-5)
    np.testing.assert_allclose(optimizer.slots["linear"][0], z, atol=1e-5)


def test_l1_leaves_only_what_the_labels_need():
    """Weights of a linear model on one informative value and nine of noise."""
    random = np.random.default_rng(0)
    optimizer = RowSparseFtrl(0.2, l1=6.0)
    table = keras.Variable(np.zeros((ROWS, 1), "float32"))
    for _ in range(60):
        ids = random.integers(0, ROWS, 40)
        y = np.where(ids == 4, 1.0, random.choice([-0.1, 0.1], 40)).astype("float32")
        with tf.GradientTape() as tape:
            found = tf.gather(table.value, ids)[:, 0]
            loss = tf.reduce_sum((found - y) ** 2) / 2
        optimizer.apply(tape.gradient(loss, [table.value]), [table])
    weights = table.numpy()[:, 0]
    assert weights[4] > 0.5
    assert (np.delete(weights, 4) == 0).all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"l1": -1},
            r"RowSparseFtrl: `l1` must be a number >= 0. Received: l1=-1 \(int\).",
        ),
        ({"l2": "1"}, "RowSparseFtrl: `l2` must be a number >= 0"),
        (
            {"initial_accumulator_value": -0.1},
            "RowSparseFtrl: `initial_accumulator_value` must be a number >= 0",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RowSparseFtrl(**arguments)


def test_contract():
    optimizer = RowSparseFtrl(0.2, 0.3, l1=0.4, l2=0.5)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert (again.initial_accumulator_value, again.l1, again.l2) == (0.3, 0.4, 0.5)


def test_a_rate_of_0_moves_nothing():
    """A warm-up starts there; the rule divides by the rate."""
    before = [tf.constant([value]) for value in (0.5, 0.1, 0.2)]
    weight, slots = before[0], before[1:]
    optimizer = RowSparseFtrl(0.1)
    moved, grown = optimizer.step(tf.constant([1.0]), weight, slots, tf.constant(0.0))
    for found, wanted in zip([moved, *grown], before, strict=True):
        np.testing.assert_array_equal(found, wanted)
