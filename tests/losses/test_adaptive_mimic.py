import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.losses import AdaptiveMimic
from tfrec.testing import check_loss

RANDOM = np.random.default_rng(0)
OWN = RANDOM.normal(size=(6, 4)).astype("float32")
TARGET = RANDOM.normal(size=(6, 4)).astype("float32")
LABELS = np.float32([1, 0, 1, 1, 0, 0.5])


def by_hand(own, target, labels):
    total = 0.0
    for a, p, y in zip(own.astype(float), target.astype(float), labels, strict=True):
        total += y * np.sum((a - p) ** 2)
    return total / len(labels)


def test_matches_the_paper():
    found = AdaptiveMimic()(TARGET, OWN, sample_weight=LABELS)
    np.testing.assert_allclose(found, by_hand(OWN, TARGET, LABELS), rtol=1e-5)
    found = AdaptiveMimic()(TARGET, OWN)
    np.testing.assert_allclose(found, by_hand(OWN, TARGET, np.ones(6)), rtol=1e-5)
    of_positives = AdaptiveMimic(reduction="mean_with_sample_weight")
    wanted = by_hand(OWN, TARGET, LABELS) * 6 / LABELS.sum()
    found = of_positives(TARGET, OWN, sample_weight=LABELS)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_the_case_of_the_sheet():
    own, target = np.float32([[1, 2], [3, 3]]), np.float32([[0, 0], [1, 1]])
    assert float(AdaptiveMimic()(target, own, sample_weight=np.float32([1, 0]))) == 2.5


def test_gradients_reach_positives_and_never_the_target():
    own, target = tf.Variable(OWN), tf.Variable(TARGET)
    with tf.GradientTape() as tape:
        loss = AdaptiveMimic()(target, own, sample_weight=LABELS)
    found = tape.gradient(loss, [own, target])
    wanted = 2 * LABELS[:, None] * (OWN - TARGET) / 6
    np.testing.assert_allclose(found[0], wanted, atol=1e-6)
    assert found[1] is None


@pytest.mark.parametrize(
    "reduction", ["sum_over_batch_size", "mean_with_sample_weight"]
)
def test_no_positive_no_loss(reduction):
    loss = AdaptiveMimic(reduction=reduction)
    assert float(loss(TARGET, OWN, sample_weight=np.zeros(6))) == 0


def test_contract():
    loss = AdaptiveMimic(reduction="sum", name="other")
    check_loss(loss, TARGET, OWN)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is AdaptiveMimic
    assert again.get_config() == {"name": "other", "reduction": "sum"}
    half = tf.cast(100 * OWN, tf.float16)  # squares of 1e4 and more: summed in float32
    wanted = by_hand(half.numpy(), TARGET, np.ones(6))
    np.testing.assert_allclose(AdaptiveMimic()(TARGET, half), wanted, rtol=1e-4)


def test_bad_inputs():
    with pytest.raises(ValueError, match=r"AdaptiveMimic: `y_pred` must have shape"):
        AdaptiveMimic()(TARGET, OWN[0])
    message = r"AdaptiveMimic: `y_true` must have shape \(batch, 4\)"
    with pytest.raises(ValueError, match=message):
        AdaptiveMimic()(TARGET[:, :3], OWN)
    with pytest.raises(TypeError, match="nonsense"):
        AdaptiveMimic(nonsense=1)
