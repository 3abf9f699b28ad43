"""Files of rows -> packed blocks, streamed or through a cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from tfrec import _checks
from tfrec.data.cache import Cache, fingerprint
from tfrec.data.layout import Packed
from tfrec.data.pipeline import Pipeline, Random, pooled
from tfrec.features.sources import BLOCK_ROWS, Block, is_path

CHECKED_ROWS = 4096  # of each file, before the first batch


class Files(NamedTuple):
    """Files of one format and how they are read.

    Args:
        paths: the files, in order.
        read: (file, rows of a block) -> its blocks.
        count: file -> its number of rows.
    """

    paths: list[Path]
    read: Callable[[Path, int], Iterator[Block]]
    count: Callable[[Path], int]


class Piece(NamedTuple):
    """The rows `start` to `stop` (not included) of a file."""

    file: Path
    start: int
    stop: int


def stream(
    pipeline: Pipeline,
    files: Files,
    *,
    buffer_rows: int,
    cache: str | os.PathLike[str] | None,
) -> tf.data.Dataset:
    """The data set of some files; the arguments are those of `from_parquet`."""
    _checks.positive_int(pipeline.owner, buffer_rows=buffer_rows)
    source = _cached if cache is not None else _read
    read, rows = source(pipeline, files, cache, buffer_rows)
    pool = {"batch_size": pipeline.batch_size}

    def epoch(random: Random) -> Iterator[Packed]:
        pool_rows = buffer_rows if random is not None else pipeline.batch_size
        yield from pooled(read(random), pool_rows=pool_rows, random=random, **pool)

    return pipeline.dataset(rows, epoch)


def _read(
    pipeline: Pipeline, files: Files, cache: None, buffer_rows: int
) -> tuple[Callable[[Random], Iterator[Packed]], int]:
    counts = _check(pipeline, files)
    start, stop = pipeline.share(sum(counts))
    pieces = cut(files.paths, counts, start, stop)

    def read(random: Random) -> Iterator[Packed]:
        order = list(pieces)
        if random is not None:
            random.shuffle(order)
        for piece in order:
            yield from _blocks(pipeline, files, piece)

    return read, stop - start


def _cached(
    pipeline: Pipeline, files: Files, cache: str, buffer_rows: int
) -> tuple[Callable[[Random], Iterator[Packed]], int]:
    if not is_path(cache):
        rule = "must be a path"
        raise _checks.argument(pipeline.owner, "cache", rule, cache, kind=TypeError)
    _checks.string(pipeline.owner, cache=os.fspath(cache))
    stored = Cache(cache, *fingerprint(pipeline.layout, files.paths))
    if not stored.ready:
        counts = _check(pipeline, files)
        pieces = cut(files.paths, counts, 0, sum(counts))
        blocks = (b for piece in pieces for b in _blocks(pipeline, files, piece))
        stored.write(blocks, rows=sum(counts))
    start, stop = pipeline.share(stored.rows)

    def read(random: Random) -> Iterator[Packed]:
        return stored.read(start, stop, random, buffer_rows)

    return read, stop - start


def _check(pipeline: Pipeline, files: Files) -> list[int]:
    """Rows of each file; finds a bad file or column before training."""
    for path in files.paths:
        with closing(files.read(path, CHECKED_ROWS)) as blocks:
            for block in blocks:
                pipeline.encode(block, block.owner)
                break
    counts = [files.count(path) for path in files.paths]
    if not sum(counts):
        found = [str(path) for path in files.paths]
        raise _checks.argument(pipeline.owner, "path", "must hold rows", found)
    return counts


def cut(paths: list[Path], counts: list[int], start: int, stop: int) -> list[Piece]:
    """The pieces of files that hold the rows `start` to `stop` of all of them.

    >>> [(a, b) for _, a, b in cut(["x", "y", "z"], [5, 5, 5], 3, 10)]
    [(3, 5), (0, 5)]
    """
    pieces, before = [], 0
    for path, rows in zip(paths, counts, strict=True):
        first, last = max(start - before, 0), min(stop - before, rows)
        if first < last:
            pieces.append(Piece(path, first, last))
        before += rows
    return pieces


def _blocks(pipeline: Pipeline, files: Files, piece: Piece) -> Iterator[Packed]:
    """The packed rows of a piece."""
    here = 0
    with closing(files.read(piece.file, BLOCK_ROWS)) as blocks:
        for block in blocks:
            rows = len(next(iter(block.values())))
            first, last = max(piece.start - here, 0), min(piece.stop - here, rows)
            if first < last:
                ids, floats = pipeline.encode(block, block.owner)
                yield ids[first:last], floats[first:last]
            here += rows
            if here >= piece.stop:
                return
    raise ValueError(
        f'{pipeline.owner}: "{piece.file}" must not change while it is read. Received: '
        f"{here} rows, {piece.stop} at the start. Make the data set again."
    )
