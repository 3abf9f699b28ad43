"""Where rows come from: in memory, Parquet or CSV, as blocks of equal columns."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tfrec import _checks
from tfrec.features.carriers import read_columns
from tfrec.features.columns import Categorical, Column, Numeric

if TYPE_CHECKING:
    from tfrec.features.spec import FeatureSpec

BLOCK_ROWS = 65_536
ENDINGS = (".parquet", ".pq", ".csv", ".csv.gz")
CSV_BLOCK_BYTES = 3 << 20  # small blocks spend their time on calls, not on rows
HIDDEN = (".", "_")  # what Spark and others leave beside the data
READ_ERRORS = (pa.ArrowException, OSError, UnicodeDecodeError)
Path_ = str | os.PathLike[str]


class Block(dict[str, pa.Array]):
    """The columns of consecutive rows, and the name that their errors start with."""

    def __init__(self, columns: dict[str, pa.Array], owner: str) -> None:
        super().__init__(columns)
        self.owner = owner


def blocks(
    rows: Any,
    spec: FeatureSpec,
    names: list[str],
    *,
    block_rows: int = BLOCK_ROWS,
    owner: str = "FeatureSpec",
) -> Iterator[Block]:
    """The named columns of `rows`, block by block, in order.

    Args:
        rows: what `read_columns` takes, or the path of a Parquet or CSV file (by
            its ending: .parquet, .csv, .csv.gz), of a folder of such files, a
            glob, or a list of these.
        spec: tells CSV files what type a column has.
        names: the columns wanted.
        block_rows: int. Rows of a block, at most.
        owner: whom an error names; a block's owner adds where its rows stand, so
            that "row 3" of an error can be found.

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
        part = {name: array.slice(start, block_rows) for name, array in columns.items()}
        yield Block(part, _owner(owner, start))


def is_path(value: Any) -> bool:
    """True for a string or path object."""
    return isinstance(value, (str, os.PathLike))


def files(
    paths: Any,
    *,
    owner: str = "FeatureSpec",
    kind: str = "Parquet or CSV",
    endings: tuple[str, ...] = ENDINGS,
) -> list[Path]:
    """The files behind a path, folder, glob or a list of them, sorted within each.

    In folders and globs (`**` crosses folders) names that begin with "." or "_"
    are left out.

    Raises: `FileNotFoundError` when nothing is there; `ValueError` on a file whose
    ending is not known.
    """
    found: list[Path] = []
    for path in paths if isinstance(paths, (list, tuple)) else [paths]:
        if not is_path(path):
            rule = "must be a path or a list of paths"
            raise _checks.argument(owner, "path", rule, path, kind=TypeError)
        here = str(path)
        places = [here] if here and os.path.exists(here) else _matches(here)
        inside = (f for place in places for f in _inside(Path(place), endings))
        entries = list(dict.fromkeys(inside))  # ** matches a folder and its files
        if not entries:
            raise FileNotFoundError(
                f"{owner}: no {kind} file at {here!r}. Pass a file, a folder that "
                f"holds some ({', '.join(endings)}), or a glob that matches some."
            )
        found.extend(entries)
    for file in found:
        if not file.name.lower().endswith(endings):
            raise ValueError(
                f"{owner}: the ending of {str(file)!r} is not known. Use one of "
                f"{', '.join(endings)}."
            )
    return found


def _matches(pattern: str) -> list[str]:
    """What a glob matches, without hidden names that it does not spell out."""
    asked = Path(pattern).parts
    return sorted(
        found
        for found in glob.glob(pattern, recursive=True)
        if not any(
            part.startswith(HIDDEN)
            and not any(a.startswith(HIDDEN) and fnmatch(part, a) for a in asked)
            for part in Path(found).parts
        )
    )


def _inside(place: Path, endings: tuple[str, ...]) -> list[Path]:
    """A file itself; the files of a folder but for hidden ones."""
    if not place.is_dir():
        return [place]
    return sorted(
        file
        for file in place.rglob("*")
        if file.name.lower().endswith(endings)
        and file.is_file()
        and not any(p.startswith(HIDDEN) for p in file.relative_to(place).parts)
    )


def _owner(owner: str, start: int, file: Path | None = None) -> str:
    """`from_parquet ("a.parquet", from row 65536 on)`."""
    places = [f'"{file}"'] if file is not None else []
    places += [f"from row {start} on"] if start else []
    return f"{owner} ({', '.join(places)})" if places else owner


def _format(file: Path) -> str:
    name = file.name.lower()
    if name.endswith((".parquet", ".pq")):
        return "parquet"
    return "csv" if name.endswith((".csv", ".csv.gz")) else ""


def _file_blocks(
    file: Path, spec: FeatureSpec, names: list[str], block_rows: int, owner: str
) -> Iterator[Block]:
    read = _parquet if _format(file) == "parquet" else _csv
    start = 0
    try:
        for batch in read(file, spec, names, block_rows, owner):
            if batch.num_rows:
                here = _owner(owner, start, file)
                yield Block(read_columns(batch, names, owner=here), here)
                start += batch.num_rows
    except READ_ERRORS as error:
        raise _unreadable(owner, file, error) from error


def count_rows(file: Path, spec: FeatureSpec, names: list[str], *, owner: str) -> int:
    """How many rows a file has. A CSV file is read for it, and so checked."""
    import pyarrow.parquet as pq

    try:
        if _format(file) == "parquet":
            return pq.read_metadata(file).num_rows
        batches = _csv(file, spec, names, BLOCK_ROWS, owner)
        return sum(batch.num_rows for batch in batches)
    except READ_ERRORS as error:
        raise _unreadable(owner, file, error) from error


def _unreadable(owner: str, file: Path, error: Exception) -> Exception:
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{owner}: {str(file)!r} is not there any more.")
    return ValueError(
        f"{owner}: {str(file)!r} cannot be read: {error}. Repair the file, or "
        "correct the column's dtype in the spec."
    )


def _check_names(owner: str, file: Path, names: list[str], present: list[str]) -> None:
    """Each name stands once in the file."""
    for name in names:
        if present.count(name) == 1:
            continue
        found = f"{_checks.quoted(present)} in {str(file)!r}"
        if name in present:
            rule, way_out = "must stand once in the file", "Drop one of the two."
        else:
            rule = "must be one of the file's columns"
            way_out = f'Add "{name}" to the file or drop it from the spec.'
            way_out += _checks.closest(name, present)
        raise _checks.column(owner, name, rule, found, way_out)


def _parquet(
    file: Path, spec: FeatureSpec, names: list[str], block_rows: int, owner: str
) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    # Without this pyarrow reads far ahead and holds it in memory.
    with pq.ParquetFile(file, pre_buffer=False) as reader:
        _check_names(owner, file, names, reader.schema_arrow.names)
        yield from reader.iter_batches(block_rows, columns=names)


def _csv(
    file: Path, spec: FeatureSpec, names: list[str], block_rows: int, owner: str
) -> Iterator[pa.RecordBatch]:
    from pyarrow import csv

    parse = csv.ParseOptions(newlines_in_values=True)
    with csv.open_csv(file, parse_options=parse) as reader:
        guessed = reader.schema
    _check_names(owner, file, names, guessed.names)
    types = {
        name: _csv_type(spec.get(name), guessed.field(name).type) for name in names
    }
    # The first rows of some may not tell how the column writes its numbers.
    late = [
        name
        for name, kind in types.items()
        if pa.types.is_null(guessed.field(name).type) and not pa.types.is_string(kind)
    ]
    types |= dict.fromkeys(late, pa.string())
    options = csv.ConvertOptions(column_types=types, include_columns=names)
    with (
        _columns_named(guessed.names),
        csv.open_csv(
            file,
            read_options=csv.ReadOptions(block_size=CSV_BLOCK_BYTES),
            parse_options=parse,
            convert_options=options,
        ) as reader,
    ):
        for batch in reader:
            columns = [_empty_to_null(column) for column in batch.columns]
            columns = [
                _numbers(name, column) if name in late else column
                for name, column in zip(names, columns, strict=True)
            ]
            batch = pa.RecordBatch.from_arrays(columns, names=names)
            for start in range(0, batch.num_rows, block_rows):
                yield batch.slice(start, block_rows)


@contextlib.contextmanager
def _columns_named(names: list[str]) -> Iterator[None]:
    """pyarrow's errors name the column and not its place."""
    try:
        yield
    except pa.ArrowInvalid as error:
        text = re.sub(
            r"CSV column #(\d+)",
            lambda found: f'column "{names[int(found[1])]}"',
            str(error),
        )
        raise pa.ArrowInvalid(text) from error


def _numbers(name: str, texts: pa.Array) -> pa.Array:
    """Texts as integers, else floats, else truth values."""
    for kind in (pa.int64(), pa.float64(), pa.bool_()):
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid as error:
            first = error
    raise pa.ArrowInvalid(f'In column "{name}": {first}')


def _csv_type(column: Column | None, guessed: pa.DataType) -> pa.DataType:
    """The type to read a CSV column with; lists stand there as separated strings.

    None stands for a label or weight. `guessed` is the type of the first rows:
    pandas writes integers with gaps as 1.0, and truth values as words.
    """
    if isinstance(column, Categorical) and not column.is_list:
        if column.dtype == "string":
            return pa.string()
        other = pa.types.is_floating(guessed) or pa.types.is_boolean(guessed)
        return guessed if other else pa.int64()
    is_vector = isinstance(column, Numeric) and bool(column.shape)
    if column is not None and (column.is_list or is_vector):
        return pa.string()  # of a vector `typed` says that it must be a list
    return guessed if pa.types.is_boolean(guessed) else pa.float64()


def _empty_to_null(array: pa.Array) -> pa.Array:
    """An empty field is a missing value, also of text."""
    if not pa.types.is_string(array.type):
        return array
    return pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)
