"""The contract of a loss: one function that tries it all."""

import keras
import numpy as np
import tensorflow as tf

from tfrec import _checks

TOLERANCE = 1e-6
HUGE = 1e4


def check_loss(loss, y_true, y_pred):
    """Raises `AssertionError` when a loss breaks the contract of tfrec's losses.

    Checked, in this order:

    - Keras makes it again from what it writes of it, with equal config and value;
    - `tf.function` with an open batch axis agrees with eager within 1e-6;
    - a row of sample weight 0 has a gradient of 0;
    - value and gradient are finite for predictions of 0, 1, 1e4 and -1e4, for
      float16 and bfloat16, and for no rows.

    Args:
        loss: keras.losses.Loss.
        y_true: array `(batch >= 2, ...)`, as the loss takes it.
        y_pred: float array `(batch, ...)`.

    Raises: `AssertionError` that names loss and rule; `TypeError` when `loss` is
    not one.

    >>> check_loss(keras.losses.MeanSquaredError(), np.ones((4, 2)), np.ones((4, 2)))
    """
    if not isinstance(loss, keras.losses.Loss):
        rule = "must be a keras.losses.Loss"
        raise _checks.argument("check_loss", "loss", rule, loss, kind=TypeError)
    name = type(loss).__name__

    def require(holds, rule, received):
        if not holds:
            raise AssertionError(f"check_loss: {name} {rule}. Received: {received}.")

    def finite(predictions, what, rows=None):
        value, gradient = _gradient(loss, y_true[:rows], predictions)
        for part, number in (("value", value), ("gradient", gradient)):
            good = np.isfinite(np.asarray(number, float)).all()
            require(good, f"must have a finite {part} for {what}", "NaN or infinity")

    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred, "float32")
    wanted = float(loss(y_true, y_pred))
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    rule = "must be made again from its config"
    same = type(again) is type(loss) and again.get_config() == loss.get_config()
    require(same, rule, again.get_config())
    value = float(again(y_true, y_pred))
    require(_close(value, wanted), rule, f"{value}, not {wanted}")

    specs = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in (y_true, y_pred)]
    traced = tf.function(lambda y, p: loss(y, p), input_signature=specs)
    value = float(traced(y_true, y_pred))
    rule = "must give in `tf.function` what it gives eagerly"
    require(_close(value, wanted), rule, f"{value}, not {wanted}")

    weight = np.ones(len(y_true), "float32")
    weight[-1] = 0
    _, gradient = _gradient(loss, y_true, y_pred, weight)
    last = np.abs(gradient[-1]).max()
    require(last == 0, "must leave a row of sample weight 0 alone", f"{last}")

    for number in (0.0, 1.0, HUGE, -HUGE):
        finite(np.full_like(y_pred, number), f"predictions of {number:g}")
    for kind in (tf.float16, tf.bfloat16):
        finite(tf.cast(y_pred, kind), kind.name)
    finite(y_pred[:0], "no rows", rows=0)


def _gradient(loss, y_true, y_pred, weight=None):
    """The value, and its gradient in `y_pred`."""
    predictions = tf.convert_to_tensor(y_pred)
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        value = loss(y_true, predictions, sample_weight=weight)
    return value, tape.gradient(value, predictions).numpy()


def _close(found, wanted):
    return abs(found - wanted) <= TOLERANCE * max(1.0, abs(wanted))
