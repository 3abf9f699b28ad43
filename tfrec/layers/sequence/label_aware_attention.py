"""Label-aware attention of MIND (arXiv:1904.08030, section 3.4)."""

import keras
import numpy as np
from keras import ops

from tfrec import _checks
from tfrec.layers.basic.masked_softmax import masked_softmax

MODES = ("hard", "pow", "scale")
LARGEST = 30.0  # exponent of 10 that a power is held under: float32 ends at 38


@keras.saving.register_keras_serializable(package="tfrec")
class LabelAwareAttention(keras.layers.Layer):
    """Reads a user's interests with the item that the user took, in training.

    `x_j = v_j . e`; `v = sum_j softmax_j(g(x_j)) v_j` (eq. 10) with, by mode,
    `pow`: `g(x) = x^power`; `scale`: `g(x) = power x`; `hard`: the v_j of the
    largest x_j, the limit of a large power. `attention([v, e])` gives the softmax.

    Differs: `x^power` keeps the sign of x, since an even power would prefer the most
    negative similarity; power 0 weighs all alike. Powers above 1e30 are held there
    in proportion. `hard` is a path of its own: for |x| < 1 the limit of `pow` is the
    plain mean.

    Args:
        mode: "hard", "pow" or "scale". For vectors of length 1, where no x is above
            1, use "scale" or "hard".
        power: number >= 0 with "pow" and "scale"; None with "hard".

    Call arguments:
        inputs: `[interests, target]`, `(batch, interests, dim)` and `(batch, dim)`.
        mask: `(batch, interests)` bool, True = alive; None: all are.

    Shapes: `(batch, dim)` out; weights are computed in float32. Masks: as said;
    dead interests do not matter, NaN included; without a live one the zero vector.
    Raises: `ValueError` on a bad argument or inputs of other ranks or widths.

    >>> v = ops.array([[[-3.0, 0.0], [1.0, 0.0]]])
    >>> LabelAwareAttention("hard")([v, ops.array([[1.0, 0.0]])]).numpy().tolist()
    [[1.0, 0.0]]
    """

    def __init__(self, mode="hard", power=None, **kwargs):
        super().__init__(**kwargs)
        _checks.one_of(self, MODES, mode=mode)
        if mode != "hard":
            _checks.number(self, 0, power=power)
        elif power is not None:
            rule = "must be None with mode 'hard', which raises to no power"
            raise _checks.argument(self, "power", rule, power)
        self.mode = mode
        self.power = None if power is None else float(power)
        self.supports_masking = True

    def compute_mask(self, inputs, mask=None):
        return None  # one vector a row: nothing is left to mask

    def build(self, input_shape):
        if len(input_shape) != 2 or not isinstance(input_shape[0], (tuple, list)):
            rule = "must be [interests, target]"
            raise _checks.argument(self, "inputs", rule, input_shape)
        _checks.shape(self, interests=(input_shape[0], "batch, interests, dim"))
        dim = input_shape[0][2]
        _checks.shape(self, target=(input_shape[1], f"batch, {dim}"))

    def attention(self, inputs, mask=None):
        """The weight of each interest, `(batch, interests)` float32; they sum to 1.

        Inputs and mask as in a call.
        """
        v, target, mask = self._cleared(inputs, mask)
        return self._weights(ops.einsum("bkd,bd->bk", v, target), mask)

    def call(self, inputs, mask=None):
        v, target, mask = self._cleared(inputs, mask)
        weights = self._weights(ops.einsum("bkd,bd->bk", v, target), mask)
        mixed = ops.einsum("bk,bkd->bd", weights, v)
        return ops.cast(mixed, inputs[0].dtype)

    def _cleared(self, inputs, mask):
        """Interests, 0 where not alive, and target, in float32; the mask."""
        interests, target = inputs
        if isinstance(mask, (list, tuple)):  # what Keras passes when none is given
            mask = mask[0]
        if mask is None:
            mask = ops.ones(ops.shape(interests)[:2], "bool")
        _checks.shape(self, mask=(mask.shape, "batch, interests"))
        mask = ops.cast(mask, "bool")
        v = ops.where(mask[:, :, None], interests, ops.zeros_like(interests))
        return ops.cast(v, "float32"), ops.cast(target, "float32"), mask

    def _weights(self, x, mask):
        if self.mode == "hard":
            best = ops.argmax(ops.where(mask, x, -np.inf), axis=1)
            return ops.one_hot(best, ops.shape(x)[1], dtype="float32")
        g = self.power * x if self.mode == "scale" else self._raised(x)
        return masked_softmax(g, mask)

    def _raised(self, x):
        """`sign(x) |x|^power`: the largest |x| is taken out, so nothing overflows."""
        if self.power == 0:
            return ops.zeros_like(x)
        # Below 1e-6 a line through 0, whose slope a power < 1 does not have.
        size = ops.maximum(ops.abs(x), 1e-6)
        top = ops.stop_gradient(ops.max(size, axis=1, keepdims=True, initial=0))
        most = 10.0 ** min(LARGEST / self.power, LARGEST)
        scale = ops.power(ops.minimum(top, most), self.power)
        return x / top * ops.power(size / top, self.power - 1) * scale

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[1])

    def get_config(self):
        return {**super().get_config(), "mode": self.mode, "power": self.power}
