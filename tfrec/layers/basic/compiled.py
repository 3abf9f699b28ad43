"""A part of a model that XLA compiles for training."""

import copy

import keras
import tensorflow as tf

from tfrec import _checks


@keras.saving.register_keras_serializable(package="tfrec")
class Compiled(keras.layers.Layer):
    """Runs a functional model; in training as one function compiled by XLA.

    Outside of training it runs as it is: what is exported holds no XLA, which
    TensorFlow Serving does not compile. XLA compiles once for each shape of inputs,
    some seconds each: keep batches and lists of one length.

    Args:
        model: functional `keras.Model` on a list of inputs, without tables.

    Shapes: those of the model.
    Raises: `TypeError` when `model` is not a functional model.

    >>> x = keras.Input((2,))
    >>> inner = keras.Model([x], keras.layers.Dense(1)(x))
    >>> Compiled(inner)([keras.ops.ones((3, 2))]).shape
    TensorShape([3, 1])
    """

    def __init__(self, model, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
            rule = "must be a functional keras.Model"
            raise _checks.argument(self, "model", rule, model, kind=TypeError)
        self.model = model
        self.supports_jit = False  # it compiles its own part
        self.run = tf.function(
            self._train, jit_compile=True, autograph=False, reduce_retracing=True
        )

    def _train(self, inputs):
        return self.model(inputs, training=True)

    def call(self, inputs, training=False):
        if training:
            return self.run(inputs)
        return self.model(inputs, training=False)

    def compute_output_spec(self, inputs, training=False):
        return self.model.compute_output_spec(inputs)

    def get_config(self):
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model}

    @classmethod
    def from_config(cls, config):
        # Keras takes apart what it is given.
        model = keras.saving.deserialize_keras_object(copy.deepcopy(config["model"]))
        return cls(**{**config, "model": model})
