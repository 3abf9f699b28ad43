"""Attention of a candidate over a history: DIN (arXiv:1706.06978, section 4.3)."""

import math

import keras
from keras import ops

from tfrec import _checks
from tfrec.layers.basic.activation import check_activation
from tfrec.layers.basic.masked_softmax import masked_softmax

NORMALIZATIONS = (None, "softmax", "scaled_softmax")


@keras.saving.register_keras_serializable(package="tfrec")
class TargetAttention(keras.layers.Layer):
    """Sums a history, each step weighted by how it meets the candidate.

    `a_t = MLP([q; k_t; q - k_t; q * k_t])`, one linear output; `u = sum_t a_t k_t`
    over the real steps (eq. 3), without a softmax: the intensity of an interest
    is kept. `attention([q, k])` gives a. The first layer is computed in parts,
    `q (W1 + W3) + k (W2 - W3) + (q * k) W4 + b`, so that a single history is
    multiplied once for all candidates.

    Differs: the product q * k by coordinate, as in the authors' program; the
    paper's figure shows an outer product.

    Args:
        hidden_units: tuple of ints >= 1. Widths before the linear output.
        activation: name of a Keras activation, of the hidden layers.
        normalization: None; "softmax", over the real steps; or "scaled_softmax",
            of `a / sqrt(dim)`.
        seed: int >= 0 or None.

    Call arguments:
        inputs: `[query, keys]`, `(batch, dim)` and `(batch, time, dim)` float. One
            of the two may have a single row for all rows of the other.
        mask: `(rows of keys, time)` bool, True = real; None: all are.

    Shapes: `(batch, dim)` out; the sum runs in float32. Masks: as said; what
    stands at masked steps does not matter, NaN included; a history without a real
    step gives the zero vector.
    Raises: `ValueError` on a bad argument or inputs of other ranks or widths.

    >>> layer = TargetAttention(hidden_units=(4,))
    >>> layer([ops.ones((3, 2)), ops.ones((1, 5, 2))]).shape
    TensorShape([3, 2])
    """

    def __init__(
        self,
        hidden_units=(80, 40),
        activation="sigmoid",
        normalization=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _checks.hidden_units(self, hidden_units=hidden_units)
        check_activation(self, activation=activation)
        _checks.one_of(self, NORMALIZATIONS, normalization=normalization)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.hidden_units = tuple(int(units) for units in hidden_units)
        self.activation = activation
        self.normalization = normalization
        self.seed = seed if seed is None else int(seed)
        self.supports_masking = True

    def compute_mask(self, inputs, mask=None):
        return None  # one vector a row: nothing is left to mask

    def build(self, input_shape):
        if len(input_shape) != 2 or not isinstance(input_shape[0], (tuple, list)):
            raise _checks.argument(self, "inputs", "must be [query, keys]", input_shape)
        _checks.shape(self, query=(input_shape[0], "batch, dim"))
        dim = input_shape[0][1]
        _checks.shape(self, keys=(input_shape[1], f"batch, time, {dim}"))
        units = (*self.hidden_units, 1)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(4 * dim, units[0]),
            initializer=keras.initializers.GlorotUniform(seed=self.seed),
        )
        self.bias = None
        # A softmax does not see a constant: the last layer then has no bias.
        if len(units) > 1 or self.normalization is None:
            self.bias = self.add_weight(
                name="bias", shape=(units[0],), initializer="zeros"
            )
        self.dense = []
        for number, width in enumerate(units[1:], start=1):
            last = number == len(units) - 1
            seed = None if self.seed is None else self.seed + number
            dense = keras.layers.Dense(
                width,
                activation=None if last else self.activation,
                use_bias=not last or self.normalization is None,
                kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
                dtype=self.dtype_policy,
                name=f"dense_{number}",
            )
            dense.build((None, None, units[number - 1]))
            self.dense.append(dense)

    def attention(self, inputs, mask=None):
        """a_t, the weight of each step, `(batch, time)` float32, 0 at masked steps.

        Inputs and mask as in a call; the layer must be built.
        """
        query, keys, mask = self._cleared(inputs, mask)
        return self._weights(query, keys, mask)

    def call(self, inputs, mask=None):
        query, keys, mask = self._cleared(inputs, mask)
        weights = self._weights(query, keys, mask)
        keys = ops.cast(keys, "float32")
        pooled = ops.matmul(weights[:, None, :], keys)[:, 0]  # eq. 3
        return ops.cast(pooled, query.dtype)

    def _cleared(self, inputs, mask):
        """Query, keys with 0 in the place of what is not real, and the mask."""
        query, keys = inputs
        if isinstance(mask, (list, tuple)):  # what Keras passes when none is given
            mask = mask[1]
        if mask is None:
            mask = ops.ones(ops.shape(keys)[:2], "bool")
        _checks.shape(self, mask=(mask.shape, "batch, time"))
        mask = ops.cast(mask, "bool")
        return query, ops.where(mask[:, :, None], keys, ops.zeros_like(keys)), mask

    def _weights(self, query, keys, mask):
        scores = ops.cast(self._scores(query, keys), "float32")  # (B, T)
        if self.normalization is None:
            return ops.where(mask, scores, 0.0)
        return masked_softmax(self._scaled(scores, query), mask)

    def _scores(self, query, keys):
        of_query, of_keys, of_gap, of_product = ops.split(self.kernel, 4, axis=0)
        query = query[:, None, :]
        x = ops.matmul(query, of_query + of_gap) + ops.matmul(keys, of_keys - of_gap)
        x = x + ops.matmul(query * keys, of_product)  # (B, T, units)
        if self.bias is not None:
            x = x + self.bias
        if self.hidden_units:
            x = keras.activations.get(self.activation)(x)
        for dense in self.dense:
            x = dense(x)
        return x[:, :, 0]

    def _scaled(self, scores, query):
        if self.normalization == "softmax":
            return scores
        return scores / math.sqrt(query.shape[1])

    def compute_output_spec(self, inputs, mask=None):
        query, keys = inputs
        # Both may be symbols of unknown batch, or one a single row.
        rows = {query.shape[0], keys.shape[0]} - {1} or {1}
        rows = rows.pop() if len(rows) == 1 else None
        return keras.KerasTensor((rows, query.shape[1]), self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": self.activation,
            "normalization": self.normalization,
            "seed": self.seed,
        }
