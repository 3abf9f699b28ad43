"""Parts of the recommender's graph, and what two specs have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec import _checks
from tfrec.encoder import IdEncoder
from tfrec.export.catalogue import encoded
from tfrec.export.servable import served_names
from tfrec.features import FeatureSpec, columns
from tfrec.features.columns import half

OWNER = "export.save_recommender"


def interests(answer: Any) -> tf.Tensor:
    """User vectors `(batch, interests, dim)`, those alive and copies of the first."""
    alive = None
    if isinstance(answer, (list, tuple)):
        answer, *more = answer
        alive = more[0] if more else None
    users = tf.cast(answer, tf.float32)
    if len(users.shape) == 2:
        return users[:, None, :]
    if alive is None:
        return users
    dead = tf.range(tf.shape(users)[1]) >= tf.cast(alive, tf.int32)[:, None]
    return tf.where(dead[..., None], users[:, :1], users)


def parameters(
    spec: FeatureSpec, item_id: str, defaults: Mapping[str, int]
) -> dict[str, tf.TensorSpec]:
    """What a request may say besides the columns."""
    dtype = tf.as_dtype(spec[item_id].dtype)
    lists = {
        name: tf.TensorSpec([None, None], dtype, name) for name in ("exclude", "allow")
    }
    scalars = {name: tf.TensorSpec([], tf.int32, name) for name in defaults}
    return {**lists, **scalars}


def merged(spec: FeatureSpec, other: FeatureSpec) -> FeatureSpec:
    """The spec with the other's columns that it lacks.

    Raises: `ValueError` when one name means two kinds of raw value.
    """
    if other == spec:
        return spec
    for column in other:
        own = spec.get(column.name)
        if own is not None and _raw(spec, own) != _raw(other, column):
            rule = "must be of one kind and dtype in `spec` and `ranker_spec`"
            received = f"{_raw(spec, own)} and {_raw(other, column)}"
            raise _checks.column(OWNER, column.name, rule, received)
    more = tuple(column for column in other if column.name not in spec)
    tables = {vocabulary.table for vocabulary in spec.vocabularies}
    wanted = {c.table_name for c in more if isinstance(c, columns.Categorical)}
    vocabularies = tuple(
        v for v in other.vocabularies if v.table in wanted and v.table not in tables
    )
    return dataclasses.replace(
        spec,
        columns=(*spec.columns, *more),
        vocabularies=(*spec.vocabularies, *vocabularies),
        labels=(),
        weight=None,
    )


def _raw(spec: FeatureSpec, column: Any) -> tuple[Any, ...]:
    """What decides how a column stands in a request."""
    source = getattr(spec.source(column), "dtype", "float32")
    shape = getattr(column, "shape", ())
    return half(column), column.is_list, source, shape


def with_ranker(
    ranker: keras.Model, spec: FeatureSpec, names: list[str], embed: Callable
) -> tuple[list[str], Callable]:
    """A function that also gives the ranker's item columns, as `column:NAME`."""
    of_item = [
        name for name in served_names(OWNER, ranker, spec) if half(spec[name]) == "item"
    ]
    if not of_item:
        rule = "must read a column of the items"
        found = [tensor.name for tensor in ranker.inputs]
        raise _checks.argument(OWNER, "ranker", rule, found)
    encoder = IdEncoder(spec, of_item)
    encode = encoded(encoder)

    def function(**tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        found = encode(**{name: tensors[name] for name in encoder.raw_names})
        found = {f"column:{name}": value for name, value in found.items()}
        vector = embed(**{name: tensors[name] for name in names})
        return {**vector, **found}

    return list(dict.fromkeys([*names, *encoder.raw_names])), function


def places(file: Path, ids: np.ndarray) -> tf.lookup.StaticHashTable:
    """A table from ids to places; its file becomes an asset."""
    is_text = ids.dtype == object
    lines = ids.tolist() if is_text else [str(i).encode() for i in ids.tolist()]
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    index = tf.lookup.TextFileIndex
    initializer = tf.lookup.TextFileInitializer(
        str(file),
        key_dtype=tf.string if is_text else tf.int64,
        key_index=index.WHOLE_LINE if is_text else 0,
        value_dtype=tf.int64,
        value_index=index.LINE_NUMBER,
        vocab_size=len(ids),
    )
    return tf.lookup.StaticHashTable(initializer, -1)


def known(
    spec: FeatureSpec, ids_of: Mapping[str, tf.Tensor], rows: tf.Tensor
) -> tf.Tensor:
    """Whether anything is known of a user: a value with an id of its own."""
    found = []
    for name, ids in ids_of.items():
        column = spec[name]
        if column.side != "user" or ids.dtype != tf.int32:
            continue
        if isinstance(column, columns.Crossed) or not isinstance(
            spec.source(column), columns.Categorical
        ):
            continue
        ids = ids if column.is_list else ids[:, None]
        found.append(tf.reduce_any(ids >= 2, axis=1))
    if not found:
        return tf.ones([rows], tf.bool)
    return tf.broadcast_to(tf.reduce_any(tf.stack(found), axis=0), [rows])


def float32(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor as float32, whatever a model computes in."""
    return tf.cast(tensor, tf.float32)
