"""`from_pandas`, `from_parquet`, `from_csv`: rows -> batches of ids."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import tensorflow as tf

from tfrec import _checks
from tfrec.data.layout import Packed
from tfrec.data.pipeline import Pipeline, Random
from tfrec.data.stream import Files, stream
from tfrec.features import FeatureSpec
from tfrec.features.carriers import read_columns
from tfrec.features.sources import BLOCK_ROWS, Block, blocks, count_rows, files

BUFFER_ROWS = 2 * BLOCK_ROWS


def from_pandas(
    frame: Any,
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
        seed: int >= 0. Of the permutations: the n-th pass over the object that is
            returned has the order of (seed, n). A new object starts at n = 0, so
            the same program gives the same orders, whatever the global seed.
        drop_remainder: leave out the last batch of a pass where it is not full.
        repeat: int >= 1, or None: without end (`fit` then needs
            `steps_per_epoch`). Passes follow one another; no batch mixes two.
        shard: (index, count) or None. Only that one of `count` consecutive parts
            of the rows, equal but for one row: for several workers. Data sets of
            all indices together hold each row once; pass `drop_remainder=True`
            where the workers must take the same number of steps.
        missing_labels: False: a missing label (null, NaN) is an error. True: there
            the label is 0 and its sample weight 0, so the row counts for the other
            labels only; each element carries sample weights, the spec's weight or
            1 where the label is there.

    Returns: `tf.data.Dataset` of `(columns, labels)`, or with the sample weight as
    third: columns a dict of int32 ids `(batch,)`, lists `(batch, max_length)`,
    float32 numbers; labels `(batch,)` float32, a dict where there are several,
    ones where there are none; weights `(batch,)` float32, with `missing_labels` a
    dict where there are several labels.
    Raises: `ValueError` that names the column.
    """
    owner = "from_pandas"
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
    whole = read_columns(frame, pipeline.layout.columns, owner=owner)
    rows = len(next(iter(whole.values())))
    if not rows:
        raise _checks.argument(
            owner, "frame", "must hold rows", rows, "Check how it was filtered."
        )
    start, stop = pipeline.share(rows)
    ids, floats = (part[start:stop] for part in pipeline.encode(whole, owner))

    def epoch(random: Random) -> Iterator[Packed]:
        order = random.permutation(len(ids)) if random is not None else None
        for first in range(0, len(ids), batch_size):
            part: Any = slice(first, first + batch_size)
            if order is not None:
                part = order[part]
            yield ids[part], floats[part]

    return pipeline.dataset(len(ids), epoch)


def from_parquet(
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
    """Parquet -> batches of ids, streamed; memory does not grow with the files.

    Args:
        path: a file, a folder, a glob, or a list of them.
        shuffle: permute the order of files, and the rows within a buffer. Every
            row comes once a pass. With a `cache`: permute blocks of 256 rows of
            all files, and the rows within a buffer, so that any two rows of the
            files may meet in a batch.
        buffer_rows: int >= 1. Rows of that buffer: without a cache, two rows that
            stand further apart in one file than this never meet in a batch.
        cache: folder, made when it is not there, or None. Ids are written there
            once, by the first call, and read from memory-mapped files afterwards.
            When a file (its size or time), the spec, a vocabulary or the columns
            have changed, they are written anew. Every row is checked before the
            first batch then. Several caches may share a folder.
        The other arguments, what is returned and raised: as in `from_pandas`, but
            that without a cache only the first rows of each file are checked
            before the first batch; a bad row further on ends the epoch with the
            error. Of a shard's files, others' rows are read but not encoded.
    """
    owner = "from_parquet"
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
    found = _files(path, pipeline)
    return stream(pipeline, found, buffer_rows=buffer_rows, cache=cache)


def from_csv(
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
    """CSV -> batches of ids, streamed. Lists stand as strings with a `separator`.

    The files are read once at the start, to count the rows and to find broken ones.

    The arguments, what is returned and raised: as in `from_parquet`.
    """
    owner = "from_csv"
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
    found = _files(path, pipeline)
    return stream(pipeline, found, buffer_rows=buffer_rows, cache=cache)


def _files(path: Any, pipeline: Pipeline) -> Files:
    spec, names, owner = pipeline.spec, pipeline.layout.columns, pipeline.owner

    def read(file: Any, block_rows: int) -> Iterator[Block]:
        return blocks(file, spec, names, block_rows=block_rows, owner=owner)

    count = partial(count_rows, spec=spec, names=names, owner=owner)
    return Files(files(path, owner=owner), read, count)
