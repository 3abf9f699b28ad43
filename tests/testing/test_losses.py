import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfrec.testing import check_loss

RANDOM = np.random.default_rng(0)
Y, P = RANDOM.normal(size=(2, 4, 3)).astype("float32")


def loss(call, **methods):
    """A loss of its own class that does `call(self, y_true, y_pred)`."""
    body = {"call": call, **methods}
    kind = type("Mine", (keras.losses.Loss,), body)
    return keras.saving.register_keras_serializable(package="tests")(kind)(name="mine")


def square(self, y_true, y_pred):
    return ops.mean(ops.square(ops.cast(y_pred, "float32") - y_true), axis=-1)


def test_good_losses_pass():
    check_loss(loss(square), Y, P)
    check_loss(keras.losses.BinaryCrossentropy(from_logits=True), Y > 0, P)


class Flaw:
    """Losses that break one rule each."""

    def only_eager(self, y_true, y_pred):
        return square(self, y_true, y_pred) * (1 + tf.executing_eagerly())

    def sees_absent_rows(self, y_true, y_pred):
        return square(self, y_true, y_pred) + ops.mean(square(self, y_true, y_pred))

    def no_gradient_at_0(self, y_true, y_pred):
        return ops.sqrt(ops.sum(ops.square(ops.cast(y_pred, "float32")), axis=-1))

    def overflows(self, y_true, y_pred):
        return ops.exp(ops.sum(ops.cast(y_pred, "float32"), axis=-1))


@pytest.mark.parametrize(
    "flaw, message",
    [
        ("only_eager", "check_loss: Mine must give in `tf.function` what it gives ea"),
        (
            "sees_absent_rows",
            "Mine must leave a row of sample weight 0 alone. Received",
        ),
        ("no_gradient_at_0", "a finite gradient for predictions of 0. Received: NaN"),
        ("overflows", "must have a finite value for predictions of 10000"),
    ],
)
def test_flaws_are_found(flaw, message):
    with pytest.raises(AssertionError, match=message):
        check_loss(loss(getattr(Flaw, flaw)), Y, 3 * P)


def mean(rows):
    """A `__call__` that weighs each row's square, and divides by `rows`."""

    def call(self, y_true, y_pred, sample_weight=None):
        keep = 1.0 if sample_weight is None else sample_weight
        found = square(self, y_true, y_pred) * keep
        return tf.reduce_sum(found) / rows(y_pred)

    return call


def test_a_mean_over_no_rows_is_found():
    def rows(y_pred):
        return ops.cast(ops.shape(y_pred)[0], "float32")

    with pytest.raises(AssertionError, match="a finite value for no rows. Received"):
        check_loss(loss(square, __call__=mean(rows)), Y, P)


def test_an_overflow_in_half_precision_is_found():
    def rows(y_pred):  # 1e5 is infinite in float16, and infinity less itself NaN
        large = 1e5 * ops.ones_like(y_pred)
        return ops.cast(1 + ops.max(large - large, initial=0), "float32")

    with pytest.raises(AssertionError, match="must have a finite value for float16"):
        check_loss(loss(square, __call__=mean(rows)), Y, P)


def test_configs_are_checked():
    def init(self, scale=2.0, name="mine"):
        keras.losses.Loss.__init__(self, name=name)
        self.scale = scale

    def call(self, y_true, y_pred):
        return self.scale * square(self, y_true, y_pred)

    def get_config(self):
        return {"name": self.name}

    mine = loss(call, __init__=init, get_config=get_config)
    mine.scale = 3.0
    with pytest.raises(AssertionError, match="must be made again from its config"):
        check_loss(mine, Y, P)


def test_something_else_is_refused():
    with pytest.raises(TypeError, match="`loss` must be a keras.losses.Loss. Received"):
        check_loss("mse", Y, P)
