import numpy as np
import pytest

from tfrec.layers import InterestMLP
from tfrec.testing import check_layer

RANDOM = np.random.default_rng(0)
U = RANDOM.normal(size=(4, 3, 5)).astype("float32")
ALIVE = np.array([3, 1, 2, 3], "int32")
P = RANDOM.normal(size=(4, 2)).astype("float32")


@pytest.mark.parametrize("profile", [True, False])
def test_matches_the_paper(profile):
    layer = InterestMLP((6, 4), last_activation="relu")
    inputs = [U, ALIVE, P] if profile else [U, ALIVE]
    layer(inputs)
    layer.set_weights([RANDOM.normal(size=w.shape) for w in layer.weights])
    w1, b1, w2, b2 = (w.astype(float) for w in layer.get_weights())
    found = layer(inputs)
    wanted = np.zeros((4, 3, 4))
    for row in range(4):
        for j in range(ALIVE[row]):
            x = np.concatenate([U[row, j], P[row]]) if profile else U[row, j]
            wanted[row, j] = np.maximum(np.maximum(x @ w1 + b1, 0) @ w2 + b2, 0)
    assert wanted.max() > 0.1
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_dead_interests_are_zero_whatever_they_hold():
    layer = InterestMLP((4,), activation="dice", last_activation="dice")
    layer([U, ALIVE, P])
    spoilt = np.where(np.arange(3)[None, :, None] < ALIVE[:, None, None], U, np.nan)
    spoilt = spoilt.astype("float32")
    for training in (False, True):
        found = layer([spoilt, ALIVE, P], training=training).numpy()
        assert np.isfinite(found).all()
        assert not found[1, 1:].any() and not found[2, 2:].any()


@pytest.mark.parametrize("inputs", [[U, ALIVE, P], [U, ALIVE]])
def test_contract(inputs):
    check_layer(InterestMLP((6, 4), dropout=0.2, seed=1), inputs)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"hidden_units": ()}, "InterestMLP: `hidden_units` must name at least the"),
        ({"hidden_units": 4}, "InterestMLP: `hidden_units` must be a tuple of ints"),
        ({"hidden_units": (4,), "activation": "relo"}, "`activation` must be the name"),
        ({"hidden_units": (4,), "dropout": 1}, r"`dropout` must be a number in \[0, 1"),
        ({"hidden_units": (4,), "nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        InterestMLP(**arguments)


@pytest.mark.parametrize(
    "inputs, message",
    [
        (U, r"`inputs` must be \[interests, K'\] or \[interests, K', profile\]"),
        ([P, ALIVE], r"`interests` must have shape \(batch, interests, dim\)"),
        ([U, P], r"`alive` must have shape \(batch\)"),
        ([U, ALIVE, U], r"`profile` must have shape \(batch, width\)"),
    ],
)
def test_bad_inputs(inputs, message):
    with pytest.raises(ValueError, match=message):
        InterestMLP((4,))(inputs)
