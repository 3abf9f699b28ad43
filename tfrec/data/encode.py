"""Blocks of typed columns -> packed ids and numbers, by the one IdEncoder."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrec.encoder import IdEncoder
from tfrec.features.columns import Bucketized, Column, Numeric
from tfrec.features.rows import pad, typed
from tfrec.features.vocabulary import PADDING_ID


def encode_block(
    encoder: IdEncoder, block: dict[str, pa.Array], *, owner: str
) -> dict[str, np.ndarray]:
    """Ids and numbers of a block, by column: what models take, as NumPy arrays.

    Each distinct value is looked up once, then spread over its rows.
    """
    spec = encoder.spec
    encoded = {}
    for name in encoder.names:
        column = spec[name]
        array = typed(spec, column, block[name], owner=owner)
        if isinstance(column, (Numeric, Bucketized)):
            encoded[name] = _numbers(encoder, column, array)
        elif column.is_list:
            lengths = np.diff(array.offsets.to_numpy())
            ids = _ids(encoder, column, array.flatten())
            encoded[name] = pad(ids, lengths, PADDING_ID, column.max_length)
        else:
            encoded[name] = _ids(encoder, column, array)
    return encoded


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
