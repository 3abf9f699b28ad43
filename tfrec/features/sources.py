"""Where rows come from: in memory, Parquet or CSV, as blocks of equal columns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tfrec import _checks
from tfrec.features.columns import Categorical, Column
from tfrec.features.rows import read_columns

if TYPE_CHECKING:
    from tfrec.features.spec import FeatureSpec

BLOCK_ROWS = 65_536
Path_ = str | os.PathLike[str]


def blocks(
    rows: Any,
    spec: FeatureSpec,
    names: list[str],
    *,
    block_rows: int = BLOCK_ROWS,
    owner: str = "FeatureSpec",
) -> Iterator[dict[str, pa.Array]]:
    """The named columns of `rows`, block by block, in order.

    Args:
        rows: what `read_columns` takes, or the path of a Parquet or CSV file (by
            its ending: .parquet, .csv, .csv.gz), of a folder of such files, a
            glob, or a list of these.
        spec: tells CSV files what type a column has.
        names: the columns wanted.
        block_rows: int. Rows of a block, at most.
        owner: whom an error names.

    Raises: `ValueError`, `FileNotFoundError` that name the file or the column.
    """
    if is_path(rows) or (
        isinstance(rows, (list, tuple)) and rows and all(is_path(r) for r in rows)
    ):
        for file in files(rows, owner=owner):
            yield from _file_blocks(file, spec, names, block_rows, owner)
        return
    columns = read_columns(rows, names, owner=owner)
    length = len(next(iter(columns.values()))) if columns else 0
    for start in range(0, length, block_rows):
        yield {name: a.slice(start, block_rows) for name, a in columns.items()}


def is_path(value: Any) -> bool:
    """True for a string or path object."""
    return isinstance(value, (str, os.PathLike))


def files(paths: Any, *, owner: str = "FeatureSpec") -> list[Path]:
    """The files behind a path, folder, glob or a list of them, sorted within each.

    Raises: `FileNotFoundError` when nothing is there; `ValueError` on a file whose
    ending is not known.
    """
    found: list[Path] = []
    for path in [paths] if is_path(paths) else paths:
        here = Path(path)
        if here.is_dir():
            entries = sorted(
                file
                for file in here.rglob("*")
                if _format(file) and not file.name.startswith((".", "_"))
            )
        elif here.exists():
            entries = [here]
        else:
            entries = sorted(Path(file) for file in glob.glob(str(path)))
        if not entries:
            raise FileNotFoundError(
                f"{owner}: no Parquet or CSV file at {str(path)!r}. Pass a file, a "
                "folder that holds some, or a glob that matches some."
            )
        found.extend(entries)
    for file in found:
        if not _format(file):
            raise ValueError(
                f"{owner}: the ending of {str(file)!r} is not known. Use .parquet, "
                ".csv or .csv.gz."
            )
    return found


def _format(file: Path) -> str:
    name = file.name.lower()
    if name.endswith((".parquet", ".pq")):
        return "parquet"
    return "csv" if name.endswith((".csv", ".csv.gz")) else ""


def _file_blocks(
    file: Path, spec: FeatureSpec, names: list[str], block_rows: int, owner: str
) -> Iterator[dict[str, pa.Array]]:
    read = _parquet if _format(file) == "parquet" else _csv
    try:
        for batch in read(file, spec, names, block_rows, owner):
            if batch.num_rows:
                yield read_columns(batch, names, owner=owner)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(
            f"{owner}: {str(file)!r} cannot be read: {error}. Repair the file, or "
            "correct the column's dtype in the spec."
        ) from error


def _missing(
    owner: str, file: Path, names: list[str], present: list[str]
) -> Exception | None:
    for name in names:
        if name not in present:
            found = f"{_checks.quoted(present)} in {str(file)!r}"
            way_out = f'Add "{name}" to the file or drop it from the spec.'
            rule = "must be one of the file's columns"
            return _checks.column(owner, name, rule, found, way_out)
    return None


def _parquet(
    file: Path, spec: FeatureSpec, names: list[str], block_rows: int, owner: str
) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as reader:
        missing = _missing(owner, file, names, reader.schema_arrow.names)
        if missing:
            raise missing
        yield from reader.iter_batches(block_rows, columns=names)


def _csv(
    file: Path, spec: FeatureSpec, names: list[str], block_rows: int, owner: str
) -> Iterator[pa.RecordBatch]:
    import pyarrow.csv as pc

    types = {column.name: _csv_type(spec, column) for column in spec}
    for name in (*spec.labels, *([spec.weight] if spec.weight else ())):
        types[name] = pa.float64()
    options = pc.ConvertOptions(
        column_types={name: types[name] for name in names if types.get(name)},
        include_columns=names,
    )
    try:
        reader = pc.open_csv(file, convert_options=options)
    except KeyError as error:
        with pc.open_csv(file) as header:
            missing = _missing(owner, file, names, header.schema.names)
        raise missing or error from error
    with reader:
        for batch in reader:
            for start in range(0, batch.num_rows, block_rows):
                yield batch.slice(start, block_rows)


def _csv_type(spec: FeatureSpec, column: Column) -> pa.DataType | None:
    """The type of a CSV column; lists stand there as separated strings."""
    if column.is_list:
        return pa.string()
    if isinstance(column, Categorical):
        return pa.string() if column.dtype == "string" else pa.int64()
    return pa.float64()
