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


def test_batch_norm_comes_before_the_activation():
    mlp = MLP((4, 3), activation="relu", last_activation="linear", batch_norm=True)
    mlp.build(X.shape)
    random = np.random.default_rng(1)
    shapes = {w.path.split("/", 1)[1]: w for w in mlp.weights}
    values = {n: random.uniform(0.5, 1.5, w.shape) for n, w in shapes.items()}
    for name, weight in shapes.items():
        weight.assign(values[name])
    assert [n for n in values if n.startswith("norm")] == [
        f"norm_0/{n}" for n in ("gamma", "beta", "moving_mean", "moving_variance")
    ]

    def by_hand(mean, variance):
        s = X.astype(float) @ values["dense_0/kernel"] + values["dense_0/bias"]
        mean = s.mean(axis=0) if mean is None else mean
        variance = s.var(axis=0) if variance is None else variance
        h = (s - mean) / np.sqrt(variance + 1e-3)
        h = np.maximum(h * values["norm_0/gamma"] + values["norm_0/beta"], 0)
        return h @ values["dense_1/kernel"] + values["dense_1/bias"]

    moving = values["norm_0/moving_mean"], values["norm_0/moving_variance"]
    np.testing.assert_allclose(mlp(X), by_hand(*moving), atol=1e-5)
    trained = by_hand(None, None)
    np.testing.assert_allclose(mlp(X, training=True), trained, atol=1e-5)


def test_dice_stands_in_for_the_activation():
    mlp = MLP((4, 3), activation="dice", last_activation="linear")
    mlp.build(X.shape)
    (alpha,) = [w for w in mlp.weights if "alpha" in w.path]
    alpha.assign(np.ones(4))  # p s + (1 - p) s = s
    k0, b0, k1, b1 = (w.numpy() for w in mlp.weights if "dense" in w.path)
    linear = (X.astype(float) @ k0 + b0) @ k1 + b1
    np.testing.assert_allclose(mlp(X), linear, atol=1e-5)
    alpha.assign(np.zeros(4))
    assert np.abs(mlp(X) - linear).max() > 0.01


@pytest.mark.parametrize("options", [{"batch_norm": True}, {"activation": "dice"}])
def test_over_time_it_takes_the_mask(options):
    x = np.random.default_rng(0).normal(size=(6, 4, 5)).astype("float32")
    mask = np.arange(4) < np.array([4, 3, 1, 0, 2, 2])[:, None]
    mlp = MLP((3, 2), seed=1, **options)
    check_layer(mlp, x, mask=mask)
    mlp.build(x.shape)
    flat = MLP((3, 2), seed=1, **options)
    flat.build((None, 5))
    found = np.asarray(mlp(x, mask=mask, training=True))
    wanted = flat(x[mask], training=True)
    np.testing.assert_allclose(found[mask], wanted, atol=1e-5)
    for one, other in zip(mlp.get_weights(), flat.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    spoilt = np.where(mask[:, :, None], x, np.nan)
    again = MLP((3, 2), seed=1, **options)
    again.build(x.shape)
    found = np.asarray(again(spoilt, mask=mask, training=True))
    np.testing.assert_allclose(found[mask], wanted, atol=1e-5)


@pytest.mark.parametrize("options", [{"batch_norm": True}, {"activation": "dice"}])
def test_contract_with_moments(options):
    check_layer(MLP((4, 3), dropout=0.3, seed=1, **options), X)


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
            "`activation` must be the name of a Keras activation or 'dice'. "
            r"Received: activation='relo' \(str\).",
        ),
        ({"activation": None}, "`activation` must be the name of a Keras"),
        ({"last_activation": np.tanh}, "`last_activation` must be the name of a"),
        ({"dropout": 1.0}, r"`dropout` must be a number in \[0, 1\). Received: "),
        ({"batch_norm": 1}, r"`batch_norm` must be True or False. Received: batch_"),
        ({"seed": -1}, "`seed` must be an int >= 0. Received: seed=-1"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(**{"hidden_units": (4,), **arguments})


def test_bad_input():
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(batch, ..., d"):
        MLP((4,))(np.ones(3, "float32"))
