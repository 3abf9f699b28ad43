import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfrec.features import Categorical, FeatureSpec, Sequence
from tfrec.models.replicas import all_rows, share


def test_one_replica_is_alone():
    x = tf.constant([[1.0], [2.0]])
    assert all_rows(x) is x
    assert float(share(tf.constant([0.0, 0.0]))) == 1


TWO = """
import sys
import keras, numpy as np, pandas as pd, tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [one, one])
from tfrec.data import from_pandas
from tfrec.features import FeatureSpec
from tfrec.losses import InBatchSoftmax
from tfrec.models import dat, sampling_bias_corrected
from tfrec.models.replicas import all_rows, share
from tfrec.optimizers import RowSparseAdagrad

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


# Replicas of 3 rows and of 1: rows, their gradient, and the share of the weight.
@tf.function
def gathered():
    def run():
        place = tf.distribute.get_replica_context().replica_id_in_sync_group
        x = tf.constant([1.0, 2.0, 3.0, 4.0])[3 * place : 3 + place]
        factor = tf.constant([1.0, 10.0])[place]
        with tf.GradientTape() as tape:
            tape.watch(x)
            rows = all_rows(x)
            total = factor * tf.reduce_sum(rows**2)
        return rows, tape.gradient(total, x), share(x)

    return strategy.run(run)


rows, gradient, part = map(strategy.experimental_local_results, gathered())
np.testing.assert_array_equal(rows[0], [1, 2, 3, 4])
np.testing.assert_array_equal(rows[1], [4, 1, 2, 3])
np.testing.assert_allclose(gradient[0], [22, 44, 66])  # (1 + 10) 2 x
np.testing.assert_allclose(gradient[1], [88])
np.testing.assert_allclose(part, [2 * 6 / 10, 2 * 4 / 10])

# One device and two give the same losses and weights, weights and padding included.
spec = FeatureSpec.load(sys.argv[1])
frame = pd.read_pickle(sys.argv[2])
both = {"item_id": "item_id", "hidden_units": (8,), "unknown_rate": 0.0, "seed": 1}
makers = {
    "dat": lambda: dat(spec, user_id="user_id", category="colour", **both),
    "stream": lambda: sampling_bias_corrected(spec, num_hashes=2, **both),
}
for name, make in makers.items():
    # 145: the last batch is 9 rows and 8.
    for rows, exact in ((128, True), (145, False))[name == "stream" :]:
        batches = from_pandas(frame[:rows], spec, batch_size=32)
        weights, said = [], []
        for scope in (tf.distribute.get_strategy(), strategy):
            with scope.scope():
                model = make()
                model.compile(RowSparseAdagrad(0.2), InBatchSoftmax())
            fitted = model.fit(batches, epochs=2, shuffle=False, verbose=0)
            found = model.evaluate(batches, verbose=0, return_dict=True)
            found = {f"test {key}": value for key, value in found.items()}
            said.append({**fitted.history, **found})
            weights.append(model.get_weights())
        for one, two in zip(*weights, strict=True):
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)
        for key, value in said[0].items():
            bound = 1e-5 if exact else 1e-2
            np.testing.assert_allclose(said[1][key], value, rtol=bound, err_msg=key)

# A last batch of one row leaves a replica without rows.
batches = from_pandas(frame[:33], spec, batch_size=32)
with strategy.scope():
    model = makers["dat"]()
    model.compile(RowSparseAdagrad(0.2), InBatchSoftmax())
losses = model.fit(batches, epochs=3, shuffle=False, verbose=0).history["loss"]
assert np.isfinite(losses).all(), losses
assert all(np.isfinite(w).all() for w in model.get_weights())
assert model.predict(batches, verbose=0).shape == (33, 1)
"""


@pytest.mark.slow
def test_two_replicas_are_one_device(frame, tmp_path):
    columns = [
        Categorical("user_id", side="user"),
        Sequence("history", of="item_id", max_length=5),
        Categorical("item_id", side="item"),
        Categorical("colour", side="item"),
    ]
    weight = np.where(np.arange(len(frame)) % 7, frame["weight"], 0.0)
    frame = frame.assign(weight=weight.astype("float32"))
    spec = FeatureSpec(columns, labels=["click"], weight="weight")
    spec.adapt(frame, tmp_path).save(tmp_path / "spec.json")
    frame.to_pickle(tmp_path / "frame.pkl")
    done = subprocess.run(
        [sys.executable, "-c", TWO, tmp_path / "spec.json", tmp_path / "frame.pkl"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
