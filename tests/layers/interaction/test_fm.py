import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers import FM
from tfrec.testing import check_layer

E = np.random.default_rng(0).normal(size=(6, 5, 3)).astype("float32")


def test_matches_the_paper():
    wanted = np.zeros((6, 1))
    for row in range(6):
        for i in range(5):
            for j in range(i + 1, 5):
                wanted[row] += np.dot(E[row, i].astype(float), E[row, j].astype(float))
    np.testing.assert_allclose(FM()(E), wanted, atol=1e-5)


def test_properties():
    fm = FM()
    whole = np.asarray(fm(E))
    order = np.random.default_rng(1).permutation(5)
    np.testing.assert_allclose(fm(E[:, order]), whole, atol=1e-5)
    more = np.concatenate([E, np.zeros_like(E[:, :1])], axis=1)
    np.testing.assert_allclose(fm(more), whole, atol=1e-5)
    np.testing.assert_allclose(fm(3 * E), 9 * whole, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(fm(E[:, :1]), 0, atol=1e-6)


def test_the_two_sides_meet_in_an_inner_product():
    user, item = E[:, :2], E[:, 2:]
    between = np.sum(user.sum(axis=1) * item.sum(axis=1), axis=1, keepdims=True)
    np.testing.assert_allclose(FM()(E), FM()(user) + FM()(item) + between, atol=1e-5)


def test_gradient():
    """Of the pairs by v_ik: the sum of the other fields' k."""
    x = tf.constant(E)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = FM()(x)
    wanted = E.astype(float).sum(axis=1, keepdims=True) - E
    np.testing.assert_allclose(tape.gradient(y, x), wanted, atol=1e-5)


def test_half_precision_cancels_in_float32():
    x = np.full((1, 200, 2), 0.1, "float16")
    wanted = 200 * 199 / 2 * 2 * float(np.float16(0.1)) ** 2
    found = np.asarray(FM(dtype="mixed_float16")(x), float)
    np.testing.assert_allclose(found, [[wanted]], rtol=1e-3)


def test_contract():
    check_layer(FM(), E)


def test_bad_input():
    message = r"FM: `inputs` must have shape \(batch, fields, dim\). Received: inputs="
    with pytest.raises(ValueError, match=message):
        FM()(E[0])


def test_bad_arguments():
    with pytest.raises(ValueError, match="nonsense"):
        FM(nonsense=1)
