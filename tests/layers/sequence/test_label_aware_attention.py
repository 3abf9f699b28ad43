import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers import LabelAwareAttention
from tfrec.testing import check_layer

RANDOM = np.random.default_rng(0)
V = RANDOM.normal(size=(5, 4, 3)).astype("float32")
E = RANDOM.normal(size=(5, 3)).astype("float32")
MASK = np.array(
    [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]], bool
)
MODES = [("hard", None), ("pow", 0), ("pow", 0.5), ("pow", 1), ("pow", 2), ("pow", 3)]
MODES += [("scale", 0), ("scale", 2.5)]


def weights_of(x, mode, power):
    """softmax(g(x)) of one row's live interests."""
    if mode == "hard":
        return np.eye(len(x))[np.argmax(x)]
    g = power * x
    if mode == "pow":
        g = np.sign(x) * np.abs(x) ** power if power else np.zeros(len(x))
    raised = np.exp(g - g.max())
    return raised / raised.sum()


@pytest.mark.parametrize("mode, power", MODES)
def test_matches_the_paper(mode, power):
    found = LabelAwareAttention(mode, power)([V, E], mask=MASK)
    for row in range(len(V)):
        live = V[row][MASK[row]].astype(float)
        wanted = np.zeros(3)
        if len(live):
            wanted = weights_of(live @ E[row], mode, power) @ live
        np.testing.assert_allclose(found[row], wanted, rtol=1e-5, atol=1e-5)
    whole = LabelAwareAttention(mode, power)([V, E])
    wanted = weights_of(V[1].astype(float) @ E[1], mode, power) @ V[1]
    np.testing.assert_allclose(whole[1], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode, power", MODES)
def test_one_interest_is_read_as_it_is(mode, power):
    found = LabelAwareAttention(mode, power)([V[:, :1], E])
    np.testing.assert_allclose(found, V[:, 0], rtol=1e-6)


def alone(*similarities, mode="pow", power=2):
    """Weights of interests that have these similarities to the target."""
    count = len(similarities)
    # The first coordinate is the similarity, the others tell interests apart.
    v = np.concatenate([np.reshape(similarities, (count, 1)), np.eye(count)], axis=1)
    e = np.eye(1, count + 1)
    layer = LabelAwareAttention(mode, power)
    return layer([v[None].astype("float32"), e.astype("float32")])[0, 1:].numpy()


def test_a_negative_similarity_never_wins():
    first, second = alone(-3, 1, power=2)
    assert second > 0.99 > first
    assert alone(-3, 1, power=100).tolist() == [0, 1]
    assert alone(-3, 1, mode="hard", power=None).tolist() == [0, 1]
    assert alone(-2, -3, mode="hard", power=None).tolist() == [1, 0]


def test_large_powers_are_finite_and_in_order():
    assert alone(5, 4, power=56).tolist() == [1, 0]
    assert alone(5, 4.999, power=1000).tolist() == [1, 0]
    assert alone(1e6, -1e6, 2e6, power=40).tolist() == [0, 0, 1]
    # A large power of what is below 1 is 0 for all: the plain mean, not the best.
    np.testing.assert_allclose(alone(0.9, 0.1, power=1000), 0.5, atol=1e-6)
    assert alone(0.9, 0.1, mode="hard", power=None).tolist() == [1, 0]


def test_tiny_similarities():
    for power in (0.5, 1, 2, 50):
        np.testing.assert_allclose(alone(0, 0, power=power), 0.5)
        np.testing.assert_allclose(alone(1e-30, -1e-30, power=power), 0.5, atol=1e-6)
    assert alone(0, 0, mode="hard", power=None).tolist() == [1, 0]


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e-3, 1.0, 1e5])
@pytest.mark.parametrize("mode, power", [*MODES, ("pow", 60)])
def test_gradients_are_finite(mode, power, value):
    v, e = tf.constant(V * value), tf.constant(E * value)
    with tf.GradientTape() as tape:
        tape.watch([v, e])
        total = tf.reduce_sum(LabelAwareAttention(mode, power)([v, e], mask=MASK))
    for gradient in tape.gradient(total, [v, e]):
        assert gradient is None or np.isfinite(gradient).all()


@pytest.mark.parametrize("power", [0.5, 2, 3])
def test_gradients_of_pow(power):
    """As those of the formula without the care for large numbers."""
    live = np.ones(4, bool)
    found, wanted = [], []
    for gradients, layer in ((found, True), (wanted, False)):
        v, e = tf.constant(V[:1]), tf.constant(E[:1])
        with tf.GradientTape() as tape:
            tape.watch([v, e])
            if layer:
                out = LabelAwareAttention("pow", power)([v, e], mask=live[None])
            else:
                x = tf.einsum("bkd,bd->bk", v, e)
                w = tf.nn.softmax(tf.sign(x) * tf.abs(x) ** power)
                out = tf.einsum("bk,bkd->bd", w, v)
            total = tf.reduce_sum(out**2)
        gradients += tape.gradient(total, [v, e])
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_hard_reaches_the_chosen_interest_only():
    v = tf.constant(V)
    with tf.GradientTape() as tape:
        tape.watch(v)
        total = tf.reduce_sum(LabelAwareAttention("hard")([v, E], mask=MASK))
    found = tape.gradient(total, v).numpy()
    x = np.where(MASK, np.einsum("bkd,bd->bk", V, E), -np.inf)
    wanted = np.zeros(V.shape)
    wanted[np.arange(4), x[:4].argmax(axis=1)] = 1  # the last row has none alive
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("mode, power", [("hard", None), ("pow", 2), ("scale", 1.5)])
def test_contract(mode, power):
    check_layer(LabelAwareAttention(mode, power), [V, E], mask=MASK)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"mode": "soft"},
            "LabelAwareAttention: `mode` must be one of 'hard', 'pow', 'scale'",
        ),
        ({"mode": "pow"}, "`power` must be a number >= 0. Received: power=None"),
        ({"mode": "scale", "power": -1}, "`power` must be a number >= 0"),
        (
            {"power": 2},
            "`power` must be None with mode 'hard', which raises to no power. "
            r"Received: power=2 \(int\).",
        ),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        LabelAwareAttention(**arguments)


@pytest.mark.parametrize(
    "inputs, mask, message",
    [
        (V, None, r"`inputs` must be \[interests, target\]"),
        ([E, E], None, r"`interests` must have shape \(batch, interests, dim\)"),
        ([V, E[:, :2]], None, r"`target` must have shape \(batch, 3\)"),
        ([V, E], MASK[:, :, None], r"`mask` must have shape \(batch, interests\)"),
    ],
)
def test_bad_inputs(inputs, mask, message):
    with pytest.raises(ValueError, match=message):
        LabelAwareAttention()(inputs, mask=mask)
