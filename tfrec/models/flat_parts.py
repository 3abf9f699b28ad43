"""What rankers start from that put all columns side by side, of whatever width."""

import keras

from tfrec import _checks
from tfrec.embeddings import Embeddings, inputs_of
from tfrec.layers.basic.linear_term import LinearTerm
from tfrec.models.towers import SIDES, check_spec, flat, joined, pooled


def ranker_inputs(owner, spec, *, unknown_rate, l2):
    """Named inputs by side, of the sides that the spec has columns of.

    Raises: `ValueError` on a bad argument; `TypeError` when `spec` is not a
    FeatureSpec.
    """
    check_spec(owner, spec)
    _checks.rate(owner, unknown_rate=unknown_rate)
    _checks.number(owner, 0, l2=l2)
    inputs = {side: inputs_of(spec, *sides) for side, sides in SIDES.items()}
    return {side: of_side for side, of_side in inputs.items() if of_side}


def listed(inputs):
    """The inputs of all sides."""
    return [tensor for of_side in inputs.values() for tensor in of_side]


def first_order(owner, spec, inputs, **options):
    """`b + sum_f l_f + sum_n w_n x_n`, `(batch, 1)`, l from tables of width 1.

    A sequence's weight is the mean of those of its real values. `options` are
    those of `Embeddings`.
    """
    weights = Embeddings(spec, embedding_dim=1, scale=0.0, name="weights", **options)
    looked_up, numbers = [], []
    for side, of_side in inputs.items():
        fields = weights(of_side)
        name = f"{owner}_{side}_weights"
        scalars = pooled(fields, ("mean",), name)
        if scalars:
            looked_up.append(flat(scalars, {}, name))
        if fields.numbers:
            numbers.append(flat([], fields.numbers, f"{owner}_{side}_numbers"))
    terms = [
        joined(parts, f"{owner}_joined_{name}")
        for parts, name in ((looked_up, "weights"), (numbers, "numbers"))
        if parts
    ]
    if looked_up:
        return LinearTerm(name=f"{owner}_linear")(terms)
    weighted = keras.layers.Dense(1, kernel_initializer="zeros", name=f"{owner}_linear")
    return weighted(terms[0])


def side_by_side(owner, spec, inputs, **options):
    """Vectors, the mean of each sequence's, and numbers as they are: `(batch, n)`.

    Inputs that are no columns of `spec` are left out. `options` are those of
    `Embeddings`.
    """
    tables = Embeddings(spec, **options)
    parts = []
    for side, of_side in inputs.items():
        fields = tables([tensor for tensor in of_side if tensor.name in spec])
        name = f"{owner}_{side}"
        parts.append(flat(pooled(fields, ("mean",), name), fields.numbers, name))
    return joined(parts, f"{owner}_flat")
