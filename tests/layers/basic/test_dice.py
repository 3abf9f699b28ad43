import numpy as np
import pytest

from tfrec.layers import Dice
from tfrec.testing import check_layer

S = np.random.default_rng(0).normal(2, 3, size=(8, 5)).astype("float32")
ALPHA = np.random.default_rng(1).normal(size=5)


def by_hand(s, mean, variance):
    p = 1 / (1 + np.exp(-(s - mean) / np.sqrt(variance + 1e-8)))
    return p * s + (1 - p) * ALPHA * s


def built(shape=S.shape):
    layer = Dice()
    layer.build(shape)
    layer.alpha.assign(ALPHA)
    return layer


@pytest.fixture
def dice():
    return built()


def test_matches_the_paper(dice):
    s = S.astype(float)
    found = dice(S, training=True)
    wanted = by_hand(s, s.mean(axis=0), s.var(axis=0))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_serving_takes_the_moving_moments(dice):
    moments = np.random.default_rng(2).uniform(1, 2, size=(2, 5))
    dice.norm.set_weights(moments)
    wanted = by_hand(S.astype(float), *moments)
    np.testing.assert_allclose(dice(S), wanted, atol=1e-5)
    np.testing.assert_allclose(dice(S[:1]), wanted[:1], atol=1e-5)
    for _ in range(800):
        dice.norm(S, training=True)
    s = S.astype(float)
    wanted = by_hand(s, s.mean(axis=0), s.var(axis=0))
    np.testing.assert_allclose(dice(S), wanted, atol=0.01)


def test_alpha_starts_at_0_and_1_is_the_identity():
    layer = Dice()
    layer.build(S.shape)
    assert not layer.alpha.numpy().any()
    layer.alpha.assign(np.ones(5))
    for training in (False, True):
        np.testing.assert_allclose(layer(S, training=training), S, atol=1e-6)


def test_moments_are_those_of_the_real_entries():
    x = np.random.default_rng(3).normal(5, 1, size=(4, 3, 5)).astype("float32")
    mask = np.arange(3) < np.array([3, 1, 0, 2])[:, None]
    real = x[mask].astype(float)
    dice = built(x.shape)
    found = np.asarray(dice(x, training=True, mask=mask))
    wanted = by_hand(real, real.mean(axis=0), real.var(axis=0))
    np.testing.assert_allclose(found[mask], wanted, atol=1e-4)
    assert not found[~mask].any()
    after = dice.norm.get_weights()
    np.testing.assert_allclose(after[0], 0.01 * real.mean(axis=0), atol=1e-5)
    other = built(x.shape)
    other(np.where(mask[:, :, None], x, np.nan), training=True, mask=mask)
    for one, two in zip(after, other.norm.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_one_row_in_training_is_finite(dice):
    row = S[:1].astype(float)  # no spread: p = 1/2
    wanted = 0.5 * row * (1 + ALPHA)
    np.testing.assert_allclose(dice(S[:1], training=True), wanted, atol=1e-5)


def test_contract():
    check_layer(Dice(), S)
    x = S.reshape(4, 2, 5)
    check_layer(Dice(), x, mask=np.array([[1, 1], [1, 0], [0, 0], [1, 1]], bool))


def test_bad_arguments():
    with pytest.raises(ValueError, match="nonsense"):
        Dice(nonsense=1)
