"""Pieces that model functions share: from looked-up fields to flat tensors."""

import keras
import numpy as np

from tfrec import _checks
from tfrec.embeddings import inputs_of
from tfrec.features import Categorical, FeatureSpec
from tfrec.layers.basic.activation import check_activation
from tfrec.layers.basic.dropout import Dropout
from tfrec.layers.basic.join_sides import JoinSides
from tfrec.layers.basic.mlp import MLP
from tfrec.layers.basic.numeric_fields import NumericFields
from tfrec.layers.sequence.masked_pooling import MODES, MaskedPooling

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


def tower_inputs(owner, spec):
    """Named inputs of the user's half and of the item's, by side.

    Raises: `ValueError` when a side has no column.
    """
    inputs = {side: inputs_of(spec, *sides) for side, sides in SIDES.items()}
    for side, of_side in inputs.items():
        check_side(owner, spec, of_side, side)
    return inputs


def tower(inputs, x, side, name, *, hidden_units, seed, dropout=0.0, **activations):
    """The model from a side's inputs to the unit vector of dense layers on `x`.

    `activations` are those of `MLP`; the last layer is linear unless they say else.
    """
    number = list(SIDES).index(side)
    name = f"{name}_{side}"
    seed = None if seed is None else seed + 1000 * (number + 1)
    # A seed of its own: draws of the layers behind it must not repeat these.
    drawn = None if seed is None else seed + 500
    x = Dropout(dropout, seed=drawn, name=f"{name}_drop")(x)
    x = MLP(
        hidden_units,
        dropout=dropout,
        seed=seed,
        name=f"{name}_mlp",
        **{"last_activation": "linear", **activations},
    )(x)
    return keras.Model(inputs, _unit(f"{name}_unit")(x), name=f"{side}_tower")


def plain_tower(inputs, fields, side, name, poolings, **options):
    """A `tower` on field vectors, pooled sequences and numbers, side by side."""
    own = f"{name}_{side}"
    x = flat(pooled(fields, poolings, own), fields.numbers, own)
    return tower(inputs, x, side, name, **options)


def final(temperature, name):
    """The layer behind which a tower's vectors are what is exported.

    They keep their lengths where there is no temperature.
    """
    if temperature is None:
        return keras.layers.Activation("linear", dtype="float32", name=name)
    return _unit(name)


def check_towers(owner, spec, item_id, hidden_units, poolings, **options):
    """Raises for bad arguments that all two-tower models have."""
    check_spec(owner, spec)
    _checks.hidden_units(owner, hidden_units=hidden_units)
    check_activation(owner, own=("dice",), activation=options["activation"])
    if options["seed"] is not None:
        _checks.integer(owner, seed=options["seed"])
    _checks.number(owner, above=0, temperature=options["temperature"])
    for rate in ("dropout", "unknown_rate"):
        _checks.rate(owner, **{rate: options[rate]})
    if not isinstance(poolings, (tuple, list)) or not poolings:
        rule = "must be a non-empty tuple of names"
        raise _checks.argument(owner, "poolings", rule, poolings)
    for mode in poolings:
        _checks.one_of(owner, MODES, poolings=mode)
    if not hidden_units:
        rule = "must name at least the width of the vectors"
        raise _checks.argument(owner, "hidden_units", rule, hidden_units)
    check_categorical(owner, spec, "item", item_id=item_id)


def check_categorical(owner, spec, side, **arguments):
    """Raises `ValueError` when an argument names no Categorical of the side."""
    names = [c.name for c in spec if type(c) is Categorical and c.side == side]
    for argument, name in arguments.items():
        if name not in names:
            rule = f'must name a Categorical of side "{side}"'
            way_out = f"The spec has {_checks.quoted(names) or 'none'}."
            raise _checks.argument(owner, argument, rule, name, way_out)


def item_log_q(owner, spec, item_id):
    """`log(count / total)` by id, from the vocabulary's counts.

    Ids that were never counted (padding, an unknown row without occurrences) are
    given half an occurrence. Raises: `ValueError` when `item_id` has no vocabulary.
    """
    column = spec[item_id]
    if column.hash_buckets is not None:
        rule = "must have a vocabulary, whose counts give log q"
        way_out = "Drop its `hash_buckets`, or pass log_q=False."
        raise _checks.argument(owner, "item_id", rule, item_id, way_out)
    counts = np.maximum(spec.vocabulary(column.table_name).counts(), 0.5)
    return np.log(counts / counts[1:].sum())


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


def _unit(name):
    # In float32: the 1e-12 that guards a zero vector is none in float16.
    return keras.layers.UnitNormalization(dtype="float32", name=name)


def _matrix(tensor, name):
    if len(tensor.shape) == 2:
        return tensor
    return keras.layers.Reshape((1,), name=f"{name}_column")(tensor)
