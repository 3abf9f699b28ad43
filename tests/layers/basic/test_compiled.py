import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers.basic.compiled import Compiled
from tfrec.testing import check_layer


def inner():
    x = keras.Input((3,))
    kernel = keras.initializers.GlorotUniform(seed=1)
    return keras.Model([x], keras.layers.Dense(2, "tanh", kernel_initializer=kernel)(x))


def test_same_values_and_gradients():
    model = inner()
    layer = Compiled(model)
    x = tf.constant(np.random.default_rng(0).normal(size=(5, 3)), tf.float32)
    np.testing.assert_allclose(layer([x]), model([x]), atol=1e-6)

    def gradients(function):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(function([x], training=True) ** 2)
        return tape.gradient(loss, [w.value for w in model.weights])

    for found, wanted in zip(gradients(layer), gradients(model), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def compiled_ops(layer, training):
    """Names of the functions that XLA must compile, in a traced call."""
    call = tf.function(lambda x: layer([x], training=training))
    graph = call.get_concrete_function(tf.TensorSpec((4, 3))).graph
    return [
        op.name
        for op in graph.get_operations()
        if "_XlaMustCompile" in op.node_def.attr and op.get_attr("_XlaMustCompile")
    ]


def test_only_training_is_compiled():
    layer = Compiled(inner())
    assert compiled_ops(layer, training=True)
    assert not compiled_ops(layer, training=False)


def test_contract():
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    check_layer(Compiled(inner()), [x])


def test_bad_arguments():
    with pytest.raises(TypeError, match="Compiled: `model` must be a functional"):
        Compiled(keras.layers.Dense(1))
