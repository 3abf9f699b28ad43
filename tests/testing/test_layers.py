import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfrec.testing import check_layer
from tfrec.testing.layers import quiet_saving

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 3)).astype("float32")
STEPS = RANDOM.normal(size=(4, 5, 3)).astype("float32")
MASK = np.array([[1, 1, 0, 0, 0], [0] * 5, [1, 0, 1, 0, 1], [1] * 5], bool)


def layer(call, **methods):
    """A layer of one weight that does `call(self, x)`, and what else is given."""

    def init(self, **options):
        keras.layers.Layer.__init__(self, **options)
        self.supports_masking = True

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(3,), initializer="ones")

    def shape(self, input_shape):
        return input_shape

    body = {"__init__": init, "build": build, "call": call}
    body = {**body, "compute_output_shape": shape, **methods}
    kind = type("Mine", (keras.layers.Layer,), body)
    return keras.saving.register_keras_serializable(package="tests")(kind)()


def good(self, inputs):
    return inputs * self.scale


def test_good_layers_pass():
    check_layer(layer(good), X)
    check_layer(lambda: keras.layers.Dense(3, activation="tanh"), X)
    check_layer(keras.layers.Concatenate(), [X, X])


class Flaw:
    """Layers that break one rule each."""

    def other_shape(self, inputs):
        return ops.concatenate([inputs, inputs], axis=1) * self.scale[0]

    def rows_mix(self, inputs):
        return inputs * self.scale - ops.mean(inputs, axis=0)

    def only_eager(self, inputs):
        y = inputs * self.scale
        return y if tf.executing_eagerly() else 2 * y

    def no_gradient(self, inputs):
        return inputs * ops.stop_gradient(self.scale)

    def unmoved(self, inputs):
        return inputs + 0 * self.scale

    def infinite(self, inputs):
        return inputs * self.scale / ops.sum(inputs, axis=1, keepdims=True)

    def infinite_gradient(self, inputs):
        return ops.sqrt(ops.sum(inputs**2, axis=1, keepdims=True)) * self.scale

    def divides_by_rows(self, inputs):
        rows = ops.cast(ops.shape(inputs)[0], inputs.dtype)
        share = ops.sum(self.scale) / rows
        return inputs * self.scale + share - ops.stop_gradient(share)

    def overflows(self, inputs):
        return inputs * self.scale * ops.cast(1e-5, inputs.dtype) * 1e5 * 1e5


@pytest.mark.parametrize(
    "flaw, message",
    [
        ("other_shape", r"know the shape and .* Received: \(None, 3\) for \(4, 6\)."),
        ("rows_mix", "check_layer: Mine must give a row the same output in any batch"),
        ("only_eager", "Mine must give in `tf.function` what it gives eagerly"),
        (
            "no_gradient",
            "must have a gradient for every trainable weight. Received: no",
        ),
        ("unmoved", "must move every trainable weight in a training step. Received: "),
        ("infinite", "must give finite outputs for inputs of 0. Received: NaN or inf"),
        ("infinite_gradient", "must give finite gradients for inputs of 0"),
        ("divides_by_rows", "must give finite gradients for no rows. Received: NaN"),
        ("overflows", "must give finite outputs under mixed_float16"),
    ],
)
def test_flaws_are_found(flaw, message):
    with pytest.raises(AssertionError, match=message):
        check_layer(layer(getattr(Flaw, flaw)), X)


def test_configs_are_checked():
    def check(get_config, message):
        with pytest.raises(AssertionError, match=message):
            check_layer(layer(good, get_config=get_config), X)

    config = keras.layers.Layer.get_config
    message = "must have a config of JSON's types, shorter than 10 kB. Received: "
    check(lambda self: {**config(self), "values": np.ones(3)}, message)
    check(lambda self: {**config(self), "name": "n" * 20_000}, message)

    names = iter("abcdef")
    check(
        lambda self: {**config(self), "name": next(names)},
        r"must be made again by `from_config\(get_config\(\)\)`",
    )


def test_wrong_dtypes_are_found():
    def call(self, inputs):
        return ops.cast(inputs * self.scale, "float64")

    def spec(self, inputs):
        return keras.KerasTensor(inputs.shape, "float32")

    message = "the shape and dtype of its outputs. Received: float32 for float64"
    with pytest.raises(AssertionError, match=message):
        check_layer(layer(call, compute_output_spec=spec), X)


def test_weights_in_half_precision_are_found():
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(3,), dtype=self.compute_dtype)

    message = "must keep its weights in float32 under mixed_float16"
    with pytest.raises(AssertionError, match=message):
        check_layer(layer(good, build=build), X)


def test_state_that_is_not_saved_is_found():
    made = []

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(3,), initializer="ones")
        self.shift = len(made)
        made.append(self)

    def call(self, inputs):
        return inputs * self.scale + self.shift

    with pytest.raises(AssertionError, match="must give"):
        check_layer(layer(call, build=build), X)


def pool(weights_of):
    """A mean over time by `weights_of(mask)`, `(batch, time, 1)`."""

    def call(self, inputs, mask=None):
        weights = ops.cast(weights_of(mask)[:, :, None], inputs.dtype)
        x = ops.where(mask[:, :, None], inputs, ops.zeros_like(inputs)) * self.scale
        return ops.sum(x * weights, axis=1)

    def shape(self, input_shape):
        return (input_shape[0], input_shape[2])

    return layer(call, compute_output_shape=shape)


def share(mask):
    mask = ops.cast(mask, "float32")
    return mask / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1)


def test_layers_with_masks():
    check_layer(pool(share), STEPS, mask=MASK)

    def over_padding(mask):
        ones = ops.ones_like(ops.cast(mask, "float32"))
        return ones / ops.sum(ones, axis=1, keepdims=True)

    with pytest.raises(AssertionError, match="must give the same for 7 more masked"):
        check_layer(pool(over_padding), STEPS, mask=MASK)

    def no_guard(mask):
        mask = ops.cast(mask, "float32")
        return mask / ops.sum(mask, axis=1, keepdims=True)

    some = MASK[[0, 2, 3]]
    with pytest.raises(AssertionError, match="outputs for rows without a real step"):
        check_layer(pool(no_guard), STEPS[:3], mask=some)

    def leaks(self, inputs, mask=None):
        weights = ops.cast(mask[:, :, None], inputs.dtype)  # 0 * NaN is NaN
        return ops.sum(inputs * self.scale * weights, axis=1)

    def shape(self, input_shape):
        return (input_shape[0], input_shape[2])

    made = layer(leaks, compute_output_shape=shape)
    with pytest.raises(AssertionError, match="must not see what stands at masked"):
        check_layer(made, STEPS, mask=MASK)
    with pytest.raises(AssertionError, match="must be checked with a masked step"):
        check_layer(pool(share), STEPS, mask=np.ones_like(MASK))


def test_outputs_over_time_are_compared_at_real_steps():
    def call(self, inputs, mask=None):
        return ops.where(mask[:, :, None], inputs, ops.zeros_like(inputs)) * self.scale

    check_layer(layer(call), STEPS, mask=MASK)


def test_something_else_is_refused():
    message = "check_layer: `layer` must be a keras.layers.Layer or a function that"
    with pytest.raises(TypeError, match=message):
        check_layer("dense", X)
    with pytest.raises(TypeError, match=message):
        check_layer(lambda: 3, X)
    with pytest.raises(TypeError, match="nonsense"):
        check_layer(layer(good), X, nonsense=1)


def test_quiet_saving_hides_one_warning_only():
    import warnings

    with pytest.raises(UserWarning, match="other"), quiet_saving():
        warnings.warn("other", UserWarning, stacklevel=1)
    with quiet_saving():
        text = "__array__ implementation doesn't accept a copy keyword"
        warnings.warn(text, DeprecationWarning, stacklevel=1)
