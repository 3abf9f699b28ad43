"""Plain Keras 3, as its guides have it: one Embedding a column, stock optimizers."""

import criteo_like
import keras

from systems import cores
from systems.columns import Fitted


class Core(keras.layers.Layer):
    """What stands on the vectors: see `cores`."""

    def __init__(self, model, **kwargs):
        super().__init__(**kwargs)
        self.core = cores.CORES[model]

    def build(self, shapes):
        fields, dim = shapes[0][1:]
        wide = shapes[1][1] if len(shapes) > 1 else 0
        self.parts = {
            name: self.add_weight(
                name=name,
                shape=shape,
                initializer="zeros" if len(shape) == 1 else "glorot_uniform",
            )
            for name, shape in self.core.shapes(fields, dim, wide).items()
        }

    def call(self, inputs):
        parts = {name: weight.value for name, weight in self.parts.items()}
        return self.core.logit(parts, inputs[0], (inputs[1:] or [None])[0])

    def compute_output_shape(self, shapes):
        return (shapes[0][0], 1)


class NumberVectors(keras.layers.Layer):
    """`x[b, f] v[f]`."""

    def __init__(self, dim, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim

    def build(self, shape):
        self.vectors = self.add_weight(
            shape=(shape[1], self.dim), initializer="uniform"
        )

    def call(self, x):
        return x[:, :, None] * self.vectors


OPTIMIZERS = {"adagrad": keras.optimizers.Adagrad, "adam": keras.optimizers.Adam}


class System(Fitted):
    def __init__(self, cell, arrays):
        super().__init__(cell, arrays)
        keras.utils.set_random_seed(cell["seed"])
        numbers = [
            keras.Input((1,), name=name, dtype="float32")
            for name in criteo_like.NUMBERS
        ]
        values = [
            keras.Input((), name=name, dtype="int32") for name in criteo_like.VALUES
        ]
        sizes = [s + 2 for s in criteo_like.sizes(cell["vocabulary"])]
        vectors = [
            keras.layers.Embedding(size, cell["dim"], name=f"vectors_{value.name}")(
                value
            )
            for size, value in zip(sizes, values, strict=True)
        ]
        first = [
            keras.layers.Embedding(
                size, 1, embeddings_initializer="zeros", name=f"weights_{value.name}"
            )(value)
            for size, value in zip(sizes, values, strict=True)
        ]
        x = keras.layers.Concatenate()(numbers)
        e, beside = keras.ops.stack(vectors, axis=1), [x]
        if cell["numbers"] == "fields":
            number_vectors = NumberVectors(cell["dim"])(x)
            e = keras.layers.Concatenate(axis=1)([e, number_vectors])
            beside = []
        linear = keras.layers.Dense(1, kernel_initializer="zeros")(x)
        logit = keras.layers.Add()([*first, linear, Core(cell["model"])([e, *beside])])
        self.model = keras.Model([*numbers, *values], logit)
        optimizer = OPTIMIZERS[cell["optimizer"]](cell["learning_rate"])
        self.model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
