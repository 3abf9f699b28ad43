import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.optimizers import RowSparseAdagrad, RowSparseLossScale, RowSparseSGD

START = np.arange(8.0).reshape(4, 2).astype("float32")


def scaled(inner, **options):
    optimizer = RowSparseLossScale(inner, initial_scale=16.0, **options)
    table, bias = keras.Variable(START), keras.Variable(np.zeros(2, "float32"))
    optimizer.build([table, bias])
    return optimizer, [table, bias]


def gradients(bad=None):
    """Those of a loss that was multiplied by 16; row 2 twice."""
    rows = np.array([[16.0, 0], [32, 16], [16, 16]], "float32")
    bias = np.array([16.0, 32], "float32")
    if bad == "table":
        rows[1, 0] = np.inf
    if bad == "bias":
        bias[1] = np.nan
    return [tf.IndexedSlices(tf.constant(rows), [2, 0, 2], [4, 2]), tf.constant(bias)]


def test_gradients_are_divided_by_the_scale():
    optimizer, (table, bias) = scaled(RowSparseSGD(0.5))
    assert float(optimizer.scale_loss(tf.constant(3.0))) == 48.0
    optimizer.apply(gradients(), [table, bias])
    moved = [[-1, -0.5], [0, 0], [-1, -0.5], [0, 0]]
    np.testing.assert_array_equal(table.numpy() - START, moved)
    np.testing.assert_array_equal(bias, [-0.5, -1])


@pytest.mark.parametrize("accumulated", [None, 3])
@pytest.mark.parametrize("bad", ["table", "bias"])
def test_a_step_that_is_not_finite_is_left_out(bad, accumulated):
    inner = RowSparseAdagrad(0.5, gradient_accumulation_steps=accumulated)
    optimizer, weights = scaled(inner)
    optimizer.apply(gradients(), weights)
    held = [v for pair in getattr(inner, "waiting", {}).values() for v in pair]
    watched = [*weights, *inner.variables, *held]
    before = [v.numpy() for v in watched]
    optimizer.apply(gradients(bad), weights)
    for variable, value in zip(watched, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert float(optimizer.dynamic_scale) == 8.0
    optimizer.apply(gradients(), weights)
    pairs = zip(watched, before, strict=True)
    assert any(not np.array_equal(a.numpy(), b) for a, b in pairs)
    assert float(optimizer.dynamic_scale) == 8.0


def test_the_scale_grows_after_good_steps():
    optimizer, weights = scaled(RowSparseSGD(0.01), dynamic_growth_steps=2)
    scales = []
    for _ in range(4):
        optimizer.apply(gradients(), weights)
        scales.append(float(optimizer.dynamic_scale))
    assert scales == [16.0, 32.0, 32.0, 64.0]


@pytest.mark.parametrize(
    "inner",
    [keras.optimizers.SGD(), RowSparseSGD(loss_scale_factor=2.0), "sgd"],
)
def test_bad_arguments(inner):
    message = (
        "RowSparseLossScale: `inner_optimizer` must be a RowSparseOptimizer without "
        "`loss_scale_factor`. Received: inner_optimizer="
    )
    with pytest.raises(ValueError, match=message):
        RowSparseLossScale(inner)


def test_contract():
    optimizer = RowSparseLossScale(
        RowSparseAdagrad(0.2, epsilon=1e-4), initial_scale=8.0, dynamic_growth_steps=5
    )
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is RowSparseLossScale
    assert type(again.inner_optimizer) is RowSparseAdagrad
    assert again.get_config() == optimizer.get_config()
    assert (again.initial_scale, again.dynamic_growth_steps) == (8.0, 5)
