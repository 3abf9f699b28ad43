import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers import MaskedPooling
from tfrec.layers.sequence.masked_pooling import MODES
from tfrec.testing import check_layer

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(6, 5, 3)).astype("float32")
MASK = np.array(
    [
        [1, 1, 1, 0, 0],
        [0, 0, 1, 1, 1],
        [1, 0, 1, 0, 1],
        [0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1],
        [0, 0, 1, 0, 0],
    ],
    bool,
)


def pooled(rows, mode):
    if not len(rows):
        return np.zeros(3)
    return {
        "mean": lambda: rows.sum(axis=0) / len(rows),
        "sum": lambda: rows.sum(axis=0),
        "sqrtn": lambda: rows.sum(axis=0) / np.sqrt(len(rows)),
        "max": lambda: rows.max(axis=0),
        "last": lambda: rows[-1],
    }[mode]()


@pytest.mark.parametrize("mode", MODES)
def test_matches_the_definition(mode):
    wanted = [
        pooled(x[mask].astype(float), mode) for x, mask in zip(X, MASK, strict=True)
    ]
    np.testing.assert_allclose(MaskedPooling(mode)(X, mask=MASK), wanted, atol=1e-5)
    whole = [pooled(x.astype(float), mode) for x in X]
    np.testing.assert_allclose(MaskedPooling(mode)(X), whole, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_where_the_padding_stands_does_not_matter(mode):
    layer = MaskedPooling(mode)
    rows, mask = X[:, :3], np.ones((6, 3), bool)
    noise = np.full((6, 2, 3), np.nan, "float32")
    off = np.zeros((6, 2), bool)
    left = layer(
        np.concatenate([noise, rows], axis=1), mask=np.concatenate([off, mask], axis=1)
    )
    right = layer(
        np.concatenate([rows, noise], axis=1), mask=np.concatenate([mask, off], axis=1)
    )
    np.testing.assert_array_equal(left, right)
    np.testing.assert_allclose(left, layer(rows), atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_no_steps_at_all(mode):
    layer = MaskedPooling(mode)
    empty = np.zeros((2, 0, 3), "float32")
    wanted = np.zeros((2, 3))
    np.testing.assert_array_equal(layer(empty, mask=np.zeros((2, 0), bool)), wanted)
    spec = [tf.TensorSpec([None, None, 3]), tf.TensorSpec([None, None], tf.bool)]
    pool = tf.function(lambda x, m: layer(x, mask=m), input_signature=spec)
    np.testing.assert_array_equal(pool(empty, np.zeros((2, 0), bool)), wanted)


def test_max_of_very_small_numbers():
    for dtype, value in (("float16", -65000), ("bfloat16", -1e30), ("float32", -3e38)):
        x = tf.cast(tf.fill([1, 2, 1], value), dtype)
        found = MaskedPooling("max", dtype=dtype)(x, mask=np.array([[True, False]]))
        assert found.numpy() == x.numpy()[:, 0]


def test_a_long_mean_in_float16():
    x = np.full((1, 5000, 2), 100, "float16")
    found = MaskedPooling("mean", dtype="mixed_float16")(x)
    np.testing.assert_array_equal(found, np.full((1, 2), 100, "float16"))


@pytest.mark.parametrize("mode", MODES)
def test_contract(mode):
    check_layer(MaskedPooling(mode), X, mask=MASK)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"mode": "avg"},
            "MaskedPooling: `mode` must be one of 'mean', 'sum', 'sqrtn', 'max', "
            r"'last'. Received: mode='avg' \(str\).",
        ),
        ({"mode": None}, "`mode` must be one of"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MaskedPooling(**arguments)


@pytest.mark.parametrize(
    "inputs, mask, message",
    [
        (X[0], None, r"`inputs` must have shape \(batch, time, dim\)"),
        (X, MASK[:, :, None], r"`mask` must have shape \(batch, time\)"),
    ],
)
def test_bad_inputs(inputs, mask, message):
    with pytest.raises(ValueError, match=message):
        MaskedPooling()(inputs, mask=mask)
