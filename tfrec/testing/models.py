"""The contract of a model: one function that tries it all."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfrec import _checks
from tfrec.data import from_pandas
from tfrec.features import FeatureSpec
from tfrec.testing.layers import quiet_saving

TOLERANCE = 1e-6
EXTRA_STEPS = 7
WEIGHTED_STEPS = 3

# What another process does: it knows the file and the package, nothing more.
ELSEWHERE = """
import sys
import tfrec
import keras
import numpy as np

folder, batch_size = sys.argv[1], int(sys.argv[2])
found = {"x": {}, "y": {}, "w": {}}
for key, value in np.load(f"{folder}/rows.npz").items():
    kind, _, name = key.partition(":")
    found[kind][name] = value
x, y, w = found["x"], found["y"], found["w"].get("")
y = y[""] if "" in y else y
model = keras.models.load_model(f"{folder}/model.keras")
answer = {"prediction": model.predict(x, batch_size=batch_size, verbose=0)}
fitted = model.fit(
    x, y, sample_weight=w, batch_size=batch_size, shuffle=False, verbose=0
)
answer["loss"] = fitted.history["loss"]
for number, value in enumerate(model.get_weights()):
    answer[f"weight:{number}"] = value
for number, variable in enumerate(model.optimizer.variables):
    answer[f"slot:{number}"] = variable.numpy()
np.savez(f"{folder}/answer.npz", **answer)
"""


def check_model(make_model, spec, frame, *, batch_size=32):
    """Raises `AssertionError` when a model breaks the contract of tfrec's models.

    Checked, in this order:

    - two equal models have equal losses;
    - a key that the model does not read, and any order of keys, changes no bit; a
      missing feature is an error that names it;
    - 7 more steps of padding change nothing; ids that no table holds are finite
      and as good as unknown;
    - rows of sample weight 0 are as good as absent: equal weights after training
      on both;
    - saved after one epoch and loaded in another process by `import tfrec, keras`
      and `load_model`: equal bits in `predict`; after one more epoch, weights and
      optimizer slots equal those of two epochs without a break.

    "Equal" where no bits are named: within 1e-6.

    Args:
        make_model: function without arguments -> compiled keras.Model, the same
            one each time (it passes seeds). Its loss divides by the sum of the
            weights: `reduction="mean_with_sample_weight"`.
        spec: FeatureSpec with its vocabularies.
        frame: rows, as `tfrec.data.from_pandas` takes them; at least 3 batches.
        batch_size: int >= 4.

    Raises: `AssertionError` that names model and rule; `ValueError` on too few rows.
    """
    _checks.integer("check_model", 4, batch_size=batch_size)
    if not isinstance(spec, FeatureSpec):
        rule = "must be a FeatureSpec"
        raise _checks.argument("check_model", "spec", rule, spec, kind=TypeError)
    case = _Case(make_model, spec, frame, batch_size)
    broken = case.make()
    first = case.fit(broken)
    # Before all else: a function traced for other shapes rounds otherwise.
    predicted = case.predict(broken, case.x)
    whole = case.make()
    losses = case.fit(whole, epochs=2)
    rule = "must have the same losses each time"
    case.require_equal(losses[:1], first, rule, tolerance=0.0)
    _features(case, broken)
    _padding_and_unknown(case, broken)
    with _elsewhere(case, broken) as answer:
        _weights(case)
        _goes_on(case, answer(), predicted, whole, losses)


class _Case:
    """The rows of a check as arrays, and what is done with them."""

    def __init__(self, make_model, spec, frame, batch_size):
        rows = next(iter(from_pandas(frame, spec, batch_size=len(frame))))
        x, y, *weight = keras.tree.map_structure(lambda value: value.numpy(), rows)
        self.make = make_model
        self.spec = spec
        self.name = make_model().name
        self.x, self.y = x, y
        self.w = weight[0] if weight else None
        self.batch_size = batch_size
        self.rows = len(next(iter(x.values())))
        if self.rows < WEIGHTED_STEPS * batch_size:
            rule = f"must hold at least {WEIGHTED_STEPS} batches"
            raise _checks.argument("check_model", "frame", rule, self.rows)

    def fit(self, model, epochs=1):
        """Losses by epoch, rows in their order."""
        fitted = model.fit(
            self.x,
            self.y,
            sample_weight=self.w,
            batch_size=self.batch_size,
            epochs=epochs,
            shuffle=False,
            verbose=0,
        )
        return fitted.history["loss"]

    def predict(self, model, x):
        return model.predict(x, batch_size=self.batch_size, verbose=0)

    def require(self, holds, rule, received):
        if not holds:
            raise AssertionError(
                f"check_model: {self.name} {rule}. Received: {received}."
            )

    def require_equal(self, found, wanted, rule, tolerance=TOLERANCE):
        """Leaf by leaf: equal shapes, values within the relative tolerance."""
        found, wanted = keras.tree.flatten(found), keras.tree.flatten(wanted)
        self.require(len(found) == len(wanted), rule, f"{len(found)} arrays")
        for one, other in zip(found, wanted, strict=True):
            one, other = np.asarray(one, float), np.asarray(other, float)
            shapes = f"shape {one.shape}, not {other.shape}"
            self.require(one.shape == other.shape, rule, shapes)
            gap = np.abs(one - other) / np.maximum(1.0, np.abs(other))
            worst = np.max(gap, initial=0.0)
            self.require(worst <= tolerance, rule, f"a difference of {worst}")


def _features(case, model):
    extra = np.arange(case.rows)
    more = {"0_time": extra, "zz_label": extra.astype("float32")}
    row = dict(reversed({**more, **case.x, "mm_rank": extra}.items()))
    towers = [getattr(model, f"{side}_tower", None) for side in ("user", "item")]
    for part in (model, *(tower for tower in towers if tower is not None)):
        names = _names(part)
        own = {name: case.x[name] for name in names}
        rule = "must not depend on other keys or the order of keys"
        wanted = case.predict(part, own)
        case.require_equal(case.predict(part, row), wanted, rule, tolerance=0.0)
        few = {name: value[:4] for name, value in case.x.items()}
        for name in names:
            try:
                part({key: value for key, value in few.items() if key != name})
            except ValueError as error:
                message = str(error)
            else:
                message = "no error"
            rule = f'must name a missing feature, here "{name}"'
            case.require(f'"{name}"' in message, rule, message)


def _padding_and_unknown(case, model):
    wanted = case.predict(model, case.x)
    padded, unknown, strange = {}, {}, {}
    for name, value in case.x.items():
        is_list = name in case.spec and case.spec[name].is_list
        width = ((0, 0), (0, EXTRA_STEPS))
        padded[name] = np.pad(value, width) if is_list else value
        is_id = np.issubdtype(value.dtype, np.integer)
        unknown[name] = np.where(value != 0, 1, 0) if is_id else value
        outside = np.where(np.arange(value.size) % 2, 2_000_000_000, -5)
        outside = outside.reshape(value.shape).astype(value.dtype)
        strange[name] = np.where(value != 0, outside, 0) if is_id else value
    rule = f"must give the same for {EXTRA_STEPS} more steps of padding"
    case.require_equal(case.predict(model, padded), wanted, rule)
    wanted = case.predict(model, unknown)
    finite = all(np.isfinite(y).all() for y in keras.tree.flatten(wanted))
    case.require(finite, "must give finite predictions for unknown ids", "not so")
    rule = "must take ids that no table holds as unknown"
    case.require_equal(case.predict(model, strange), wanted, rule)


def _weights(case):
    """The absent rows stand last, so that draws by place stay those of the others."""
    size, kept = case.batch_size, case.batch_size - case.batch_size // 4
    random = np.random.default_rng(0)
    absent, weighted = case.make(), case.make()
    for step in range(WEIGHTED_STEPS):
        weight = random.uniform(0.5, 2.0, size).astype("float32")
        weight[kept:] = 0.0
        rows = keras.tree.map_structure(
            lambda value, step=step: value[step * size : (step + 1) * size],
            (case.x, case.y),
        )
        weighted.train_on_batch(*rows, sample_weight=_per_output(case.y, weight))
        rows, weight = keras.tree.map_structure(lambda v: v[:kept], (rows, weight))
        absent.train_on_batch(*rows, sample_weight=_per_output(case.y, weight))
    rule = "must train on a row of sample weight 0 as if it were absent"
    case.require_equal(weighted.get_weights(), absent.get_weights(), rule)


@contextlib.contextmanager
def _elsewhere(case, model):
    """Runs another process meanwhile; gives a function that waits for its answer."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with quiet_saving():
            model.save(folder / "model.keras")
        rows = {f"x:{name}": value for name, value in case.x.items()}
        labels = case.y if isinstance(case.y, dict) else {"": case.y}
        rows |= {f"y:{name}": value for name, value in labels.items()}
        rows |= {} if case.w is None else {"w:": case.w}
        np.savez(folder / "rows.npz", **rows)
        with (folder / "errors.txt").open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-c", ELSEWHERE, str(folder), str(case.batch_size)],
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )

        def answer():
            process.wait()
            said = (folder / "errors.txt").read_text(errors="replace")
            rule = "must load, predict and fit in another process"
            case.require(process.returncode == 0, rule, said[-2000:])
            with np.load(folder / "answer.npz") as found:
                return dict(found)

        try:
            yield answer
        finally:
            process.kill()
            process.wait()


def _goes_on(case, answer, predicted, whole, losses):
    """What the other process found against a fit without a break."""

    def found(kind):
        return [value for key, value in answer.items() if key.startswith(kind)]

    rule = "must predict equal bits in another process"
    case.require_equal(answer["prediction"], predicted, rule, tolerance=0.0)
    rule = "must go on with the loss of a fit without a break"
    case.require_equal(list(answer["loss"]), losses[1:], rule)
    rule = "must go on to the weights of a fit without a break"
    case.require_equal(found("weight:"), whole.get_weights(), rule)
    rule = "must go on with the optimizer's slots"
    slots = [variable.numpy() for variable in whole.optimizer.variables]
    case.require_equal(found("slot:"), slots, rule)


def _names(model):
    """Names of the columns that a model reads."""
    return [tensor.name for tensor in getattr(model, "towers", model).inputs]


def _per_output(labels, weight):
    """The weights as `train_on_batch` takes them beside such labels."""
    return keras.tree.map_structure(lambda _: tf.constant(weight), labels)
