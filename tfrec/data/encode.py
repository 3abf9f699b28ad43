"""Blocks of typed columns -> packed ids and numbers, by the one IdEncoder."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrec.encoder import IdEncoder
from tfrec.features.columns import Column, Crossed, Numeric
from tfrec.features.rows import pad, typed
from tfrec.features.vocabulary import PADDING_ID, UNKNOWN_ID


def encode_block(
    encoder: IdEncoder, block: dict[str, pa.Array], *, owner: str
) -> dict[str, np.ndarray]:
    """Ids and numbers of a block, by column: what models take, as NumPy arrays.

    Each distinct value is looked up once, then spread over its rows.
    """
    spec = encoder.spec
    values = typed(spec, block, encoder.raw_names, owner=owner)
    encoded = {}
    for name in encoder.raw_names:
        column, array = spec[name], values[name]
        if not column.is_list:
            encoded[name] = _encode(encoder, column, array)
            continue
        flat = _encode(encoder, column, array.flatten())
        if getattr(column, "along", None) and flat.dtype == np.int32:
            flat = np.where(flat == PADDING_ID, np.int32(UNKNOWN_ID), flat)
        lengths = np.diff(array.offsets.to_numpy())
        encoded[name] = pad(flat, lengths, 0, spec.width(column) or 1)
    for name in encoder.names:
        column = spec[name]
        if isinstance(column, Crossed):
            ids = [tf.constant(encoded[of]) for of in column.of]
            encoded[name] = encoder.cross(column, ids).numpy()
    return {name: encoded[name] for name in encoder.names}


def _encode(encoder: IdEncoder, column: Column, array: pa.Array) -> np.ndarray:
    kind = array.type
    numbers = pa.types.is_floating(kind) or pa.types.is_fixed_size_list(kind)
    return (_numbers if numbers else _ids)(encoder, column, array)


def _ids(encoder: IdEncoder, column: Column, array: pa.Array) -> np.ndarray:
    coded = array.dictionary_encode()
    values = coded.dictionary
    if pa.types.is_string(values.type):
        values = values.cast(pa.binary())
    found = np.zeros(len(values) + 1, np.int32)  # the last one is for nulls
    if len(values):
        raw = tf.constant(values.to_numpy(zero_copy_only=False))
        found[:-1] = encoder.lookup(column, raw).numpy()
    codes = coded.indices.fill_null(len(values)).to_numpy()
    return found[codes]


def _numbers(encoder: IdEncoder, column: Column, array: pa.Array) -> np.ndarray:
    if isinstance(column, Numeric) and column.shape:
        values = array.flatten().to_numpy().reshape(-1, column.shape[0])
    else:
        values = array.to_numpy(zero_copy_only=False)
    return encoder.numbers(column, tf.constant(values)).numpy()
