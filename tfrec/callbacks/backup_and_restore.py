"""Backs training up within an epoch, and goes on at that batch after a crash."""

import os
from pathlib import Path

import keras
import numpy as np

from tfrec import _checks


class BackupAndRestore(keras.callbacks.Callback):
    """Goes on after a kill as if nothing had happened: weights and slots bit by bit.

    Written are the model's weights, the state of its random draws, the optimizer's
    slots, the epoch and the batch: in one file that replaces the last one whole, so
    that a kill while writing leaves the last one. When the same script runs again,
    `fit` begins at that batch of that epoch, the rows in the order they would have
    had. After a `fit` that ended the file is deleted.

    The order of epoch e is that of the data set's seed and e, whatever was read of
    it before. `fit` must read whole epochs, without `steps_per_epoch`.

    Other callbacks' own state (the best epoch of `EarlyStopping`, the history) is
    not kept; what they set in the optimizer is, so put this one last. The loss and
    metrics of the training epoch that was broken are those of its rest; those of
    validation are whole.

    Differs: `keras.callbacks.BackupAndRestore` repeats the epoch from its start with
    the weights of its middle, and writes weights and position one after the other.

    Args:
        backup_dir: str or path of a folder on a local disk, made if it is missing.
        data: the data set that `tfrec.data.from_...` returned and `fit` reads, itself
            or mapped, `repeat=1`.
        save_freq: "epoch", or int >= 1: every so many batches too. With
            `steps_per_execution`, at the next end of an execution.

    Raises: `ValueError` on a bad argument, on data of another kind, on a `fit` that
    reads something else, and on a backup of another model.

    >>> from tfrec.data import from_pandas
    >>> from tfrec.features import FeatureSpec, Numeric
    >>> spec = FeatureSpec([Numeric("age", side="user")], labels=["click"])
    >>> frame = pd.DataFrame({"age": [20, 30], "click": [0, 1]})
    >>> data = from_pandas(frame, spec, batch_size=1, shuffle=True)
    >>> BackupAndRestore("backups", data, save_freq=100).file.name
    'backup.npz'
    """

    def __init__(self, backup_dir, data, save_freq="epoch"):
        super().__init__()
        if not isinstance(backup_dir, os.PathLike):
            _checks.string(self, backup_dir=backup_dir)
        if not hasattr(data, "position"):
            rule = "must be what `tfrec.data.from_...` returned, with `repeat=1`"
            way_out = "Pass that data set also where `fit` gets a mapped one."
            raise _checks.argument(self, "data", rule, data, way_out)
        if save_freq != "epoch" and not (_checks.is_int(save_freq) and save_freq >= 1):
            rule = 'must be "epoch" or an int >= 1'
            raise _checks.argument(self, "save_freq", rule, save_freq)
        self.file = Path(backup_dir) / "backup.npz"
        self.data, self.position = data, data.position
        self.save_freq = save_freq
        self.epoch_is_over = object()  # told from another's True

    def on_train_begin(self, logs=None):
        self.steps = int(self.data.cardinality())
        if self.params["steps"] != self.steps:
            rule = f"must be what `fit` reads, whole epochs of {self.steps} batches"
            way_out = "Drop `steps_per_epoch`."
            received = f"fit with {self.params['steps']} steps"
            raise _checks.argument(self, "data", rule, received, way_out)
        self.epoch = self.skipped = 0
        if self.file.exists():
            self._restore()

    def on_epoch_begin(self, epoch, logs=None):
        if epoch != self.epoch:
            self.skipped = 0
        self.epoch = epoch
        self.position.epoch, self.position.skip = epoch, self.skipped
        self.passes, self.has_begun = self.position.passes, False
        self.saved = self.skipped

    def on_train_batch_end(self, batch, logs=None):
        if not self.has_begun:
            self._check_begun()
        done = min(self.skipped + batch + 1, self.steps)
        if done == self.steps:
            # Keras counts on for the batches that were left out.
            if self.skipped and not self.model.stop_training:
                self.model.stop_training = self.epoch_is_over
        elif self.save_freq != "epoch" and done - self.saved >= self.save_freq:
            self._save(self.epoch, done)
            self.saved = done

    def on_epoch_end(self, epoch, logs=None):
        if self.model.stop_training is self.epoch_is_over:
            self.model.stop_training = False
        self.skipped = 0
        self._save(epoch + 1, 0)

    def on_train_end(self, logs=None):
        self.model._initial_epoch = None
        self.file.unlink(missing_ok=True)

    def _check_begun(self):
        """The pass has begun; the next ones are no concern of ours."""
        if self.position.passes == self.passes:
            rule = "must be what `fit` reads anew in each epoch"
            received = "data that epoch did not read"
            way_out = "Pass it to `fit`, without `cache` or `steps_per_epoch`."
            raise _checks.argument(self, "data", rule, received, way_out)
        self.has_begun = True
        self.position.epoch, self.position.skip = None, 0
        self.position.passes = self.epoch + 1

    def _variables(self):
        """All that training changes, but for what the inner optimizer stores."""
        model, optimizer = self.model, self.model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        stored = {id(variable) for variable in inner.variables}
        outer = [v for v in optimizer.variables if id(v) not in stored]
        return inner, [*model.variables, *outer]

    def _save(self, epoch, done):
        inner, variables = self._variables()
        state = {"epoch": epoch, "done": done}
        state |= {f"variable_{i}": v.numpy() for i, v in enumerate(variables)}
        slots = {}
        inner.save_own_variables(slots)
        state |= {f"slot_{key}": value for key, value in slots.items()}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.file.with_suffix(".unfinished")
        with open(unfinished, "wb") as file:
            np.savez(file, **state)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self.file)

    def _restore(self):
        model = self.model
        if not model.optimizer.built:
            with model.distribute_strategy.scope():
                model.optimizer.build(model.trainable_variables)
        inner, variables = self._variables()
        with np.load(self.file) as state:
            slots = {
                key.removeprefix("slot_"): state[key]
                for key in state
                if key.startswith("slot_")
            }
            targets = {f"variable_{i}": v.shape for i, v in enumerate(variables)}
            targets |= {f"slot_{i}": v.shape for i, v in enumerate(inner.variables)}
            count = len([key for key in state if key.startswith("variable_")])
            if count != len(variables) or any(
                key not in state or state[key].shape != tuple(shape)
                for key, shape in targets.items()
            ):
                rule = "holds the backup of another model or optimizer"
                way_out = "Delete it to begin anew."
                received = str(self.file.parent)
                raise _checks.argument(self, "backup_dir", rule, received, way_out)
            for i, variable in enumerate(variables):
                variable.assign(state[f"variable_{i}"])
            inner.load_own_variables(slots)
            self.epoch, self.skipped = int(state["epoch"]), int(state["done"])
        model._initial_epoch = self.epoch
