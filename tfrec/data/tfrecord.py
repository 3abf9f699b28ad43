"""tf.Example files: `from_tfrecord`, and `write_tfrecord` to make some."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrec import _checks
from tfrec.data.pipeline import Pipeline
from tfrec.data.sources import BUFFER_ROWS
from tfrec.data.stream import Files, stream
from tfrec.features import FeatureSpec
from tfrec.features.carriers import read_columns
from tfrec.features.columns import Categorical
from tfrec.features.sources import Block, files

ENDINGS = (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz")
BLOCK = 8192  # serialized rows take several times the room of their ids
PROBED = 256
KINDS = {"bytes_list": tf.string, "int64_list": tf.int64, "float_list": tf.float32}


def from_tfrecord(
    path: Any,
    spec: FeatureSpec,
    *,
    columns: Iterable[str] | None = None,
    batch_size: int = 1024,
    shuffle: bool = False,
    seed: int = 0,
    drop_remainder: bool = False,
    repeat: int | None = 1,
    shard: tuple[int, int] | None = None,
    missing_labels: bool = False,
    buffer_rows: int = BUFFER_ROWS,
    cache: str | os.PathLike[str] | None = None,
) -> tf.data.Dataset:
    """Files of tf.Example -> batches of ids, streamed.

    A feature is named like its column: strings as bytes_list, int64 as
    int64_list, numbers, labels and the weight as float_list or int64_list; lists as
    several values, `separator` has no meaning here. A feature that is empty or
    absent in a row is missing there, or an empty list.

    Args:
        path: a file (.tfrecord, .tfrecords, either with .gz), a folder, a glob, or
            a list of them.
        The other arguments, what is returned and raised: as in `from_parquet`. The
        files are read once at the start, to count the rows and to find broken ones.
    """
    owner = "from_tfrecord"
    pipeline = Pipeline(
        owner,
        spec,
        columns=columns,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        drop_remainder=drop_remainder,
        repeat=repeat,
        shard=shard,
        missing_labels=missing_labels,
    )
    read = partial(_blocks, spec=spec, names=pipeline.layout.columns)
    paths = files(path, owner=owner, kind="TFRecord", endings=ENDINGS)
    found = Files(paths, read, _count)
    return stream(pipeline, found, buffer_rows=buffer_rows, cache=cache)


def _records(file: Path) -> tf.data.TFRecordDataset:
    compression = "GZIP" if file.name.endswith(".gz") else ""
    return tf.data.TFRecordDataset(str(file), compression_type=compression)


def _count(file: Path) -> int:
    """How many records a file has; reads it and so checks it."""
    try:
        size = file.stat().st_size
        if file.name.endswith(".gz"):
            with gzip.open(file) as content:
                size = sum(len(part) for part in iter(lambda: content.read(2**20), b""))
        start, one = np.zeros(2, np.int64), tf.constant(1, tf.int64)
        rows, taken = _records(file).reduce(
            start, lambda sums, record: sums + tf.stack([one, 16 + _length(record)])
        )
    except (tf.errors.OpError, OSError, EOFError, zlib.error) as error:
        raise _broken(file, error) from error
    if taken != size:  # TensorFlow takes some cuts for the end
        found = f"it ends within a record, {taken} of {size} bytes are whole records"
        raise _broken(file, found)
    return int(rows)


def _length(record: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(record), tf.int64)


def _broken(file: Path, error: Any) -> ValueError:
    return ValueError(
        f'from_tfrecord ("{file}"): the file cannot be read: '
        f"{getattr(error, 'message', error)}. Write it again."
    )


def _blocks(
    file: Path, block_rows: int, *, spec: FeatureSpec, names: list[str]
) -> Iterator[Block]:
    """The named features of a file as raw columns."""
    start, features = 0, None
    batches = iter(_records(file).batch(min(block_rows, BLOCK)).prefetch(1))
    while True:
        try:
            batch = next(batches, None)
        except tf.errors.OpError as error:
            raise _broken(file, error) from error
        if batch is None:
            return
        place = f'"{file}"' + (f", from row {start} on" if start else "")
        owner = f"from_tfrecord ({place})"
        if features is None:
            kinds = _probe(owner, file, batch, spec, names)
            features = {n: tf.io.RaggedFeature(kinds[n], n) for n in names}
        try:
            parsed = tf.io.parse_example(batch, features)
        except tf.errors.OpError as error:
            kinds = {name: feature.dtype for name, feature in features.items()}
            raise _wrong_kind(owner, file, batch.numpy(), kinds, error) from error
        columns = {n: _column(owner, spec, n, parsed[n]) for n in names}
        yield Block(columns, owner)
        start += len(batch)


def _probe(
    owner: str, file: Path, batch: tf.Tensor, spec: FeatureSpec, names: list[str]
) -> dict[str, tf.DType]:
    """What each feature holds; it must be in one of the first rows."""
    present: dict[str, str | None] = {}
    for record in batch[:PROBED].numpy():
        for name, feature in _parsed(file, record).items():
            kind = feature.WhichOneof("kind")
            present[name] = present.get(name) or kind
    found = {}
    for name in names:
        if name not in present:
            rule = f"must be one of the features of the first {PROBED} rows"
            way_out = f'Write "{name}", if empty, or drop it from the spec.'
            way_out += _checks.closest(name, present)
            received = _checks.quoted(present) or "no features"
            raise _checks.column(owner, name, rule, received, way_out)
        kind, wanted = present[name], _wanted(spec, name)
        if kind and kind not in wanted:
            raise _kind_error(owner, name, wanted, kind, "the first rows")
        found[name] = KINDS[kind or wanted[0]]
    return found


def _wanted(spec: FeatureSpec, name: str) -> tuple[str, ...]:
    """The kinds of feature that a column may be written as."""
    source = spec.source(spec[name]) if name in spec else None
    if isinstance(source, Categorical):
        return ("bytes_list",) if source.dtype == "string" else ("int64_list",)
    return ("float_list", "int64_list")


def _parsed(file: Path, record: bytes) -> Any:
    try:
        return tf.train.Example.FromString(record).features.feature
    except Exception as error:  # protobuf's DecodeError, which tf does not name
        raise _broken(file, f"a record is not a tf.Example ({error})") from error


def _kind_error(
    owner: str, name: str, wanted: Iterable[str], found: str, where: str
) -> ValueError:
    rule = f"must be a {' or '.join(wanted)}"
    way_out = "Write it as that, or correct the column's dtype in the spec."
    return _checks.column(owner, name, rule, f"a {found} in {where}", way_out)


def _wrong_kind(
    owner: str, file: Path, records: Any, kinds: dict[str, tf.DType], error: Any
) -> Exception:
    """The error of the first feature that is not what the first rows had."""
    names = {dtype: kind for kind, dtype in KINDS.items()}
    for row, record in enumerate(records):
        features = _parsed(file, record)
        for name, dtype in kinds.items():
            kind = features[name].WhichOneof("kind") if name in features else None
            if kind and KINDS[kind] != dtype:
                return _kind_error(owner, name, [names[dtype]], kind, f"row {row}")
    return _broken(file, error)


def _column(
    owner: str, spec: FeatureSpec, name: str, ragged: tf.RaggedTensor
) -> pa.Array:
    """A parsed feature as one value or one list a row."""
    splits, flat = ragged.row_splits.numpy(), ragged.flat_values.numpy()
    kind = pa.binary() if flat.dtype == object else None
    values = pa.array(flat, kind)
    if name in spec and (spec.width(spec[name]) is not None or spec[name].is_list):
        offsets = pa.array(splits.astype(np.int64))
        return pa.LargeListArray.from_arrays(offsets, values)
    lengths = np.diff(splits)
    if (lengths > 1).any():
        row = int(np.argmax(lengths > 1))
        rule, found = "must hold one value a row", f"{lengths[row]} values in row {row}"
        raise _checks.column(owner, name, rule, found, "Describe it as a list column.")
    return values.take(pa.array(splits[:-1], mask=lengths == 0))


def write_tfrecord(rows: Any, spec: FeatureSpec, path: str | os.PathLike[str]) -> None:
    """Writes rows as tf.Example, so that `from_tfrecord` gives the same batches.

    A missing value is an empty feature; inside a list it is the column's padding.

    Args:
        rows: what `from_pandas` takes: columns of the spec, labels and weight.
        spec: FeatureSpec; it need not be adapted.
        path: file, .tfrecord or .tfrecords; compressed where .gz follows.

    Raises: `ValueError` that names a column that is missing or of the wrong type.

    >>> spec = FeatureSpec([Categorical("city", side="user")], labels=["click"])
    >>> file = os.path.join(__import__("tempfile").mkdtemp(), "a.tfrecord")
    >>> write_tfrecord({"city": ["Rome", None], "click": [1, 0]}, spec, file)
    >>> _count(Path(file))
    2
    """
    owner = "write_tfrecord"
    if not str(path).endswith(ENDINGS):
        rule = f"must end with one of {', '.join(ENDINGS)}"
        raise _checks.argument(owner, "path", rule, str(path))
    weight = [spec.weight] if spec.weight else []
    names = [*spec.raw_names(), *spec.labels, *weight]
    columns = {
        name: _features(owner, spec, name, array)
        for name, array in read_columns(rows, names, owner=owner).items()
    }
    compression = "GZIP" if str(path).endswith(".gz") else ""
    partial_path = f"{path}.partial"
    with tf.io.TFRecordWriter(partial_path, compression) as writer:
        for row in zip(*columns.values(), strict=True):
            feature = dict(zip(columns, row, strict=True))
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    os.replace(partial_path, path)


def _features(
    owner: str, spec: FeatureSpec, name: str, array: pa.Array
) -> list[tf.train.Feature]:
    """A feature a row."""
    column = spec.get(name)
    kind = _wanted(spec, name)[0]
    maker = {
        "bytes_list": lambda v: tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[_bytes(x) for x in v])
        ),
        "int64_list": lambda v: tf.train.Feature(
            int64_list=tf.train.Int64List(value=[_integer(x) for x in v])
        ),
        "float_list": lambda v: tf.train.Feature(
            float_list=tf.train.FloatList(value=[float(x) for x in v])
        ),
    }[kind]
    padding = spec.padding_of(column) if column is not None else math.nan
    separator = getattr(column, "separator", None)
    features = []
    for row, raw in enumerate(array.to_pylist()):
        value = raw
        if isinstance(value, (str, bytes)) and separator:
            text = value.decode() if isinstance(value, bytes) else value
            value = [part or None for part in text.split(separator)] if text else []
        elif not isinstance(value, list):
            value = [] if _is_missing(value) else [value]
        try:
            filled = [padding if _is_missing(x) else x for x in value]
            features.append(maker(filled))
        except (TypeError, ValueError, UnicodeError) as error:
            rule, found = f"must fit a {kind}", f"{_checks.show(raw)} in row {row}"
            raise _checks.column(owner, name, rule, found) from error
    return features


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, (str, bytes)):
        raise TypeError("neither text nor bytes")
    return value if isinstance(value, bytes) else value.encode()


def _integer(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("not an integer")
    return int(value)
