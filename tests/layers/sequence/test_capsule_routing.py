import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers import CapsuleRouting
from tfrec.layers.sequence.capsule_routing import squash
from tfrec.testing import check_layer

RANDOM = np.random.default_rng(0)
K, D, LONGEST = 3, 5, 10
X = RANDOM.normal(size=(6, 9, 4)).astype("float32")
MASK = np.zeros((6, 9), bool)
for row, steps in enumerate((9, 4, 1, 0, 3, 8)):
    MASK[row, :steps] = True


def made(**options):
    options = {"num_interests": K, "units": D, "max_length": LONGEST, **options}
    layer = CapsuleRouting(**options)
    layer(X)
    # Wide votes: the routing has something to decide.
    kernel, logits = layer.get_weights()
    layer.set_weights([RANDOM.normal(size=kernel.shape), logits])
    return layer


def squashed(z):
    size = np.linalg.norm(z)
    return np.zeros_like(z) if size == 0 else size**2 / (1 + size**2) * z / size


def by_hand(layer, steps):
    """Algorithm 1 for the real steps of one row, in loops."""
    kernel, start = (w.astype(float) for w in layer.get_weights())
    alive = 1
    for m in range(1, layer.num_interests + 1):
        alive = max(alive, m if len(steps) >= 2**m else 1)
    votes = [step.astype(float) @ kernel for step in steps]
    b = start[: len(steps), :alive].copy()
    for number in range(layer.num_rounds):
        w = np.exp(b) / np.exp(b).sum(axis=1, keepdims=True)
        capsules = np.zeros((layer.num_interests, kernel.shape[1]))
        for j in range(alive):
            z = sum((w[i, j] * votes[i] for i in range(len(votes))), np.zeros(D))
            capsules[j] = squashed(z)
        if number < layer.num_rounds - 1:
            for i, vote in enumerate(votes):
                for j in range(alive):
                    b[i, j] += capsules[j] @ vote
    return capsules, alive


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_matches_the_paper(rounds):
    layer = made(num_rounds=rounds)
    capsules, alive = layer(X, mask=MASK)
    for row in range(len(X)):
        wanted, count = by_hand(layer, X[row][MASK[row]])
        np.testing.assert_allclose(capsules[row], wanted, rtol=1e-5, atol=1e-5)
        assert alive[row] == count
        assert not capsules[row, count:].numpy().any()
    assert (np.linalg.norm(capsules, axis=2) < 1).all()


def test_how_many_interests_are_alive():
    """max(1, min(K, floor(log2 n))), right at powers of two."""
    layer = CapsuleRouting(num_interests=20, units=1, max_length=40_000)
    lengths = np.array([0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 32767, 32768])
    mask = np.arange(32768)[None, :] < lengths[:, None]
    x = np.zeros((1, 32768, 1), "float32")
    wanted = [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 14, 15]
    found = [int(layer(x, mask=one[None])[1][0]) for one in mask]
    assert found == wanted
    few = CapsuleRouting(num_interests=2, units=1, max_length=64)
    assert few(X, mask=MASK)[1].numpy().tolist() == [2, 2, 1, 1, 1, 2]


def test_squash():
    found = squash(np.float32([[3, 4], [0, 0]]))
    wanted = [[25 / 26 * 0.6, 25 / 26 * 0.8], [0, 0]]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_where_the_padding_stands_does_not_matter():
    layer = made()
    right = layer(X[1:2, :4])
    for places in ((5, 6, 7, 8), (0, 2, 4, 8)):
        x, mask = np.full((1, 9, 4), np.nan, "float32"), np.zeros((1, 9), bool)
        x[0, list(places)], mask[0, list(places)] = X[1, :4], True
        for one, other in zip(layer(x, mask=mask), right, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_newest_steps_of_a_long_history_count():
    layer = made(max_length=4)
    for one, other in zip(layer(X), layer(X[:, -4:]), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_one_interest_is_the_sum_of_all_steps():
    layer = made(num_interests=1)
    found = layer(X)[0].numpy()
    votes = X.astype(float) @ layer.get_weights()[0]
    np.testing.assert_allclose(found[2, 0], squashed(votes[2].sum(axis=0)), atol=1e-5)


def test_steps_move_with_their_logits_only():
    layer, order = made(max_length=9), [4, 2, 7, 0, 8, 1, 3, 6, 5]
    before = layer(X)[0].numpy()
    alone = layer(X[:, order])[0].numpy()
    kernel, logits = layer.get_weights()
    layer.set_weights([kernel, logits[order]])
    np.testing.assert_allclose(layer(X[:, order])[0], before, atol=1e-5)
    assert np.abs(alone - before).max() > 1e-2


def test_capsules_differ_by_their_start():
    layer = made()
    assert np.abs(np.diff(layer(X)[0][0], axis=0)).max() > 1e-2
    kernel, logits = layer.get_weights()
    layer.set_weights([kernel, 0 * logits])
    np.testing.assert_allclose(np.diff(layer(X)[0][0], axis=0), 0, atol=1e-6)


def test_the_same_request_has_the_same_answer():
    layer = made()
    first = layer(X, mask=MASK)[0].numpy()
    for training in (False, True):
        again = layer(X, mask=MASK, training=training)[0]
        np.testing.assert_array_equal(again, first)


def test_seeds():
    def start(seed):
        layer = CapsuleRouting(K, D, LONGEST, seed=seed)
        layer(X)
        return layer.get_weights()[1]

    np.testing.assert_array_equal(start(3), start(3))
    assert np.abs(start(3) - start(4)).max() > 0.1
    assert np.abs(start(None) - start(None)).max() > 0.1


def test_gradients_run_through_the_last_sum_only():
    """With the last round's weights as constants, squash(sum w e S) is all."""
    layer = made(num_rounds=3)
    x = tf.constant(X[:1])
    kernel, logits = layer.get_weights()
    b = logits[:9].astype(float)
    votes = X[0].astype(float) @ kernel
    for _ in range(2):
        w = np.exp(b) / np.exp(b).sum(axis=1, keepdims=True)
        b = b + votes @ np.stack([squashed(z) for z in w.T @ votes]).T
    w = tf.constant(np.exp(b) / np.exp(b).sum(axis=1, keepdims=True), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x)[0] ** 2)
    found = tape.gradient(total, [x, layer.kernel.value])
    plain = tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([x, plain])
        z = tf.einsum("tk,td->kd", w, x[0] @ plain)
        wanted_total = tf.reduce_sum(squash(z) ** 2)
    wanted = tape.gradient(wanted_total, [x, plain])
    np.testing.assert_allclose(total, wanted_total, rtol=1e-4)
    for one, other in zip(found, wanted, strict=True):
        assert np.abs(other).max() > 1e-2
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert [w.name for w in layer.trainable_weights] == ["kernel"]


def test_contract():
    check_layer(CapsuleRouting(K, D, LONGEST, seed=1), X, mask=MASK)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"num_interests": 0},
            "CapsuleRouting: `num_interests` must be an int >= 1. Received: "
            r"num_interests=0 \(int\).",
        ),
        ({"units": 2.0}, "`units` must be an int >= 1"),
        ({"max_length": 0}, "`max_length` must be an int >= 1"),
        ({"num_rounds": 0}, "`num_rounds` must be an int >= 1"),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CapsuleRouting(**arguments)


@pytest.mark.parametrize(
    "inputs, mask, message",
    [
        (X[0], None, r"`inputs` must have shape \(batch, time, dim\)"),
        (X, MASK[:, :, None], r"`mask` must have shape \(batch, time\)"),
    ],
)
def test_bad_inputs(inputs, mask, message):
    with pytest.raises(ValueError, match=message):
        CapsuleRouting()(inputs, mask=mask)
