"""The contract of a layer: one function that tries it all."""

import contextlib
import json
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfrec import _checks

TOLERANCE = 1e-6
CONFIG_LIMIT = 10_000
EXTRA_STEPS = 7


def check_layer(layer, inputs, *, mask=None, call_arguments=None):
    """Raises `AssertionError` when a layer breaks the contract of tfrec's layers.

    Checked, in this order:

    - its config is JSON of less than 10 kB and makes the same layer again;
    - symbolic shape and dtype are those of the values; a row's output does not
      depend on the other rows; no rows in, no rows out, and finite gradients;
    - eager, `tf.function` with open batch (and time) axes, and SavedModel agree
      within 1e-6; a `.keras` file gives equal bits;
    - one training step has a gradient for every trainable weight and moves it;
    - outputs and gradients are finite for float inputs of 0, 1, 1e6 and -1e6, and
      under the policies mixed_float16 and mixed_bfloat16, which leave weights in
      float32;
    - with a mask: what stands at masked steps, NaN included, does not matter;
      nor do 7 more masked steps; rows without a real step are finite.

    Args:
        layer: keras.layers.Layer that was not called yet, or a function without
            arguments that makes one.
        inputs: array `(batch >= 2, ...)`, or a list of them, as the layer takes
            it. Integer arrays are ids: they keep their values.
        mask: bool array `(batch, time)`, True = real, with a masked step; None: the
            layer takes no mask. Time is then axis 1 of the float inputs of rank 3
            or more and of the integer inputs of rank 2 or more, as long as it.
        call_arguments: dict of other call arguments, or None.

    Raises: `AssertionError` that names layer and rule; `TypeError` when `layer` is
    not one.

    >>> check_layer(keras.layers.Dense(3), np.ones((4, 2), "float32"))
    """
    case = _Case(layer, inputs, mask, call_arguments or {})
    for check in (
        _shapes,
        _graph_and_saved_model,
        _keras_file,
        _training_step,
        _extreme_inputs,
        _mixed_precision,
        _mask,
    ):
        check(case)


@contextlib.contextmanager
def quiet_saving():
    """Hides NumPy 2's warning about the way in which Keras saves TF variables."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ impl", DeprecationWarning)
        yield


class _Case:
    """A layer, its inputs, and copies of it with the same weights."""

    def __init__(self, layer, inputs, mask, arguments):
        made = layer if isinstance(layer, keras.layers.Layer) else None
        if made is None and callable(layer):
            made = layer()
        if not isinstance(made, keras.layers.Layer):
            rule = "must be a keras.layers.Layer or a function that makes one"
            raise _checks.argument("check_layer", "layer", rule, layer, kind=TypeError)
        self.kind = type(made)
        self.config = made.get_config()
        self.name = self.kind.__name__
        self.inputs = keras.tree.map_structure(np.asarray, inputs)
        self.mask = None if mask is None else np.asarray(mask, bool)
        self.arguments = arguments
        _config(self)
        first = self.copy()
        self.outputs = self.call(first)
        self.weights = first.get_weights()

    def copy(self, policy=None):
        """A new layer of the same config."""
        config = self.config if policy is None else {**self.config, "dtype": policy}
        return self.kind.from_config(config)

    def built(self, policy=None):
        """A new layer of the same config and weights."""
        layer = self.copy(policy)
        self.call(layer)
        layer.set_weights(self.weights)
        return layer

    def call(self, layer, inputs=None, mask=None, training=False):
        inputs = self.inputs if inputs is None else inputs
        mask = self.mask if mask is None else mask
        masks = {} if mask is None else {"mask": mask}
        return layer(inputs, **masks, **self.arguments, training=training)

    def is_timed(self, array):
        """True where axis 1 of an input is the mask's time."""
        rank = 3 if _is_float(array) else 2
        return (
            self.mask is not None
            and array.ndim >= rank
            and array.shape[1] == self.mask.shape[1]
        )

    def symbols(self):
        """`keras.Input`s like the inputs, then one like the mask or None."""

        def symbol(array):
            shape = list(array.shape[1:])
            if self.is_timed(array):
                shape[0] = None
            return keras.Input(shape, dtype=str(array.dtype))

        tensors = keras.tree.map_structure(symbol, self.inputs)
        mask = None if self.mask is None else keras.Input((None,), dtype="bool")
        return tensors, mask

    def require(self, holds, rule, received):
        if not holds:
            raise AssertionError(
                f"check_layer: {self.name} {rule}. Received: {received}."
            )

    def require_equal(self, found, wanted, rule, tolerance=TOLERANCE):
        """Leaf by leaf: equal shapes, values within the relative tolerance."""
        found, wanted = keras.tree.flatten(found), keras.tree.flatten(wanted)
        self.require(len(found) == len(wanted), rule, f"{len(found)} outputs")
        for one, other in zip(found, wanted, strict=True):
            one, other = np.asarray(one, float), np.asarray(other, float)
            shapes = f"shape {one.shape}, not {other.shape}"
            self.require(one.shape == other.shape, rule, shapes)
            gap = np.abs(one - other) / np.maximum(1.0, np.abs(other))
            worst = np.max(gap, initial=0.0)
            self.require(worst <= tolerance, rule, f"a difference of {worst}")

    def require_finite(self, values, what):
        for value in keras.tree.flatten(values):
            good = np.isfinite(np.asarray(value, float)).all()
            self.require(good, f"must give finite {what}", "NaN or infinity")

    def gradients(self, layer, inputs=None, mask=None):
        """Outputs, and gradients of their sum: of float inputs, then of weights."""
        inputs = self.inputs if inputs is None else inputs
        tensors = keras.tree.map_structure(tf.constant, inputs)
        watched = [x for x in keras.tree.flatten(tensors) if x.dtype.is_floating]
        with tf.GradientTape() as tape:
            for tensor in watched:
                tape.watch(tensor)
            outputs = self.call(layer, tensors, mask)
            total = _sum(outputs)
        if total is None:
            return outputs, []
        sources = [*watched, *(w.value for w in layer.trainable_weights)]
        found = tape.gradient(total, sources)
        return outputs, [_dense(g) for g in found if g is not None]


def _config(case):
    rule = "must have a config of JSON's types, shorter than 10 kB"
    try:
        text = json.dumps(case.config)
    except TypeError as error:
        raise AssertionError(
            f"check_layer: {case.name} {rule}. Received: {error}."
        ) from error
    case.require(len(text) < CONFIG_LIMIT, rule, f"{len(text)} characters")
    again = case.kind.from_config(json.loads(text))
    rule = "must be made again by `from_config(get_config())`"
    case.require(json.dumps(again.get_config()) == text, rule, again.get_config())


def _shapes(case):
    rule = "must know the shape and dtype of its outputs"
    tensors, mask = case.symbols()
    layer = case.built()
    symbols = keras.tree.flatten(case.call(layer, tensors, mask))
    values = keras.tree.flatten(case.outputs)
    case.require(len(symbols) == len(values), rule, f"{len(symbols)} outputs")
    for symbol, value in zip(symbols, values, strict=True):
        fits = len(symbol.shape) == len(value.shape) and all(
            known in (None, size)
            for known, size in zip(symbol.shape, value.shape, strict=True)
        )
        received = f"{tuple(symbol.shape)} for {tuple(value.shape)}"
        case.require(fits, rule, received)
        one, other = symbol.dtype, keras.backend.standardize_dtype(value.dtype)
        case.require(one == other, rule, f"{one} for {other}")
    for rows, rule in (
        (1, "must give a row the same output in any batch"),
        (0, "must give no rows for no rows"),
    ):
        inputs = keras.tree.map_structure(lambda x, rows=rows: x[:rows], case.inputs)
        mask = None if case.mask is None else case.mask[:rows]
        found = case.call(layer, inputs, mask)
        wanted = keras.tree.map_structure(lambda y, rows=rows: y[:rows], case.outputs)
        case.require_equal(found, wanted, rule)
    _, gradients = case.gradients(case.built(), inputs, mask)
    case.require_finite(gradients, "gradients for no rows")


def _graph_and_saved_model(case):
    layer = case.built()
    arrays = keras.tree.flatten(case.inputs)
    specs = [tf.TensorSpec(_open(case, x), x.dtype, f"x{i}") for i, x in _count(arrays)]
    if case.mask is not None:
        arrays = [*arrays, case.mask]
        specs.append(tf.TensorSpec([None, None], tf.bool, "mask"))

    def serve(*tensors):
        mask = None if case.mask is None else tensors[-1]
        tensors = tensors[: len(keras.tree.flatten(case.inputs))]
        inputs = keras.tree.pack_sequence_as(case.inputs, list(tensors))
        outputs = keras.tree.flatten(case.call(layer, inputs, mask))
        return {f"y{i}": y for i, y in _count(outputs)}

    module = tf.Module()
    module.held = [variable.value for variable in layer.variables]
    module.serve = tf.function(serve, input_signature=specs, autograph=False)
    names = [spec.name for spec in specs]
    wanted = keras.tree.flatten(case.outputs)

    def compare(found, rule):
        case.require_equal([found[f"y{i}"] for i, _ in _count(wanted)], wanted, rule)

    compare(module.serve(*arrays), "must give in `tf.function` what it gives eagerly")
    with tempfile.TemporaryDirectory() as folder:
        with quiet_saving():
            signatures = {"serving_default": module.serve}
            tf.saved_model.save(module, folder, signatures=signatures)
        served = tf.saved_model.load(folder).signatures["serving_default"]
        request = dict(zip(names, map(tf.constant, arrays), strict=True))
        compare(served(**request), "must give as a SavedModel what it gives eagerly")


def _keras_file(case):
    layer = case.built()
    tensors, mask = case.symbols()
    inputs = [*keras.tree.flatten(tensors), *([] if mask is None else [mask])]
    outputs = keras.tree.flatten(case.call(layer, tensors, mask))
    arrays = [*keras.tree.flatten(case.inputs), *([] if mask is None else [case.mask])]
    model = keras.Model(inputs, outputs)
    with tempfile.TemporaryDirectory() as folder, quiet_saving():
        model.save(Path(folder) / "layer.keras")
        loaded = keras.models.load_model(Path(folder) / "layer.keras")
    rule = "must give equal bits after `save` and `load_model`"
    case.require_equal(loaded(arrays), model(arrays), rule, tolerance=0.0)


def _training_step(case):
    layer = case.built()
    weights = layer.trainable_weights
    if not weights:
        return
    random = np.random.default_rng(0)
    with tf.GradientTape() as tape:
        outputs = case.call(layer, training=True)
        loss = 0.0
        for output in keras.tree.flatten(outputs):
            if _is_float(output):
                pull = random.normal(size=output.shape).astype("float32")
                loss += tf.reduce_sum(tf.cast(output, tf.float32) * pull)
    found = tape.gradient(loss, [weight.value for weight in weights])
    for weight, gradient in zip(weights, found, strict=True):
        rule = "must have a gradient for every trainable weight"
        case.require(gradient is not None, rule, f"none for {weight.path!r}")
    before = [weight.numpy() for weight in weights]
    keras.optimizers.SGD(1.0).apply([_dense(g) for g in found], weights)
    for weight, old in zip(weights, before, strict=True):
        rule = "must move every trainable weight in a training step"
        moved = not np.array_equal(weight.numpy(), old)
        case.require(moved, rule, f"{weight.path!r} unmoved")


def _extreme_inputs(case):
    layer = case.built()
    if not any(_is_float(x) for x in keras.tree.flatten(case.inputs)):
        return
    for value in (0.0, 1.0, 1e6, -1e6):
        inputs = keras.tree.map_structure(
            lambda x, value=value: np.full_like(x, value) if _is_float(x) else x,
            case.inputs,
        )
        outputs, gradients = case.gradients(layer, inputs)
        case.require_finite(outputs, f"outputs for inputs of {value:g}")
        case.require_finite(gradients, f"gradients for inputs of {value:g}")


def _mixed_precision(case):
    for policy in ("mixed_float16", "mixed_bfloat16"):
        layer = case.built(policy)
        outputs, gradients = case.gradients(layer)
        case.require_finite(outputs, f"outputs under {policy}")
        case.require_finite(gradients, f"gradients under {policy}")
        for weight in layer.trainable_weights:
            rule = f"must keep its weights in float32 under {policy}"
            case.require(weight.dtype == "float32", rule, weight.path)


def _mask(case):
    if case.mask is None:
        return
    layer, mask = case.built(), case.mask
    case.require(not mask.all(), "must be checked with a masked step", mask.shape)

    def changed(change):
        return keras.tree.map_structure(
            lambda x: change(x) if case.is_timed(x) else x, case.inputs
        )

    def spoil(array):
        if not _is_float(array):
            return array
        return np.where(_like(mask, array), array, np.full_like(array, np.nan))

    def lengthen(array):
        more = np.full_like(array[:, :1], np.nan if _is_float(array) else 0)
        return np.concatenate([array, *[more] * EXTRA_STEPS], axis=1)

    spoilt, wanted = changed(spoil), case.outputs
    outputs, gradients = case.gradients(layer, spoilt)
    rule = "must not see what stands at masked steps"
    case.require_equal(_real(case, outputs), _real(case, wanted), rule)
    case.require_finite(gradients, "gradients for NaN at masked steps")

    longer = np.pad(mask, ((0, 0), (0, EXTRA_STEPS)))
    outputs = case.call(layer, changed(lengthen), longer)
    rule = f"must give the same for {EXTRA_STEPS} more masked steps"
    case.require_equal(_real(case, outputs), _real(case, wanted), rule)

    outputs, gradients = case.gradients(layer, None, np.zeros_like(mask))
    case.require_finite(outputs, "outputs for rows without a real step")
    case.require_finite(gradients, "gradients for rows without a real step")


def _real(case, outputs):
    """Outputs as arrays; of those with a time axis, the real steps only."""
    batch, time = case.mask.shape
    found = []
    for output in keras.tree.flatten(outputs):
        output = np.asarray(output)
        if output.ndim >= 3 and output.shape[1] in (time, time + EXTRA_STEPS):
            output = output[:batch, :time][case.mask]
        found.append(output)
    return found


def _open(case, array):
    """The shape of an input, its batch (and time) axis open."""
    shape = [None, *array.shape[1:]]
    if case.is_timed(array):
        shape[1] = None
    return shape


def _like(mask, array):
    return mask.reshape(mask.shape + (1,) * (array.ndim - 2))


def _is_float(array):
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(array.dtype))


def _sum(outputs):
    parts = [
        tf.cast(y, tf.float32) for y in keras.tree.flatten(outputs) if _is_float(y)
    ]
    return tf.add_n([tf.reduce_sum(part) for part in parts]) if parts else None


def _dense(gradient):
    return tf.convert_to_tensor(gradient)


def _count(values):
    return list(enumerate(values))
