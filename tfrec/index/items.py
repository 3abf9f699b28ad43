"""Ids and row hashes of a version: `items.parquet`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec import _checks
from tfrec.features import FeatureSpec

DIGEST = 16


def row_hashes(spec: FeatureSpec, arrays: Mapping[str, np.ndarray]) -> pa.Array:
    """A hash of each row's raw values; how a batch was padded does not count.

    >>> from tfrec.features import Categorical
    >>> spec = FeatureSpec([Categorical("a", side="item")])
    >>> one = row_hashes(spec, {"a": np.array([b"x", b"y", b"x"], object)})
    >>> one[0] == one[2], one[0] == one[1]
    (True, False)
    """
    rows = len(next(iter(arrays.values())))
    digests = [hashlib.blake2b(digest_size=DIGEST) for _ in range(rows)]
    for name in sorted(arrays):
        padding = spec.padding_of(spec[name])
        filler: Any = padding.encode() if isinstance(padding, str) else padding
        for digest, cells in zip(digests, arrays[name], strict=True):
            values = np.atleast_1d(cells)
            if spec[name].is_list:
                real = ~np.isnan(values) if filler != filler else values != filler
                values = values[: int(np.flatnonzero(real).max(initial=-1)) + 1]
            if values.dtype == object:
                text = b"".join(b"%d:%s" % (len(v), v) for v in values.tolist())
            else:
                text = values.tobytes()
            digest.update(b"%s %d " % (name.encode(), len(values)) + text)
    return pa.array([d.digest() for d in digests], pa.binary(DIGEST))


def id_array(ids: np.ndarray) -> pa.Array:
    """Wire ids as Arrow holds them: int64, or UTF-8 strings."""
    if ids.dtype != object:
        return pa.array(ids)
    return pa.array(ids.tolist(), pa.binary()).cast(pa.string())


def schema(is_text: bool) -> pa.Schema:
    """Of `items.parquet`."""
    kind = pa.string() if is_text else pa.int64()
    return pa.schema({"item_id": kind, "hash": pa.binary(DIGEST)})


def read(version: Path) -> pa.Table:
    """`items.parquet` of a version; row n belongs to vector n."""
    return pq.read_table(version / "items.parquet").combine_chunks()


def unchanged(old: pa.Table, ids: pa.Array, hashes: pa.Array) -> np.ndarray:
    """The old row of each item that is there with equal columns, else -1.

    Shapes: `(items,)` int64.
    """
    at = pc.index_in(ids, _whole(old["item_id"]))
    before = pc.take(_whole(old["hash"]), at)
    same = pc.fill_null(pc.equal(before, hashes), False)
    same = same.to_numpy(zero_copy_only=False)
    places = pc.fill_null(at, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.where(same, places, -1)


def check_distinct(table: pa.Table) -> None:
    """Raises `ValueError` on an id that stands twice or is missing."""
    counts = pc.value_counts(_whole(table["item_id"])).flatten()
    most = pc.max(counts[1]).as_py() if len(table) else 0
    if most is not None and most > 1:
        again = pc.filter(counts[0], pc.greater(counts[1], 1))[0].as_py()
        rule = "must name each item of the catalogue once"
        raise _checks.column("index", "item_id", rule, repr(again), "Drop one row.")


def _whole(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else found.chunk(0)
