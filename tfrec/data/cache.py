"""Ids kept on disk: written once, read as memory-mapped arrays afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from tfrec import _checks
from tfrec.data.layout import Layout, Packed
from tfrec.features.sources import BLOCK_ROWS

FORMAT = 1  # of the files, and of the ids in them
ROW_BLOCK = 256  # consecutive rows that stay together until a pool is permuted
NAMES = ("ids.npy", "floats.npy")
NOT_IN_IDS = ("embedding_dim", "trainable", "combiner", "side", "serve")


def fingerprint(layout: Layout, paths: list[Path]) -> tuple[str, str]:
    """(what is cached, in which state): two hexadecimal names.

    The first tells apart files, columns, treatment of labels, and what of the spec
    and its vocabularies ids depend on; the second the files' sizes and times.
    """
    spec = layout.spec.to_dict()
    for column in spec["columns"]:
        for name in NOT_IN_IDS:
            column.pop(name, None)
    for vocabulary in spec["vocabularies"]:
        del vocabulary["file"]  # where it stands does not count
    files = [str(path.resolve()) for path in paths]
    what = [files, layout.names, layout.with_targets, layout.missing_labels, spec]
    stats = [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return _digest(what), _digest([FORMAT, stats])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


class Cache:
    """Packed rows in a folder of two NumPy files.

    Args:
        path: folder that holds caches.
        what, state: names from `fingerprint`. Caches of the same `what` in another
            state are stale: they are removed once this one is written.
    """

    def __init__(self, path: str | os.PathLike[str], what: str, state: str) -> None:
        self.root, self.what = Path(path), what
        self.folder = self.root / f"{what}-{state}"

    @property
    def ready(self) -> bool:
        """True when it was written completely; files get their names last."""
        return self.folder.is_dir()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(np.load(self.folder / NAMES[0], mmap_mode="r"))

    def write(self, blocks: Iterator[Packed], *, rows: int) -> None:
        """Writes all blocks, then gives the folder its name and drops stale ones."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            rule = "must be a folder, or be there not yet"
            raise _checks.argument("Cache", "cache", rule, str(self.root)) from error
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.root))
        try:
            with (
                open(partial / NAMES[0], "wb") as ids,
                open(partial / NAMES[1], "wb") as floats,
            ):
                for number, block in enumerate(blocks):
                    for stream, matrix in zip((ids, floats), block, strict=True):
                        if not number:
                            _write_header(stream, matrix, rows)
                        stream.write(np.ascontiguousarray(matrix).data)
            try:
                os.rename(partial, self.folder)
            except OSError:  # another process has written the same meanwhile
                if not self.ready:
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        for stale in self.root.glob(f"{self.what}-*"):
            if stale != self.folder:
                shutil.rmtree(stale, ignore_errors=True)

    def read(
        self,
        start: int,
        stop: int,
        random: np.random.Generator | None,
        pool_rows: int,
    ) -> Iterator[Packed]:
        """The rows `start` to `stop`, in order, or in a random order of row blocks.

        Without a generator of random numbers `pool_rows` has no meaning. The files
        are read and not mapped: mapped pages would count as memory of the process.
        """
        size = BLOCK_ROWS if random is None else ROW_BLOCK
        firsts = np.arange(start, stop, size)
        if random is not None:
            firsts = random.permutation(firsts)
        of_pool = 1 if random is None else max(pool_rows // ROW_BLOCK, 1)
        for place in range(0, len(firsts), of_pool):
            blocks = [
                (int(first), min(int(first) + size, stop))
                for first in np.sort(firsts[place : place + of_pool])
            ]
            ids, floats = (self._rows(name, blocks) for name in NAMES)
            yield ids, floats

    def _rows(self, name: str, blocks: list[tuple[int, int]]) -> np.ndarray:
        """Some consecutive rows after the other, of one file."""
        try:
            mapped = np.load(self.folder / name, mmap_mode="r")
        except FileNotFoundError as error:
            text = f"{str(self.folder)!r} is not there any more: the files that it was "
            text += "made of have changed since. Make the data set again."
            raise FileNotFoundError(text) from error
        width, header = mapped.shape[1], mapped.offset
        rows = sum(stop - start for start, stop in blocks)
        matrix = np.empty((rows, width), mapped.dtype)
        done = 0
        with open(self.folder / name, "rb", buffering=0) as stream:
            for start, stop in blocks:
                stream.seek(header + start * width * matrix.itemsize)
                part = matrix[done : done + stop - start]
                if part.size and stream.readinto(part.data.cast("B")) != part.nbytes:
                    raise OSError(f"{str(stream.name)!r} is shorter than it was.")
                done += stop - start
        return matrix


def _write_header(stream: IO[bytes], matrix: np.ndarray, rows: int) -> None:
    np.lib.format.write_array_header_1_0(
        stream,
        {
            "descr": np.lib.format.dtype_to_descr(matrix.dtype),
            "fortran_order": False,
            "shape": (rows, matrix.shape[1]),
        },
    )
