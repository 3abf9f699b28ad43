import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.losses import InBatchSoftmax
from tfrec.testing import check_loss

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.normal(size=(5, 7)).astype("float32")
REWARDS = np.float32([1, 0.5, 0, 1, 0.25])


def by_hand(scores, rewards):
    losses = []
    for i, row in enumerate(scores.astype(float)):
        losses.append(-rewards[i] * np.log(np.exp(row[i]) / np.exp(row).sum()))
    return np.array(losses)


def test_matches_the_paper():
    found = InBatchSoftmax(reduction="none")(REWARDS, SCORES)
    np.testing.assert_allclose(found, by_hand(SCORES, REWARDS), atol=1e-5)
    found = InBatchSoftmax()(REWARDS[:, None], SCORES)
    np.testing.assert_allclose(found, by_hand(SCORES, REWARDS).mean(), atol=1e-5)
    weight = np.float32([1, 2, 3, 0, 1])
    found = InBatchSoftmax()(REWARDS, SCORES, sample_weight=weight)
    wanted = (weight * by_hand(SCORES, REWARDS)).sum() / weight.sum()
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_gradient_of_the_user_vectors_matches_the_paper():
    temperature = 0.5
    users, items = RANDOM.normal(size=(2, 5, 3)).astype("float32")
    u, v = tf.constant(users), tf.constant(items)
    with tf.GradientTape() as tape:
        tape.watch(u)
        scores = tf.matmul(u, v, transpose_b=True) / temperature
        loss = InBatchSoftmax()(REWARDS, scores)
    p = np.exp(users.astype(float) @ items.T / temperature)
    p /= p.sum(axis=1, keepdims=True)
    wanted = REWARDS[:, None] / (5 * temperature) * (p @ items - items)
    np.testing.assert_allclose(tape.gradient(loss, u), wanted, atol=1e-5)


def test_a_row_of_reward_0_has_no_gradient():
    scores = tf.constant(SCORES)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = InBatchSoftmax()(REWARDS, scores)
    gradient = tape.gradient(loss, scores).numpy()
    assert not gradient[2].any() and gradient[[0, 1, 3, 4]].all()
    assert float(InBatchSoftmax()(np.zeros(5), SCORES)) == 0


def test_a_constant_added_to_a_row_changes_nothing():
    moved = SCORES + np.arange(5, dtype="float32")[:, None]
    loss = InBatchSoftmax(reduction="none")
    np.testing.assert_allclose(loss(REWARDS, moved), loss(REWARDS, SCORES), atol=1e-5)


def test_edges():
    loss = InBatchSoftmax()
    assert float(loss(np.ones(1), np.full((1, 1), 20.0))) == 0  # no negative
    alone = np.where(np.eye(4, dtype=bool), -3.0, -1e9)
    assert float(loss(np.ones(4), alone)) == 0  # all others masked
    assert float(loss(np.ones(5), SCORES, sample_weight=np.zeros(5))) == 0
    assert np.isfinite(loss(np.ones(5), 1e6 * SCORES))


def test_half_precision_scores_are_summed_in_float32():
    scores = tf.cast(20 * SCORES, tf.float16)
    wanted = by_hand(scores.numpy(), REWARDS).mean()
    np.testing.assert_allclose(InBatchSoftmax()(REWARDS, scores), wanted, rtol=1e-5)


def test_contract():
    loss = InBatchSoftmax(reduction="sum", name="other")
    check_loss(loss, REWARDS, SCORES)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is InBatchSoftmax
    assert again.get_config() == {"name": "other", "reduction": "sum"}
    graph = tf.function(loss)(tf.constant(REWARDS), tf.constant(SCORES))
    np.testing.assert_allclose(graph, again(REWARDS, SCORES), rtol=1e-6)


@pytest.mark.parametrize(
    "y_true, y_pred, message",
    [
        (
            REWARDS,
            REWARDS,
            r"InBatchSoftmax: `y_pred` must have shape \(batch, columns\)",
        ),
        (REWARDS, SCORES[:, :4], "`y_pred` must have a column for each row. Received"),
        (SCORES, SCORES, r"`y_true` must have shape \(batch,\) or \(batch, 1\)"),
    ],
)
def test_bad_inputs(y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        InBatchSoftmax()(y_true, y_pred)


def test_bad_arguments():
    with pytest.raises(ValueError, match="reduction"):
        InBatchSoftmax(reduction="average")
    with pytest.raises(TypeError, match="nonsense"):
        InBatchSoftmax(nonsense=1)
