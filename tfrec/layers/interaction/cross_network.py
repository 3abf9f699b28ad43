"""Cross networks of DCN (arXiv:1708.05123) and DCN-V2 (arXiv:2008.13535)."""

import keras
from keras import ops

from tfrec import _checks
from tfrec.layers.basic.masked_softmax import masked_softmax
from tfrec.layers.basic.stacked_glorot import stacked_glorot

FORMS = ("vector", "full", "low_rank", "mixture")


@keras.saving.register_keras_serializable(package="tfrec")
class CrossNetwork(keras.layers.Layer):
    """Stacks crosses of the input with itself: a polynomial of bounded degree.

    `vector`: `x[l+1] = x0 (x[l] . w[l]) + b[l] + x[l]` (DCN, eq. 3).
    `full`: `x[l+1] = x0 * (x[l] W[l] + b[l]) + x[l]` (DCN-V2, eq. 1).
    `low_rank`: the same with `W[l] = V[l] U[l]` (eq. 2).
    `mixture`: `x[l+1] = x0 * sum_i G_i (g(g(x[l] V_i) C_i) U_i + b[l]) + x[l]`
    (eq. 3 and 4), g = tanh, `G = softmax(x[l] T[l])`, each layer with its own gate T.

    Args:
        num_layers: int >= 1. Degree of the output minus 1.
        form: `"vector"`, `"full"`, `"low_rank"` or `"mixture"`.
        rank: int >= 1, for `"low_rank"` and `"mixture"`, else None. A quarter of
            the width is usual; from half of it on `"full"` costs less.
        num_experts: int >= 1, for `"mixture"`, else None.
        seed: int >= 0 or None.

    Shapes: `(batch, dim)` float in, the same out. Masks: not used.
    Raises: `ValueError` on a bad argument or an input that is not rank 2.

    >>> CrossNetwork(2, "mixture", rank=2, num_experts=4)(ops.ones((4, 8))).shape
    TensorShape([4, 8])
    """

    def __init__(
        self,
        num_layers=3,
        form="full",
        rank=None,
        num_experts=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _checks.positive_int(self, num_layers=num_layers)
        _checks.one_of(self, FORMS, form=form)
        _only_for(self, ("low_rank", "mixture"), form, rank=rank)
        _only_for(self, ("mixture",), form, num_experts=num_experts)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.num_layers = int(num_layers)
        self.form = form
        self.rank = rank if rank is None else int(rank)
        self.num_experts = num_experts if num_experts is None else int(num_experts)
        self.seed = seed if seed is None else int(seed)

    def build(self, input_shape):
        _checks.shape(self, inputs=(input_shape, "batch, dim"))
        dim, rank, experts = input_shape[1], self.rank, self.num_experts
        shapes = {
            "vector": {"kernel": (dim, 1)},
            "full": {"kernel": (dim, dim)},
            "low_rank": {"down": (dim, rank), "up": (rank, dim)},
            "mixture": {
                "down": (experts, dim, rank),
                "middle": (experts, rank, rank),
                "up": (experts, rank, dim),
                "gate": (dim, experts),
            },
        }[self.form]
        self.kernels, self.biases = [], []
        for layer in range(self.num_layers):
            kernels = {}
            for place, (name, shape) in enumerate(shapes.items()):
                seed = self.seed
                if seed is not None:
                    seed += layer * len(shapes) + place
                kernels[name] = self.add_weight(
                    name=f"{name}_{layer}",
                    shape=shape,
                    initializer=stacked_glorot(*shape[-2:], seed=seed),
                )
            self.kernels.append(kernels)
            self.biases.append(
                self.add_weight(name=f"bias_{layer}", shape=(dim,), initializer="zeros")
            )

    def call(self, inputs):
        x = inputs
        for kernels, bias in zip(self.kernels, self.biases, strict=True):
            if self.form == "vector":
                x = inputs * ops.matmul(x, kernels["kernel"]) + bias + x
            else:
                x = inputs * self._mixed(x, kernels, bias) + x
        return x

    def _mixed(self, x, kernels, bias):
        """What a layer of DCN-V2 multiplies x0 with, `(batch, dim)`."""
        if self.form == "full":
            return ops.matmul(x, kernels["kernel"]) + bias
        if self.form == "low_rank":
            return ops.matmul(ops.matmul(x, kernels["down"]), kernels["up"]) + bias
        gate = masked_softmax(ops.matmul(x, kernels["gate"]))  # (B, N)
        h = ops.tanh(ops.einsum("bd,ndr->bnr", x, kernels["down"]))
        h = ops.tanh(ops.einsum("bnr,nrs->bns", h, kernels["middle"]))
        experts = ops.einsum("bnr,nrd->bnd", h, kernels["up"]) + bias  # (B, N, D)
        return ops.sum(gate[:, :, None] * experts, axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "form": self.form,
            "rank": self.rank,
            "num_experts": self.num_experts,
            "seed": self.seed,
        }


def _only_for(owner, forms, form, **arguments):
    """Each argument is an int >= 1 where `form` is one of `forms`, else None."""
    for name, value in arguments.items():
        if form in forms:
            _checks.positive_int(owner, **{name: value})
        elif value is not None:
            wanted = " or ".join(repr(one) for one in forms)
            rule = f"must be None for form {form!r}"
            way_out = f"Drop it, or set `form` to {wanted}."
            raise _checks.argument(owner, name, rule, value, way_out)
