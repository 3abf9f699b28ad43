import os
import re
import signal
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from tfrec.callbacks import BackupAndRestore
from tfrec.data import from_pandas, from_parquet
from tfrec.embeddings import EmbeddingTable
from tfrec.features import Categorical, FeatureSpec, Numeric
from tfrec.layers.basic.dropout import Dropout
from tfrec.optimizers import RowSparseAdam, RowSparseLossScale

SPEC = FeatureSpec(
    [
        Categorical("city", side="user", hash_buckets=20, embedding_dim=4),
        Numeric("age", side="user"),
    ],
    labels=["click"],
)
ROWS, SIZE, EPOCHS = 148, 16, 3  # 10 batches, the last one short


def frame():
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "city": random.choice(list("abcdefghijklmnop"), ROWS),
            "age": random.normal(size=ROWS),
            "click": random.integers(0, 2, ROWS),
        }
    )


def data_of(source=None):
    options = {"batch_size": SIZE, "shuffle": True, "seed": 3}
    if source is None:
        return from_pandas(frame(), SPEC, **options)
    return from_parquet(source, SPEC, buffer_rows=40, **options)


def model_of(optimizer=None, **compiled):
    """With draws: unknown ids and dropout, ours and Keras' own."""
    city = keras.Input((), dtype="int32", name="city")
    age = keras.Input((1,), name="age")
    (row,) = EmbeddingTable((22,), 4, unknown_rate=0.2, seed=1)([city], tables=[0])
    joined = Dropout(0.3, seed=2)(keras.layers.Concatenate()([row, age]))
    kernel = keras.initializers.GlorotUniform(seed=3)
    logit = keras.layers.Dense(1, kernel_initializer=kernel)(joined)
    model = keras.Model([city, age], keras.layers.Dropout(0.1, seed=4)(logit))
    optimizer = optimizer or RowSparseAdam(0.02)
    model.compile(optimizer, "mse", auto_scale_loss=False, **compiled)
    return model


def state_of(model):
    variables = (*model.variables, *model.optimizer.variables)
    return [v.numpy() for v in variables]


def assert_same_bits(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


class Crash(keras.callbacks.Callback):
    """Raises after so many batches, or in the validation after them."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


CASES = {
    "plain": ({}, {}, 3),
    "executions": ({"steps_per_execution": 4}, {}, 1),
    "accumulation": (
        {
            "optimizer": lambda: RowSparseLossScale(
                RowSparseAdam(0.02, gradient_accumulation_steps=3)
            )
        },
        {},
        2,
    ),
    "validation": ({}, {"validation": True}, 4),
    "files": ({}, {"files": True}, 3),
}


@pytest.mark.parametrize(
    "name",
    [
        name if name == "executions" else pytest.param(name, marks=pytest.mark.slow)
        for name in CASES
    ],
)
def test_a_crash_changes_nothing(name, tmp_path):
    compiled, how, save_freq = CASES[name]
    source = None
    if "files" in how:
        source = tmp_path / "a.parquet"
        frame().to_parquet(source, row_group_size=30)

    def run(folder, *crash):
        options = dict(compiled)
        if "optimizer" in options:
            options["optimizer"] = options["optimizer"]()
        model, data = model_of(**options), data_of(source)
        fitted = model.fit(
            data,
            epochs=EPOCHS,
            validation_data=data if "validation" in how else None,
            callbacks=[BackupAndRestore(tmp_path / folder, data, save_freq), *crash],
            verbose=0,
        )
        return model, fitted.history

    whole, history = run("whole")
    crashes = [2, 3] if name == "executions" else [7, 6]
    for after in crashes:
        with pytest.raises(KeyboardInterrupt):
            run("broken", Crash(after))
        assert (tmp_path / "broken" / "backup.npz").exists()
    resumed, rest = run("broken")
    assert_same_bits(state_of(resumed), state_of(whole))
    for metric, values in rest.items():  # a broken epoch's loss is that of its rest
        whole_epochs = values if metric.startswith("val_") else values[1:]
        last = history[metric][len(history[metric]) - len(whole_epochs) :]
        np.testing.assert_array_equal(whole_epochs, last)
    assert os.listdir(tmp_path / "broken") == []


def test_early_stopping_and_a_second_fit(tmp_path):
    """What stops training is not taken for the end of a resumed epoch."""
    data, model = data_of(), model_of()
    backup = BackupAndRestore(tmp_path, data, 4)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    with pytest.raises(KeyboardInterrupt):
        model.fit(data, epochs=3, callbacks=[backup, Crash(15)], verbose=0)
    for order in (1, -1):
        callbacks = [BackupAndRestore(tmp_path, data, 4), Stop()][::order]
        fitted = model.fit(data, epochs=3, callbacks=callbacks, verbose=0)
        assert len(fitted.history["loss"]) == 1
    assert fitted.epoch == [0]  # nothing was left over


@pytest.mark.slow
def test_with_the_callback_of_keras(tmp_path):
    """At the end of epochs: weights, slots and our draws; the order must be set."""

    def run(epochs, folder):
        data, model = data_of(), model_of()
        model.layers[-1].rate = 0.0  # Keras' own draws are not saved by Keras
        order = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, _: setattr(data.position, "epoch", epoch)
        )
        backup = keras.callbacks.BackupAndRestore(
            tmp_path / folder, delete_checkpoint=False
        )
        model.fit(data, epochs=epochs, callbacks=[backup, order], verbose=0)
        return state_of(model)

    run(2, "broken")
    assert_same_bits(run(4, "broken"), run(4, "whole"))


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from test_backup_and_restore import *

folder, kill, at = sys.argv[2], sys.argv[3], int(sys.argv[4])
data, model = data_of(), model_of()

class Kill(keras.callbacks.Callback):
    seen = 0
    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if kill == "step" and self.seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

writes, savez, replace = 0, np.savez, os.replace
def broken(file, **state):
    global writes
    writes += 1
    if kill == "write" and writes == at:
        file.write(b"PK half of a file")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    savez(file, **state)
def swap(one, other):
    if kill == "swap" and writes == at:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(one, other)
np.savez, os.replace = broken, swap
backup = BackupAndRestore(folder + "/backup", data, 3)
model.fit(data, epochs=EPOCHS, callbacks=[Kill(), backup], verbose=0)
savez(folder + "/end.npz", *state_of(model))
"""


@pytest.mark.slow
def test_kills(tmp_path):
    """The same script again and again, until it ends, is as one that never stopped."""
    random = np.random.default_rng()
    plans = {
        "whole": [("none", 0)],
        "broken": [
            ("step", random.integers(4, 9)),
            ("write", random.integers(2, 5)),
            ("swap", random.integers(1, 4)),
            ("none", 0),
        ],
    }
    ends = []
    for folder, plan in plans.items():
        (tmp_path / folder).mkdir()
        for kill, at in plan:
            arguments = [os.path.dirname(__file__), tmp_path / folder, kill, at]
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT, *map(str, arguments)],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
            wanted = 0 if kill == "none" else -signal.SIGKILL
            assert done.returncode == wanted, (plan, done.stderr[-3000:])
        with np.load(tmp_path / folder / "end.npz") as end:
            ends.append([end[key] for key in end])
    assert_same_bits(*ends)


def raises(text):
    return pytest.raises(ValueError, match=re.escape(text))


def test_bad_arguments(tmp_path):
    data = data_of()
    with raises("BackupAndRestore: `backup_dir` must be a non-empty string"):
        BackupAndRestore("", data)
    with raises('BackupAndRestore: `save_freq` must be "epoch" or an int >= 1'):
        BackupAndRestore(tmp_path, data, 0)
    text = "BackupAndRestore: `data` must be what `tfrec.data.from_...` returned, "
    with raises(text + "with `repeat=1`. Received: data="):
        BackupAndRestore(tmp_path, data.map(lambda x, y: (x, y)))
    with raises(text):
        BackupAndRestore(tmp_path, from_pandas(frame(), SPEC, repeat=2))


def test_a_fit_that_reads_something_else(tmp_path):
    data, model = data_of(), model_of()
    backup = BackupAndRestore(tmp_path, data)
    text = "must be what `fit` reads, whole epochs of 10 batches. Received: data='fit"
    with raises(text):
        model.fit(data, steps_per_epoch=4, callbacks=[backup], verbose=0)
    text = "BackupAndRestore: `data` must be what `fit` reads anew in each epoch."
    with raises(text):
        model.fit(data_of(), callbacks=[backup], verbose=0)
    mapped = data.map(lambda x, y: (x, 1 - y))
    model.fit(mapped, callbacks=[BackupAndRestore(tmp_path, data)], verbose=0)


def test_the_backup_of_another_model(tmp_path):
    data = data_of()
    with pytest.raises(KeyboardInterrupt):
        callbacks = [BackupAndRestore(tmp_path, data, 2), Crash(5)]
        model_of().fit(data, callbacks=callbacks, verbose=0)
    other = model_of(keras.optimizers.Adam(amsgrad=True))
    text = "BackupAndRestore: `backup_dir` holds the backup of another model or opt"
    with raises(text):
        other.fit(data, callbacks=[BackupAndRestore(tmp_path, data)], verbose=0)
