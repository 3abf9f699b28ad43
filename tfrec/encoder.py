"""IdEncoder: raw values -> ids, the same graph in tf.data and in a servable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf

from tfrec import _checks
from tfrec.features import FeatureSpec
from tfrec.features.columns import (
    Bucketized,
    Categorical,
    Column,
    Crossed,
    Numeric,
)
from tfrec.features.vocabulary import PADDING_ID, RESERVED_IDS, UNKNOWN_ID


class IdEncoder(tf.Module):
    """Maps raw columns to what models take.

    Categorical: id 0 for the padding value, 1 for a value that is not in the
    vocabulary, else 2 + its line. Lists: the newest `max_length` ids, oldest
    first, filled with 0 on the right; what goes along a list keeps its places,
    a missing attribute being unknown. Bucketized: 2 + the number of boundaries
    <= x, 0 for NaN. Crossed: 2 + hash of the ids. Numeric: filled and scaled.

    The vocabulary files become assets of a SavedModel that tracks the encoder.

    Args:
        spec: FeatureSpec with its vocabularies.
        names: columns to encode; None: all.

    Shapes: `(batch,)` in and out; lists `(batch, any)` in, `(batch, max_length)`
    out; numeric `(batch,)` or `(batch, n)`. Ids are int32, numbers float32.
    Raises: `ValueError` when the spec is not adapted or a column is missing.
    """

    def __init__(self, spec: FeatureSpec, names: Iterable[str] | None = None) -> None:
        super().__init__(name="id_encoder")
        if not isinstance(spec, FeatureSpec):
            rule = "must be a FeatureSpec"
            raise _checks.argument(self, "spec", rule, spec, kind=TypeError)
        names = list(spec.names if names is None else names)
        self.spec = spec
        self.names = tuple(name for name in spec.names if name in names)
        for name in names:
            if name not in spec:
                hint = _checks.closest(name, spec.names).strip()
                found = _checks.quoted(spec.names)
                raise _checks.column(self, name, "must be in the spec", found, hint)
        spec.check_adapted()
        self.raw_names = spec.raw_names(self.names)
        self._vocabularies: dict[str, tf.lookup.StaticHashTable] = {}
        for name in self.raw_names:
            source = spec.source(spec[name])
            if not isinstance(source, Categorical) or source.hash_buckets is not None:
                continue
            table = source.table_name
            if table not in self._vocabularies:
                self._vocabularies[table] = self._vocabulary(table)

    def _vocabulary(self, table: str) -> tf.lookup.StaticHashTable:
        vocabulary = self.spec.vocabulary(table)
        vocabulary.verify()
        whole_line = vocabulary.dtype == "string"
        initializer = tf.lookup.TextFileInitializer(
            vocabulary.file,
            key_dtype=tf.string if whole_line else tf.int64,
            key_index=tf.lookup.TextFileIndex.WHOLE_LINE if whole_line else 0,
            value_dtype=tf.int64,
            value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
            vocab_size=vocabulary.size,
        )
        return tf.lookup.StaticHashTable(initializer, UNKNOWN_ID - RESERVED_IDS)

    def lookup(self, column: Column, values: tf.Tensor) -> tf.Tensor:
        """Ids of raw values, int32, same shape; for columns with a vocabulary."""
        source = self.spec.source(column)
        if not isinstance(source, Categorical):
            rule = "must have a vocabulary"
            raise _checks.column(self, column.name, rule, column.kind)
        if source.hash_buckets is not None:
            text = values if values.dtype == tf.string else tf.strings.as_string(values)
            ids = tf.strings.to_hash_bucket_fast(text, source.hash_buckets)
        else:
            ids = self._vocabularies[source.table_name].lookup(values)
        ids = tf.cast(ids, tf.int32) + RESERVED_IDS
        padding = tf.constant(self.spec.padding_of(column), values.dtype)
        return tf.where(values == padding, PADDING_ID, ids)

    def numbers(self, column: Column, values: tf.Tensor) -> tf.Tensor:
        """Columns of numbers: scaled numbers, or ids of buckets; same shape."""
        missing = tf.math.is_nan(values)
        source = self.spec.source(column)
        if isinstance(source, Bucketized):
            bounds = np.asarray(source.boundaries, np.float32).tolist()
            ids = tf.raw_ops.Bucketize(input=values, boundaries=bounds) + RESERVED_IDS
            return tf.where(missing, PADDING_ID, ids)
        if not isinstance(column, Numeric):
            raise _checks.column(self, column.name, "must be numeric", column.kind)
        if column.fill is not None:
            values = tf.where(missing, tf.constant(column.fill, tf.float32), values)
        if column.scaling == "log1p":
            return tf.sign(values) * tf.math.log1p(tf.abs(values))
        if column.scaling in ("standard", "min_max"):
            # A product: graphs turn a quotient into one, eager code does not.
            return (values - column.shift) * (1 / column.scale)
        return values

    def cross(self, column: Crossed, ids: list[tf.Tensor]) -> tf.Tensor:
        """Ids of a crossed column from those of the columns that it crosses."""
        text = tf.strings.join([tf.strings.as_string(x) for x in ids], separator=" ")
        crossed = tf.strings.to_hash_bucket_fast(text, column.hash_buckets)
        crossed = tf.cast(crossed, tf.int32) + RESERVED_IDS
        missing = tf.reduce_any([x == PADDING_ID for x in ids], axis=0)
        return tf.where(missing, PADDING_ID, crossed)

    def __call__(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Encodes every column of the encoder; extra keys are ignored."""
        values = {name: self._values(name, features) for name in self.raw_names}
        encoded = {}
        for name in self.raw_names:
            column, value = self.spec[name], values[name]
            if column.is_list:
                lead = getattr(column, "along", None)
                real = values[lead or name] != PADDING_ID
                if lead and value.dtype == tf.int32:
                    value = tf.where(value == PADDING_ID, UNKNOWN_ID, value)
                value = _newest(value, real, self.spec.width(column))
            encoded[name] = value
        for name in self.names:
            column = self.spec[name]
            if isinstance(column, Crossed):
                encoded[name] = self.cross(column, [encoded[of] for of in column.of])
        return {name: encoded[name] for name in self.names}

    def _values(self, name: str, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Ids or numbers of a raw column, value by value."""
        if name not in features:
            rule = "must be one of the row's features"
            raise _checks.column(self, name, rule, _checks.quoted(features))
        column = self.spec[name]
        dtype = _raw_spec(self.spec, column).dtype
        values = tf.convert_to_tensor(features[name], dtype, name=name)
        if dtype == tf.float32:
            return self.numbers(column, values)
        return self.lookup(column, values)

    def signature(self) -> dict[str, tf.TensorSpec]:
        """What the raw columns look like, by name."""
        return {name: _raw_spec(self.spec, self.spec[name]) for name in self.raw_names}


def _newest(values: tf.Tensor, real: tf.Tensor, length: int | None) -> tf.Tensor:
    """The last `length` real values of each row, moved to the left."""
    kept = tf.ragged.boolean_mask(values, real)[:, -length:]
    return kept.to_tensor(tf.zeros((), values.dtype), shape=[None, length])


def _raw_spec(spec: FeatureSpec, column: Column) -> tf.TensorSpec:
    source = spec.source(column)
    dtype = source.dtype if isinstance(source, Categorical) else "float32"
    shape = [None, None] if column.is_list else [None]
    if isinstance(column, Numeric):
        shape += column.shape
    return tf.TensorSpec(shape, tf.as_dtype(dtype), column.name)
