"""What all rankers start from: field vectors, numbers and the first-order logit."""

import itertools
from typing import Any, NamedTuple

import keras

from tfrec import _checks
from tfrec.embeddings import Embeddings, inputs_of
from tfrec.features import FeatureSpec
from tfrec.layers.basic.linear_term import LinearTerm
from tfrec.layers.basic.numeric_fields import NumericFields
from tfrec.layers.sequence.masked_pooling import MaskedPooling
from tfrec.models.towers import SIDES, check_spec, common_dim, joined


class RankerParts(NamedTuple):
    """Tensors of a ranker, user's and item's half joined.

    inputs: list of named `keras.Input`s.
    fields: `(batch, fields, dim)`: categorical columns, then pooled lists, of the
        user and of the item; then each number x as x v.
    linear: `(batch, 1)`, `b + sum_f l_f + sum_n w_n x_n`, or None.
    numbers: `(batch, n)`, or None where the spec has none.
    names: the fields' names, in their order.
    sides: {"user", "item": `Fields`}, as they were looked up, not yet joined.
    """

    inputs: list
    fields: Any
    linear: Any
    numbers: Any
    names: list
    sides: dict


def ranker_parts(
    owner: str,
    spec: FeatureSpec,
    *,
    linear: bool = True,
    unknown_rate: float = 0.01,
    l2: float = 0.0,
    seed: int | None = None,
) -> RankerParts:
    """Looks up all columns of a spec, once for a user who meets many items.

    A sequence is a field: the mean of its real values. First-order weights stand
    in the tables beside the vectors, so each side is one gather.

    Args:
        owner: str. The model, for errors and names of layers.
        spec: FeatureSpec; all columns with one `embedding_dim`.
        linear: bool. Without it there are no first-order weights.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        l2: number >= 0. As in `EmbeddingTable`.
        seed: int or None.

    Raises: `ValueError` on a bad argument or columns of different width;
    `TypeError` when `spec` is not a FeatureSpec.
    """
    check_spec(owner, spec)
    _checks.rate(owner, unknown_rate=unknown_rate)
    _checks.number(owner, 0, l2=l2)
    dim = common_dim(owner, spec)
    tables = Embeddings(
        spec, linear=linear, unknown_rate=unknown_rate, l2=l2, seed=seed
    )
    inputs, names, blocks, numbers, columns, found = [], [], [], [], [], {}
    for side, sides in SIDES.items():
        of_side = inputs_of(spec, *sides)
        if not of_side:
            continue
        inputs += of_side
        fields = found[side] = tables(of_side, stacked=True)
        block, of_block = _block(fields, dim + linear, f"{owner}_{side}")
        if of_block:
            blocks.append(block)
            names += of_block
        if fields.numbers:
            numbers.append(_matrix(fields.numbers.values(), f"{owner}_{side}_numbers"))
            columns += _number_names(fields.numbers)
    x = joined(numbers, f"{owner}_numbers") if numbers else None
    rows, terms = [], []
    if blocks:
        block = joined(blocks, f"{owner}_looked_up")
        if linear:  # a split's gradient is one concatenation, a slice's is padding
            block, weights = keras.ops.split(block, [dim], axis=2)
            terms.append(keras.layers.Flatten(name=f"{owner}_first_order")(weights))
        rows.append(block)
    if x is not None:
        layer = NumericFields(dim, seed=seed, name=f"{owner}_number_fields")
        rows.append(layer(x))
        terms.append(x)
    stacked = joined(rows, f"{owner}_fields")
    if x is not None and len(numbers) < len(found):
        # One side's numbers alone may have one row: as many as there are fields.
        x = joined([x, stacked[:, 0, :1]], f"{owner}_all_numbers")[:, :-1]
    logit = None
    if linear and blocks:
        logit = LinearTerm(name=f"{owner}_linear")(terms)
    elif linear:  # numbers only: b + sum_n w_n x_n
        layer = keras.layers.Dense(
            1, kernel_initializer="zeros", name=f"{owner}_linear"
        )
        logit = layer(x)
    return RankerParts(inputs, stacked, logit, x, names + columns, found)


def _block(fields, width, name):
    """`(batch, fields, width)` of a side, and the names of its fields."""
    rows, names = list(fields.blocks.values()), []
    for columns in fields.blocks:
        names += columns
    lists = {k: v for k, v in fields.vectors.items() if k not in names}
    for column, sequence in fields.sequences.items():
        pooling = MaskedPooling("mean", name=f"{name}_{column}_mean")
        lists[column] = pooling(sequence, mask=fields.masks[column])
    rows += [keras.layers.Reshape((1, width))(vector) for vector in lists.values()]
    names += lists
    if len(rows) > 1:
        return keras.layers.Concatenate(axis=1, name=f"{name}_fields")(rows), names
    return (rows[0] if rows else None), names


def _matrix(numbers, name):
    """`(batch, n)`; numbers of rank 1 that follow each other in one operation."""
    parts = []
    for single, group in itertools.groupby(numbers, lambda x: len(x.shape) == 1):
        group = list(group)
        parts += [keras.ops.stack(group, axis=1)] if single else group
    if len(parts) == 1:
        return parts[0]
    return keras.layers.Concatenate(name=name)(parts)


def _number_names(numbers):
    """A name a number; a vector's are `name[0]`, `name[1]`, ..."""
    names = []
    for name, tensor in numbers.items():
        if len(tensor.shape) == 1 or tensor.shape[1] == 1:
            names.append(name)
        else:
            names += [f"{name}[{i}]" for i in range(tensor.shape[1])]
    return names
