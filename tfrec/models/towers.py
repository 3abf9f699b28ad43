"""Pieces that model functions share: from looked-up fields to flat tensors."""

import keras

from tfrec import _checks
from tfrec.features import FeatureSpec
from tfrec.layers.basic.join_sides import JoinSides
from tfrec.layers.basic.numeric_fields import NumericFields
from tfrec.layers.sequence.masked_pooling import MaskedPooling

# Which columns the two halves of a model read.
SIDES = {"user": ("user", "context"), "item": ("item",)}


def pooled(fields, poolings, name):
    """The field vectors, then each sequence pooled in each of the ways."""
    tensors = list(fields.vectors.values())
    for column, sequence in fields.sequences.items():
        for mode in poolings:
            pooling = MaskedPooling(mode, name=f"{name}_{column}_{mode}")
            tensors.append(pooling(sequence, mask=fields.masks[column]))
    return tensors


def flat(tensors, numbers, name):
    """`(batch, width)` of vectors and numbers side by side."""
    tensors = [*tensors, *(_matrix(n, f"{name}_{k}") for k, n in numbers.items())]
    if len(tensors) == 1:
        return tensors[0]
    return keras.layers.Concatenate(name=f"{name}_concat")(tensors)


def stacked(tensors, numbers, embedding_dim, name, seed=None):
    """`(batch, fields, dim)` of vectors and of numbers scaled by a vector each.

    `numbers` is a `(batch, n)` tensor or None.
    """
    rows = [keras.layers.Reshape((1, embedding_dim))(tensor) for tensor in tensors]
    if numbers is not None:
        layer = NumericFields(embedding_dim, seed=seed, name=f"{name}_number_fields")
        rows.append(layer(numbers))
    if len(rows) == 1:
        return rows[0]
    return keras.layers.Concatenate(axis=1, name=f"{name}_fields")(rows)


def joined(tensors, name):
    """The sides of a ranker, side by side; one side alone stays as it is."""
    return tensors[0] if len(tensors) == 1 else JoinSides(name=name)(tensors)


def common_dim(owner, spec):
    """The one width of all tables; numbers take it too.

    Raises: `ValueError` that names two columns whose widths differ.
    """
    tables = list(spec.tables.values())
    for table in tables[1:]:
        if table.embedding_dim != tables[0].embedding_dim:
            first = tables[0]
            raise ValueError(
                f'{owner}: columns "{first.columns[0]}" ({first.embedding_dim}) and '
                f'"{table.columns[0]}" ({table.embedding_dim}) must share '
                "`embedding_dim`: fields of different width cannot meet in one inner "
                "product. Give all columns the same `embedding_dim`."
            )
    return tables[0].embedding_dim if tables else 16


def check_spec(owner, spec):
    """Raises `TypeError` when `spec` is not a FeatureSpec."""
    if not isinstance(spec, FeatureSpec):
        raise _checks.argument(
            owner, "spec", "must be a FeatureSpec", spec, kind=TypeError
        )


def check_side(owner, spec, inputs, side):
    """Raises `ValueError` when a side has no column."""
    if not inputs:
        raise _checks.argument(
            owner,
            "spec",
            f"must have a column of side {side!r}",
            list(spec.names),
            "Set the column's `side`.",
        )


def _matrix(tensor, name):
    if len(tensor.shape) == 2:
        return tensor
    return keras.layers.Reshape((1,), name=f"{name}_column")(tensor)
