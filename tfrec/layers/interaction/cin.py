"""Compressed interaction network (xDeepFM, arXiv:1803.05170, section 3.2)."""

import keras
from keras import ops

from tfrec import _checks
from tfrec.layers.basic.activation import check_activation
from tfrec.layers.basic.stacked_glorot import stacked_glorot


@keras.saving.register_keras_serializable(package="tfrec")
class CIN(keras.layers.Layer):
    """Products of whole field vectors, layer k of degree k + 1, summed to maps.

    `X[k]_h = act(sum_ij W[k]_hij (X[k-1]_i * X[0]_j))` (eq. 6), X[0] the fields;
    `p[k]_h = sum_d X[k]_hd` (eq. 7). The output is `[p[1]; ...; p[L]]`.

    With `split_half` the first half of the maps of each layer but the last goes on
    to the next layer and the second half to the output; the last layer's all go to
    the output.

    Args:
        hidden_units: non-empty tuple of ints >= 1. Maps of each layer; with
            `split_half` even but for the last.
        activation: name of a Keras activation. `"linear"`, the paper's choice,
            keeps the degree of each map.
        split_half: bool.
        seed: int >= 0 or None.

    Shapes: `(batch, fields, dim)` float in, `(batch, maps that reach the output)`
    out. Kernels are `(maps, maps before, fields)`. Masks: not used.
    Raises: `ValueError` on a bad argument or an input that is not rank 3.

    >>> CIN((8, 6), split_half=True)(ops.ones((2, 5, 4))).shape
    TensorShape([2, 10])
    """

    def __init__(
        self,
        hidden_units=(128, 128),
        activation="linear",
        split_half=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_maps(self, split_half, hidden_units=hidden_units)
        check_activation(self, activation=activation)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.hidden_units = tuple(int(units) for units in hidden_units)
        self.activation = activation
        self.split_half = split_half
        self.seed = seed if seed is None else int(seed)

    def build(self, input_shape):
        _checks.shape(self, inputs=(input_shape, "batch, fields, dim"))
        # The graph may lose sight of these: not all gathers know their shape.
        self.dim = input_shape[2]
        fields = before = input_shape[1]
        self.kernels = []
        for layer, maps in enumerate(self.hidden_units):
            kernel = self.add_weight(
                name=f"kernel_{layer}",
                shape=(maps, before, fields),
                initializer=stacked_glorot(
                    before * fields,
                    maps,
                    seed=None if self.seed is None else self.seed + layer,
                ),
            )
            self.kernels.append(kernel)
            before = maps // 2 if self.split_half else maps

    def call(self, inputs):
        act = keras.activations.get(self.activation)
        x0 = ops.transpose(inputs, (0, 2, 1))  # (B, D, F)
        x, found = x0, []
        for layer, kernel in enumerate(self.kernels):
            maps, before, fields = kernel.shape
            z = x[:, :, :, None] * x0[:, :, None, :]  # (B, D, H[k-1], F)
            z = ops.reshape(z, (-1, self.dim, before * fields))
            flat = ops.reshape(kernel, (maps, before * fields))
            x = act(ops.matmul(z, ops.transpose(flat)))  # (B, D, H[k]), eq. 6
            out = x
            if self.split_half and layer < len(self.kernels) - 1:
                x, out = ops.split(x, 2, axis=2)
            found.append(ops.sum(out, axis=1))  # eq. 7
        return ops.concatenate(found, axis=1)

    def compute_output_shape(self, input_shape):
        *hidden, last = self.hidden_units
        return (input_shape[0], sum(hidden) // (2 if self.split_half else 1) + last)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": self.activation,
            "split_half": self.split_half,
            "seed": self.seed,
        }


def check_maps(owner, split_half, **arguments):
    """Each argument is the number of feature maps of one layer or more."""
    _checks.boolean(owner, split_half=split_half)
    _checks.hidden_units(owner, **arguments)
    for name, units in arguments.items():
        if not units:
            raise _checks.argument(owner, name, "must have at least one layer", units)
        if split_half and any(number % 2 for number in units[:-1]):
            rule = "must be even but for the last, with `split_half`"
            raise _checks.argument(owner, name, rule, units)
