"""Numbers as field vectors: x_f v_f (Rendle, Factorization Machines, section III)."""

import keras

from tfrec import _checks


@keras.saving.register_keras_serializable(package="tfrec")
class NumericFields(keras.layers.Layer):
    """Gives each number a vector, scaled by the number.

    `E[b, f] = x[b, f] v[f]`; v uniform in [-0.05, 0.05] at the start.

    Args:
        embedding_dim: int >= 1.
        seed: int >= 0 or None.

    Shapes: `(batch, n)` float in, `(batch, n, embedding_dim)` out.
    Raises: `ValueError` on a bad argument or an input that is not rank 2.

    >>> NumericFields(4)(ops.ones((2, 3))).shape
    TensorShape([2, 3, 4])
    """

    def __init__(self, embedding_dim, seed=None, **kwargs):
        super().__init__(**kwargs)
        _checks.positive_int(self, embedding_dim=embedding_dim)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.embedding_dim = int(embedding_dim)
        self.seed = seed if seed is None else int(seed)

    def build(self, input_shape):
        _checks.shape(self, inputs=(input_shape, "batch, n"))
        self.vectors = self.add_weight(
            name="vectors",
            shape=(input_shape[1], self.embedding_dim),
            initializer=keras.initializers.RandomUniform(seed=self.seed),
        )

    def call(self, inputs):
        return inputs[:, :, None] * self.vectors

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.embedding_dim)

    def get_config(self):
        config = {"embedding_dim": self.embedding_dim, "seed": self.seed}
        return {**super().get_config(), **config}
