import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers.basic.masked_softmax import masked_softmax

RANDOM = np.random.default_rng(0)
S = RANDOM.normal(scale=30, size=(4, 3, 5)).astype("float32")
MASK = RANDOM.random((4, 3, 5)) < 0.5
MASK[:, :, 2], MASK[0] = True, False


@pytest.mark.parametrize("mask", [MASK, MASK[:, :1], None])
def test_matches_the_definition(mask):
    real = np.broadcast_to(True if mask is None else mask, S.shape)
    raised = np.where(real, np.exp(S.astype(float)), 0)
    total = raised.sum(axis=-1, keepdims=True)
    wanted = raised / np.where(total == 0, 1, total)
    found = masked_softmax(S, mask).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert (found[~real] == 0).all()


@pytest.mark.parametrize("size", [1e6, 1e9, 1e20, -1e9])
def test_large_scores_share_evenly(size):
    found = masked_softmax(np.full((1, 3), size, "float32"))
    np.testing.assert_allclose(found, 1 / 3, rtol=1e-6)


def test_an_axis_of_one_entry_and_of_none():
    one = masked_softmax(S[..., :1], np.array([True, False, True])[None, :, None])
    assert (one[:, 1].numpy() == 0).all() and (one[:, 0].numpy() == 1).all()
    assert (masked_softmax(S[..., :1]).numpy() == 1).all()
    assert masked_softmax(S[..., :0], MASK[..., :0]).shape == (4, 3, 0)
    assert masked_softmax(S[:0], MASK[:0]).shape == (0, 3, 5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_floats(dtype):
    scores = tf.cast(S * 1000, dtype)
    found = masked_softmax(scores, MASK)
    assert found.dtype == scores.dtype
    wanted = masked_softmax(tf.cast(scores, tf.float32), MASK)
    np.testing.assert_allclose(tf.cast(found, tf.float32), wanted, atol=1e-2)


@pytest.mark.parametrize("value", [0.0, 1e20, -1e20, np.nan])
def test_what_is_masked_does_not_matter(value):
    scores = tf.constant(np.where(MASK, S, np.float32(value)))
    with tf.GradientTape() as tape:
        tape.watch(scores)
        found = masked_softmax(scores, MASK)
        total = tf.reduce_sum(found**2)
    np.testing.assert_array_equal(found, masked_softmax(S, MASK))
    gradient = tape.gradient(total, scores).numpy()
    assert np.isfinite(gradient).all() and (gradient[~MASK] == 0).all()
