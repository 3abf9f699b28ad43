"""A model on two devices against the same model on one."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from tfrec.data import from_pandas
from tfrec.testing.layers import quiet_saving

TOLERANCE = 1e-5

ELSEWHERE = """
import sys
import tfrec
import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [one, one])
folder, batch_size = sys.argv[1], int(sys.argv[2])
found = {"x": {}, "y": {}, "w": {}}
for key, value in np.load(f"{folder}/rows.npz").items():
    kind, _, name = key.partition(":")
    found[kind][name] = value
x, y, w = found["x"], found["y"], found["w"].get("")
y = y[""] if "" in y else y
rows = tf.data.Dataset.from_tensor_slices((x, y) if w is None else (x, y, w))
rows = rows.batch(batch_size)
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
answer = {}
for name, scope in (("one", tf.distribute.get_strategy()), ("two", two)):
    with scope.scope():
        model = keras.models.load_model(f"{folder}/model.keras")
    fitted = model.fit(rows, epochs=2, shuffle=False, verbose=0)
    answer[f"{name}:loss"] = fitted.history["loss"]
    for number, value in enumerate(model.get_weights()):
        answer[f"{name}:{model.weights[number].path}:{number}"] = value
np.savez(f"{folder}/answer.npz", **answer)
"""


def check_replicas(make_model, spec, frame, *, batch_size=32):
    """Raises `AssertionError` when two devices train otherwise than one.

    Another process loads the model with and without a `MirroredStrategy` of two
    logical CPU devices and fits it to the same global batches for two epochs: the
    losses, then all weights agree within 1e-5.

    Args:
        make_model: function without arguments -> compiled keras.Model that draws
            nothing (rates of dropout and of unknown ids 0).
        spec: FeatureSpec with its vocabularies.
        frame: rows, as `tfrec.data.from_pandas` takes them; batches of equal size.
        batch_size: int >= 2, of both devices together.

    Raises: `AssertionError` that names model and rule.
    """
    rows = next(iter(from_pandas(frame, spec, batch_size=len(frame))))
    x, y, *weight = keras.tree.map_structure(lambda value: value.numpy(), rows)
    model = make_model()
    with tempfile.TemporaryDirectory() as folder:
        with quiet_saving():
            model.save(Path(folder) / "model.keras")
        arrays = {f"x:{name}": value for name, value in x.items()}
        labels = y if isinstance(y, dict) else {"": y}
        arrays |= {f"y:{name}": value for name, value in labels.items()}
        arrays |= {"w:": weight[0]} if weight else {}
        np.savez(Path(folder) / "rows.npz", **arrays)
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE, folder, str(batch_size)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        rule = "must load and fit on two devices"
        _require(done.returncode == 0, model, rule, done.stderr[-2000:])
        with np.load(Path(folder) / "answer.npz") as found:
            answer = dict(found)
    for name, one in answer.items():
        if not name.startswith("one:"):
            continue
        what = name.removeprefix("one:")
        gap = np.max(np.abs(answer[f"two:{what}"] - one), initial=0.0)
        rule = "must train on two devices as on one"
        _require(gap <= TOLERANCE, model, rule, f"a difference of {gap} in {what!r}")


def _require(holds, model, rule, received):
    if not holds:
        raise AssertionError(
            f"check_replicas: {model.name} {rule}. Received: {received}."
        )
