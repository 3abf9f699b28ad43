"""Encoded blocks -> shuffled batches in tf.data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfrec import _checks
from tfrec.data.encode import encode_block
from tfrec.encoder import IdEncoder
from tfrec.features import FeatureSpec
from tfrec.features.columns import Numeric
from tfrec.features.rows import read_columns
from tfrec.features.sources import BLOCK_ROWS, blocks, count_rows, files

Packed = tuple[np.ndarray, np.ndarray]


class _Layout:
    """Where each column stands in the two packed matrices: ids and floats.

    Packed rows are gathered at once; a batch is split into columns afterwards.
    """

    def __init__(self, spec: FeatureSpec, names: list[str] | None) -> None:
        self.spec = spec
        self.names = [name for name in spec.names if names is None or name in names]
        self.ids: list[tuple[str, int, bool]] = []
        self.floats: list[tuple[str, int, bool]] = []
        for name in self.names:
            column = spec[name]
            if isinstance(column, Numeric):
                width = column.shape[0] if column.shape else 1
                self.floats.append((column.name, width, bool(column.shape)))
            else:
                width = column.max_length if column.is_list else 1
                self.ids.append((column.name, width, column.is_list))
        self.with_targets = names is None
        self.targets = list(spec.labels) if self.with_targets else []
        if self.with_targets and spec.weight:
            self.targets.append(spec.weight)
        self.floats += [(f"target:{name}", 1, False) for name in self.targets]

    def pack(self, columns: dict[str, np.ndarray]) -> Packed:
        """The two matrices of a block."""
        rows = len(next(iter(columns.values())))
        packed = []
        for places, dtype in ((self.ids, np.int32), (self.floats, np.float32)):
            matrix = np.empty((rows, sum(width for _, width, _ in places)), dtype)
            start = 0
            for name, width, _ in places:
                matrix[:, start : start + width] = columns[name].reshape(rows, width)
                start += width
            packed.append(matrix)
        return packed[0], packed[1]

    def unpack(self, ids: tf.Tensor, floats: tf.Tensor) -> Any:
        """`(columns, labels[, weight])` of a packed batch, or the columns alone."""
        found = {}
        for matrix, places in ((ids, self.ids), (floats, self.floats)):
            if not places:
                continue
            widths = [width for _, width, _ in places]
            parts = tf.split(matrix, widths, axis=1)
            for part, (name, _, is_list) in zip(parts, places, strict=True):
                found[name] = part if is_list else tf.squeeze(part, 1)
        if not self.with_targets:
            return found
        targets = [found.pop(f"target:{name}") for name in self.targets]
        labels = dict(zip(self.spec.labels, targets, strict=False))
        if len(labels) == 1:
            y = next(iter(labels.values()))
        else:
            # Retrieval logs have no label: each row is a positive of reward 1.
            y = labels or tf.ones(tf.shape(floats)[:1])
        return (found, y, targets[-1]) if self.spec.weight else (found, y)


def _encode(
    encoder: IdEncoder, layout: _Layout, block: dict[str, pa.Array], owner: str
) -> Packed:
    columns = encode_block(encoder, block, owner=owner)
    for name in layout.targets:
        columns[f"target:{name}"] = _target(owner, name, block[name])
    return layout.pack(columns)


def _target(owner: str, name: str, array: pa.Array) -> np.ndarray:
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    way_out = "Convert the column, or drop the rows that have none."
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        rule = "is a label or weight and must hold numbers"
        raise _checks.column(owner, name, rule, str(array.type), way_out)
    wide = pc.fill_null(array.cast(pa.float64(), safe=False), np.nan)
    wide = wide.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        values = wide.astype(np.float32)
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        rule = "is a label or weight and must hold finite float32 numbers"
        raise _checks.column(owner, name, rule, f"{wide[row]} in row {row}", way_out)
    return values


def from_pandas(
    frame: Any,
    spec: FeatureSpec,
    *,
    columns: Iterable[str] | None = None,
    batch_size: int = 1024,
    shuffle: bool = False,
    seed: int = 0,
    drop_remainder: bool = False,
) -> tf.data.Dataset:
    """Rows in memory -> batches of ids, ready for `fit`.

    All rows are checked and encoded at once, before the first batch; an epoch
    then only gathers them.

    Args:
        frame: a DataFrame, a dict of columns, a list of dicts or a pyarrow table.
            Columns that the spec does not name are ignored.
        spec: FeatureSpec with its vocabularies.
        columns: names of the columns to encode, or None: all of the spec. With
            names nothing else is read, and an element is the dict of columns
            alone: for `predict`, for example of one tower.
        batch_size: int >= 1. Rows of a batch.
        shuffle: permute all rows, anew in each epoch.
        seed: int >= 0. Of the permutation.
        drop_remainder: leave out the last batch where it is not full.

    Returns: `tf.data.Dataset` of `(columns, labels)`, or with the sample weight as
    third: columns a dict of int32 ids `(batch,)`, lists `(batch, max_length)`,
    float32 numbers; labels `(batch,)` float32, a dict where there are several,
    ones where there are none.
    Raises: `ValueError` that names the column.
    """
    owner = "from_pandas"
    layout, encoder = _prepare(owner, spec, columns, batch_size, seed)
    names = [*layout.names, *layout.targets]
    whole = read_columns(frame, names, owner=owner)
    rows = len(next(iter(whole.values())))
    if not rows:
        raise _checks.argument(
            owner, "frame", "must hold rows", rows, "Check how it was filtered."
        )
    packed = _encode(encoder, layout, whole, owner)

    def epoch(random: np.random.Generator | None) -> Iterator[Packed]:
        order = random.permutation(rows) if random is not None else None
        for start in range(0, rows, batch_size):
            part: Any = slice(start, start + batch_size)
            if order is not None:
                part = order[part]
            yield packed[0][part], packed[1][part]

    arguments = (batch_size, shuffle, seed, drop_remainder)
    return _dataset(owner, layout, epoch, rows, *arguments)


def from_parquet(
    path: Any,
    spec: FeatureSpec,
    *,
    columns: Iterable[str] | None = None,
    batch_size: int = 1024,
    shuffle: bool = False,
    seed: int = 0,
    drop_remainder: bool = False,
    buffer_rows: int = 4 * BLOCK_ROWS,
) -> tf.data.Dataset:
    """Parquet -> batches of ids, streamed; memory does not grow with the files.

    Args:
        path: a file, a folder, a glob, or a list of them.
        shuffle: permute the order of files, and the rows within a buffer.
        buffer_rows: int >= 1. Rows of that buffer: two rows that stand further
            apart in one file than this never meet in a batch.
        The other arguments, what is returned and raised: as in `from_pandas`, but
            that only the first rows of each file are checked before the first
            batch; a bad row further on ends the epoch with the error.
    """
    paths = files(path, owner="from_parquet")
    arguments = (columns, batch_size, shuffle, seed, drop_remainder, buffer_rows)
    return _stream("from_parquet", paths, spec, *arguments)


def from_csv(
    path: Any,
    spec: FeatureSpec,
    *,
    columns: Iterable[str] | None = None,
    batch_size: int = 1024,
    shuffle: bool = False,
    seed: int = 0,
    drop_remainder: bool = False,
    buffer_rows: int = 4 * BLOCK_ROWS,
) -> tf.data.Dataset:
    """CSV -> batches of ids, streamed. Lists stand as strings with a `separator`.

    The files are read once at the start, to count the rows and to find broken ones.

    The arguments, what is returned and raised: as in `from_parquet`.
    """
    paths = files(path, owner="from_csv")
    arguments = (columns, batch_size, shuffle, seed, drop_remainder, buffer_rows)
    return _stream("from_csv", paths, spec, *arguments)


def _stream(
    owner: str,
    paths: list[Any],
    spec: FeatureSpec,
    columns: Iterable[str] | None,
    batch_size: int,
    shuffle: bool,
    seed: int,
    drop_remainder: bool,
    buffer_rows: int,
) -> tf.data.Dataset:
    layout, encoder = _prepare(owner, spec, columns, batch_size, seed)
    _checks.positive_int(owner, buffer_rows=buffer_rows)
    names = [*layout.names, *layout.targets]

    def read(order: list[Any]) -> Iterator[Packed]:
        for block in blocks(order, spec, names, owner=owner):
            yield _encode(encoder, layout, block, block.owner)

    # Finds a bad file or column before training.
    if not sum(1 for path in paths if next(read([path]), None) is not None):
        raise _checks.argument(owner, "path", "must hold rows", [str(p) for p in paths])
    rows = sum(count_rows(path, spec, names, owner=owner) for path in paths)

    def epoch(random: np.random.Generator | None) -> Iterator[Packed]:
        order = list(paths)
        if random is not None:
            random.shuffle(order)
        pool: list[Packed] = []
        size = 0
        for block in read(order):
            pool.append(block)
            size += len(block[0])
            if size >= (buffer_rows if random is not None else batch_size):
                whole = _merge(pool, random)
                full = size - size % batch_size
                yield from _slices(whole, full, batch_size)
                pool = [(whole[0][full:], whole[1][full:])]
                size -= full
        if size:
            yield from _slices(_merge(pool, random), size, batch_size)

    arguments = (batch_size, shuffle, seed, drop_remainder)
    return _dataset(owner, layout, epoch, rows, *arguments)


def _merge(pool: list[Packed], random: np.random.Generator | None) -> Packed:
    whole = tuple(np.concatenate(parts) for parts in zip(*pool, strict=True))
    if random is not None:
        order = random.permutation(len(whole[0]))
        whole = tuple(matrix[order] for matrix in whole)
    return whole[0], whole[1]


def _slices(whole: Packed, rows: int, batch_size: int) -> Iterator[Packed]:
    for start in range(0, rows, batch_size):
        stop = min(start + batch_size, rows)
        yield whole[0][start:stop], whole[1][start:stop]


def _prepare(
    owner: str,
    spec: Any,
    columns: Iterable[str] | None,
    batch_size: int,
    seed: int,
) -> tuple[_Layout, IdEncoder]:
    if not isinstance(spec, FeatureSpec):
        raise _checks.argument(
            owner, "spec", "must be a FeatureSpec", spec, kind=TypeError
        )
    _checks.positive_int(owner, batch_size=batch_size)
    _checks.integer(owner, 0, seed=seed)
    names = None if columns is None else list(columns)
    if names == []:
        raise _checks.argument(owner, "columns", "must not be empty", names)
    return _Layout(spec, names), IdEncoder(spec, names)


def _dataset(
    owner: str,
    layout: _Layout,
    epoch: Callable[[np.random.Generator | None], Iterator[Packed]],
    rows: int,
    batch_size: int,
    shuffle: bool,
    seed: int,
    drop_remainder: bool,
) -> tf.data.Dataset:
    _checks.boolean(owner, shuffle=shuffle, drop_remainder=drop_remainder)
    if drop_remainder and rows < batch_size:
        rule = f"must be at most {rows}, the number of rows, with `drop_remainder`"
        raise _checks.argument(owner, "batch_size", rule, batch_size)
    passes = 0

    def batches() -> Iterator[Packed]:
        nonlocal passes
        random = np.random.default_rng([seed, passes]) if shuffle else None
        passes += 1
        for batch in epoch(random):
            if not drop_remainder or len(batch[0]) == batch_size:
                yield batch

    rows_of_batch = batch_size if drop_remainder else None
    signature = tuple(
        tf.TensorSpec([rows_of_batch, sum(width for _, width, _ in places)], dtype)
        for places, dtype in ((layout.ids, tf.int32), (layout.floats, tf.float32))
    )
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    count = rows // batch_size if drop_remainder else -(-rows // batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
    dataset = dataset.map(layout.unpack, num_parallel_calls=2, deterministic=True)
    return dataset.prefetch(2)
