"""Squeeze and excitation of fields (FiBiNET, arXiv:1905.09433, section 3.3)."""

import keras
from keras import ops

from tfrec import _checks


@keras.saving.register_keras_serializable(package="tfrec")
class SENet(keras.layers.Layer):
    """Gives each field vector one weight, made of all fields of the row.

    `z_f = mean_k E_fk` (eq. 2), `A = act(relu(z W1) W2)` (eq. 3), `V_f = A_f E_f`
    (eq. 4); W1 `(fields, R)`, W2 `(R, fields)`, R = max(1, fields // reduction),
    no biases. `gates(E)` gives A.

    Args:
        reduction: int >= 1. r of the paper.
        squeeze: `"mean"` or `"max"` over the dim axis.
        activation: `"relu"` as in the paper, or `"sigmoid"`. Under ReLU a row whose
            `z W1` has no positive entry loses all its fields; before a tower prefer
            the sigmoid or `skip`.
        skip: bool. `V = E + A E` instead of `A E`.
        seed: int >= 0 or None.

    Shapes: `(batch, fields, dim)` float in, the same out. Masks: not used; a
    missing field is a zero vector and stays one.
    Raises: `ValueError` on a bad argument or an input that is not rank 3.

    >>> SENet(activation="sigmoid")(ops.zeros((2, 6, 4))).shape
    TensorShape([2, 6, 4])
    """

    def __init__(
        self,
        reduction=3,
        squeeze="mean",
        activation="relu",
        skip=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _checks.positive_int(self, reduction=reduction)
        _checks.one_of(self, ("mean", "max"), squeeze=squeeze)
        _checks.one_of(self, ("relu", "sigmoid"), activation=activation)
        _checks.boolean(self, skip=skip)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.reduction = int(reduction)
        self.squeeze = squeeze
        self.activation = activation
        self.skip = skip
        self.seed = seed if seed is None else int(seed)

    def build(self, input_shape):
        _checks.shape(self, inputs=(input_shape, "batch, fields, dim"))
        fields = input_shape[1]
        width = max(1, fields // self.reduction)
        seeds = (None, None) if self.seed is None else (self.seed, self.seed + 1)
        self.squeeze_kernel = self.add_weight(
            name="squeeze_kernel",
            shape=(fields, width),
            initializer=keras.initializers.GlorotUniform(seed=seeds[0]),
        )
        self.excite_kernel = self.add_weight(
            name="excite_kernel",
            shape=(width, fields),
            initializer=keras.initializers.GlorotUniform(seed=seeds[1]),
        )

    def gates(self, inputs):
        """The weight of each field, `(batch, fields)`; the layer must be built."""
        inputs = ops.cast(inputs, self.compute_dtype)
        if self.squeeze == "mean":
            z = ops.mean(inputs, axis=2)  # (B, F), eq. 2
        else:  # without `initial` Keras refuses a batch of no rows
            z = ops.max(inputs, axis=2, initial=float("-inf"))
        hidden = ops.relu(ops.matmul(z, self.squeeze_kernel))  # (B, R)
        excite = ops.relu if self.activation == "relu" else ops.sigmoid
        return excite(ops.matmul(hidden, self.excite_kernel))  # (B, F), eq. 3

    def call(self, inputs):
        weighted = self.gates(inputs)[:, :, None] * inputs  # eq. 4
        return inputs + weighted if self.skip else weighted

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "reduction": self.reduction,
            "squeeze": self.squeeze,
            "activation": self.activation,
            "skip": self.skip,
            "seed": self.seed,
        }
