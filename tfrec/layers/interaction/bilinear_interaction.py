"""Bilinear interaction of fields (FiBiNET, arXiv:1905.09433, section 3.4)."""

import itertools

import keras
from keras import ops

from tfrec import _checks
from tfrec.layers.basic.stacked_glorot import stacked_glorot


@keras.saving.register_keras_serializable(package="tfrec")
class BilinearInteraction(keras.layers.Layer):
    """For each pair of fields, the product of one with a learned map of the other.

    `p_ij = (e_i W) * e_j` for i < j (eq. 5), pairs in the order (0, 1), (0, 2), ...,
    (1, 2), ...; `all`: one W; `each`: one W for each i; `interaction`: one W for
    each pair. The order of the fields matters: swapping two changes the result.

    Args:
        kernels: `"all"`, `"each"` or `"interaction"`.
        seed: int >= 0 or None.

    Shapes: `(batch, fields >= 2, dim)` float in, `(batch, pairs, dim)` out, pairs =
    fields (fields - 1) / 2. Masks: not used.
    Raises: `ValueError` on a bad argument, an input that is not rank 3, or one field.

    >>> BilinearInteraction("all")(ops.ones((2, 4, 3))).shape
    TensorShape([2, 6, 3])
    """

    def __init__(self, kernels="interaction", seed=None, **kwargs):
        super().__init__(**kwargs)
        _checks.one_of(self, ("all", "each", "interaction"), kernels=kernels)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.kernels = kernels
        self.seed = seed if seed is None else int(seed)

    def build(self, input_shape):
        _checks.shape(self, inputs=(input_shape, "batch, fields, dim"))
        fields, dim = input_shape[1:]
        if fields < 2:
            rule = "must have at least 2 fields"
            raise _checks.argument(self, "inputs", rule, tuple(input_shape))
        pairs = itertools.combinations(range(fields), 2)
        self.left, self.right = (list(side) for side in zip(*pairs, strict=True))
        stacks = {"all": (), "each": (fields - 1,), "interaction": (len(self.left),)}
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*stacks[self.kernels], dim, dim),
            initializer=stacked_glorot(dim, dim, seed=self.seed),
        )

    def call(self, inputs):
        # Fields first: products over whole blocks, and gradients that are sums of
        # blocks. On a CPU that takes less than half of what gathers take.
        x = ops.transpose(inputs, (1, 0, 2))  # (F, B, D)
        fields = self.right[-1] + 1  # a graph may have forgotten it
        if self.kernels == "interaction":
            mapped = ops.matmul(_pick(x, self.left, fields), self.kernel)
        else:  # the last field is never on the left
            mapped = _pick(ops.matmul(x[:-1], self.kernel), self.left, fields - 1)
        pairs = mapped * _pick(x, self.right, fields)  # (P, B, D), eq. 5
        return ops.transpose(pairs, (1, 0, 2))

    def compute_output_shape(self, input_shape):
        batch, fields, dim = input_shape
        return (batch, fields * (fields - 1) // 2, dim)

    def get_config(self):
        return {**super().get_config(), "kernels": self.kernels, "seed": self.seed}


def _pick(x, places, count):
    """The blocks of `x` at these places of its `count` ones."""
    blocks = ops.unstack(x, num=count, axis=0)
    return ops.stack([blocks[place] for place in places])
