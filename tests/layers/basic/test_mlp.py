import numpy as np
import pytest

from tfrec.layers import MLP
from tfrec.testing import check_layer

X = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


def test_matches_the_paper():
    mlp = MLP((4, 3, 2), activation="relu", last_activation="sigmoid")
    mlp(X)
    random = np.random.default_rng(1)
    weights = [random.normal(size=w.shape) for w in mlp.get_weights()]
    mlp.set_weights(weights)
    h = X.astype(float)
    for layer in range(3):
        h = h @ weights[2 * layer] + weights[2 * layer + 1]
        h = np.maximum(h, 0) if layer < 2 else 1 / (1 + np.exp(-h))
    np.testing.assert_allclose(mlp(X), h, atol=1e-5)


def test_without_widths_it_is_the_identity():
    mlp = MLP(())
    np.testing.assert_array_equal(mlp(X), X)
    assert mlp.compute_output_shape((None, 5)) == (None, 5)


def test_every_layer_has_the_activation_by_default():
    mlp = MLP((4, 3), activation="relu")
    assert np.min(mlp(X)) >= 0
    assert np.min(MLP((4, 3), last_activation="linear", seed=1)(X)) < 0


def test_dropout_spares_the_last_layer_and_serving():
    one = MLP((4,), dropout=0.9)
    np.testing.assert_array_equal(one(X, training=True), one(X))
    two = MLP((400, 2), dropout=0.5, seed=1)
    assert np.abs(two(X, training=True) - two(X)).max() > 1e-3
    np.testing.assert_array_equal(two(X), two(X))


def test_a_seed_gives_the_same_start():
    first, second = MLP((4, 3), seed=7), MLP((4, 3), seed=7)
    np.testing.assert_array_equal(first(X), second(X))
    kernels = first.get_weights()
    assert not np.array_equal(kernels[0][:4, :3], kernels[2])


@pytest.mark.parametrize("hidden_units", [(4, 3), (), (np.int64(3),)])
def test_contract(hidden_units):
    mlp = MLP(hidden_units, activation="tanh", dropout=0.3, seed=1)
    check_layer(mlp, X)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"hidden_units": 4}, "MLP: `hidden_units` must be a tuple of ints >= 1."),
        ({"hidden_units": (4, 0)}, "`hidden_units` must be a tuple of ints >= 1."),
        (
            {"activation": "relo"},
            "`activation` must be the name of a Keras activation. Received: "
            r"activation='relo' \(str\).",
        ),
        ({"activation": None}, "`activation` must be the name of a Keras"),
        ({"last_activation": np.tanh}, "`last_activation` must be the name of a"),
        ({"dropout": 1.0}, r"`dropout` must be a number in \[0, 1\). Received: "),
        ({"seed": -1}, "`seed` must be an int >= 0. Received: seed=-1"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(**{"hidden_units": (4,), **arguments})


def test_bad_input():
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(batch, dim\)"):
        MLP((4,))(np.ones((2, 3, 4), "float32"))
