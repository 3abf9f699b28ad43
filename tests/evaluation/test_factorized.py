import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tfrec.evaluation import factorized, top_k

REFUSED = """
import os
import tensorflow as tf
tf.keras.layers
from tfrec.evaluation import top_k
try:
    top_k([[1.0]], [[1.0]], 1)
except ImportError as error:
    print(error)
print(os.environ.get("TF_USE_LEGACY_KERAS"))
"""
LAZY = """
import sys
import tfrec.evaluation
print([name for name in ("tensorflow", "keras", "scipy") if name in sys.modules])
"""


def run(program):
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    environment.pop("TF_USE_LEGACY_KERAS", None)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return done.stdout


def test_search_is_exact_and_stable():
    rng = np.random.default_rng(0)
    users = rng.integers(-2, 3, (20, 4)).astype("float32")
    items = rng.integers(-2, 3, (50, 4)).astype("float32")
    scores, places = factorized.BruteForce(items).search(users, 9)
    want = np.argsort(-(users @ items.T), axis=1, kind="stable")[:, :9]
    np.testing.assert_array_equal(places, want)
    np.testing.assert_array_equal(scores, np.take_along_axis(users @ items.T, want, 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_largest_puts_the_lower_column_first(dtype):
    rows = np.random.default_rng(0).integers(0, 4, (30, 200)).astype(dtype)
    rows[0] = -np.inf
    for k in (1, 7, 200):
        scores, columns = factorized.largest(rows, k)
        want = np.argsort(-rows, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(columns, want)
        assert scores.dtype == dtype


def test_the_package_loads_without_tensorflow_and_scipy():
    assert run(LAZY).strip() == "[]"


def test_keras_3_works_beside_it():
    assert top_k([[1.0]], [[1.0], [2.0]], 1).ids.tolist() == [[1]]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    assert keras.__version__.startswith("3.")
    assert top_k([[1.0]], [[1.0], [2.0]], 1).ids.tolist() == [[1]]


@pytest.mark.slow
def test_refuses_where_tf_keras_is_keras_3_already():
    message, switch = run(REFUSED).strip().split("\n")
    assert message.startswith("TensorFlow Recommenders: `tf.keras` must be the legacy")
    assert "Received: tf.keras of Keras 3" in message
    assert "TF_USE_LEGACY_KERAS=1" in message and "`import keras`" in message
    assert switch == "None"
