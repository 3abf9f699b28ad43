"""IdEncoder: raw values -> ids, the same graph in tf.data and in a servable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf

from tfrec import _checks
from tfrec.features import FeatureSpec
from tfrec.features.columns import Bucketized, Column, Numeric
from tfrec.features.vocabulary import PADDING_ID, RESERVED_IDS, UNKNOWN_ID


class IdEncoder(tf.Module):
    """Maps raw columns to what models take.

    Categorical: id 0 for the padding value, 1 for a value that is not in the
    vocabulary, else 2 + its line. Lists: the newest `max_length` ids, oldest
    first, filled with 0 on the right. Bucketized: 2 + the number of boundaries
    <= x, 0 for NaN. Numeric: filled and scaled.

    The vocabulary files become assets of a SavedModel that tracks the encoder.

    Args:
        spec: FeatureSpec with its vocabularies.
        names: columns to encode; None: all.

    Shapes: `(batch,)` in and out; lists `(batch, any)` in, `(batch, max_length)`
    int32 out; numeric `(batch,)` or `(batch, n)` float32.
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
        self._vocabularies: dict[str, tf.lookup.StaticHashTable] = {}
        for name in self.names:
            source = spec.source(spec[name])
            if source is None or source.hash_buckets is not None:
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
        if source is None:
            raise _checks.column(
                self, column.name, "must have a vocabulary", column.kind
            )
        if source.hash_buckets is not None:
            text = values if values.dtype == tf.string else tf.strings.as_string(values)
            ids = tf.strings.to_hash_bucket_fast(text, source.hash_buckets)
        else:
            ids = self._vocabularies[source.table_name].lookup(values)
        ids = tf.cast(ids, tf.int32) + RESERVED_IDS
        padding = tf.constant(self.spec.padding_of(column), values.dtype)
        return tf.where(values == padding, PADDING_ID, ids)

    def numbers(self, column: Column, values: tf.Tensor) -> tf.Tensor:
        """Numeric and Bucketized columns: scaled numbers, or ids."""
        missing = tf.math.is_nan(values)
        if isinstance(column, Bucketized):
            bounds = np.asarray(column.boundaries, np.float32).tolist()
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

    def __call__(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Encodes every column of the encoder; extra keys are ignored."""
        encoded = {}
        for name in self.names:
            if name not in features:
                rule = "must be one of the row's features"
                raise _checks.column(self, name, rule, _checks.quoted(features))
            column = self.spec[name]
            dtype = _raw_spec(self.spec, column).dtype
            values = tf.convert_to_tensor(features[name], dtype, name=name)
            if not isinstance(column, (Numeric, Bucketized)):
                ids = self.lookup(column, values)
                encoded[name] = _newest(ids, column) if column.is_list else ids
            else:
                encoded[name] = self.numbers(column, values)
        return encoded

    def signature(self) -> dict[str, tf.TensorSpec]:
        """What the raw columns look like, by name."""
        return {name: _raw_spec(self.spec, self.spec[name]) for name in self.names}


def _newest(ids: tf.Tensor, column: Column) -> tf.Tensor:
    """The last `max_length` real ids of each row, moved to the left."""
    length = column.max_length  # type: ignore[union-attr]
    kept = tf.ragged.boolean_mask(ids, ids != PADDING_ID)[:, -length:]
    return kept.to_tensor(PADDING_ID, shape=[None, length])


def _raw_spec(spec: FeatureSpec, column: Column) -> tf.TensorSpec:
    if isinstance(column, Numeric):
        return tf.TensorSpec([None, *column.shape], tf.float32, column.name)
    source = spec.source(column)
    if source is None:
        return tf.TensorSpec([None], tf.float32, column.name)
    shape = [None, None] if column.is_list else [None]
    return tf.TensorSpec(shape, tf.as_dtype(source.dtype), column.name)
