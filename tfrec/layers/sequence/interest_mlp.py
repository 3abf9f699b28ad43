"""Interest capsules and a user's profile: MIND (arXiv:1904.08030, section 3.3)."""

import keras
from keras import ops

from tfrec import _checks
from tfrec.layers.basic.mlp import MLP


@keras.saving.register_keras_serializable(package="tfrec")
class InterestMLP(keras.layers.Layer):
    """One MLP for every interest of a user, the profile beside each.

    `v_j = MLP([u_j; p])` for j < K', 0 from K' on.

    Args:
        hidden_units, activation, last_activation, dropout, seed: as in `MLP`;
            `hidden_units` is not empty.

    Shapes: a list of interests `(batch, interests, dim)` float, K' `(batch,)` int
    and, where there is one, the profile `(batch, width)` in;
    `(batch, interests, hidden_units[-1])` out. Masks: not used.
    Raises: `ValueError` on a bad argument or an input that is not such a list.

    >>> InterestMLP((4,))([ops.ones((2, 3, 5)), ops.array([1, 3])]).shape
    TensorShape([2, 3, 4])
    """

    def __init__(
        self,
        hidden_units,
        activation="relu",
        last_activation="linear",
        dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _checks.hidden_units(self, hidden_units=hidden_units)
        if not hidden_units:
            rule = "must name at least the width of the vectors"
            raise _checks.argument(self, "hidden_units", rule, hidden_units)
        self.mlp = MLP(
            hidden_units,
            activation=activation,
            last_activation=last_activation,
            dropout=dropout,
            seed=seed,
            dtype=self.dtype_policy,
            name="mlp",
        )
        self.hidden_units = self.mlp.hidden_units
        self.activation = activation
        self.last_activation = last_activation
        self.dropout = self.mlp.dropout
        self.seed = self.mlp.seed

    def build(self, input_shape):
        is_list = all(isinstance(shape, (tuple, list)) for shape in input_shape)
        if not is_list or len(input_shape) not in (2, 3):
            rule = "must be [interests, K'] or [interests, K', profile]"
            raise _checks.argument(self, "inputs", rule, input_shape)
        _checks.shape(self, interests=(input_shape[0], "batch, interests, dim"))
        _checks.shape(self, alive=(input_shape[1], "batch"))
        width = input_shape[0][2]
        if len(input_shape) == 3:
            _checks.shape(self, profile=(input_shape[2], "batch, width"))
            width += input_shape[2][1]
        self.mlp.build((None, None, width))

    def call(self, inputs, training=False):
        x, alive, *profile = inputs
        count = x.shape[1]
        if profile:
            beside = ops.repeat(profile[0][:, None, :], count, axis=1)
            x = ops.concatenate([x, ops.cast(beside, x.dtype)], axis=2)
        live = ops.arange(count)[None, :] < ops.cast(alive, "int32")[:, None]
        y = self.mlp(x, training=training, mask=live)
        return ops.where(live[:, :, None], y, ops.zeros_like(y))

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:2], self.hidden_units[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": self.activation,
            "last_activation": self.last_activation,
            "dropout": self.dropout,
            "seed": self.seed,
        }
