"""Vocabulary files: count values, write, read, extend.

A vocabulary is a UTF-8 text file with one value a line, most frequent first,
ties in order of the value. Beside `NAME.txt` stands `NAME.counts` with one
count a line and, last, the count of all values that were left out. The value in
line n (from 0) has id n + 2: id 0 is padding, id 1 is unknown. What
`FeatureSpec.extend` adds stands behind the values that were there, in the same
order among themselves.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrec import _checks
from tfrec.features.columns import DTYPES

if TYPE_CHECKING:
    import numpy as np

PADDING_ID = 0
UNKNOWN_ID = 1
RESERVED_IDS = 2


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary file of one table.

    Equal means equal contents: where the file stands does not count.

    Args:
        table: str. The table's name.
        dtype: `"string"` or `"int64"`.
        size: int >= 1. Number of values.
        checksum: str. SHA-256 of the file, hexadecimal.
        file: str. Path of the file.

    >>> Vocabulary(table="city", dtype="string", size=3, checksum="ab").rows
    5
    """

    table: str
    dtype: str
    size: int
    checksum: str
    file: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _checks.string(self, table=self.table, checksum=self.checksum)
        _checks.one_of(self, DTYPES, dtype=self.dtype)
        _checks.positive_int(self, size=self.size)
        if not isinstance(self.file, str):
            raise _checks.argument(self, "file", "must be a string", self.file)

    @property
    def rows(self) -> int:
        """Rows that the table needs: padding, unknown, values."""
        return self.size + RESERVED_IDS

    def values(self) -> list[str] | list[int]:
        """The values in order of their ids (from id 2)."""
        lines = Path(self.file).read_text(encoding="utf-8").split("\n")[:-1]
        return [int(line) for line in lines] if self.dtype == "int64" else lines

    def counts(self) -> np.ndarray:
        """Occurrences by id, `(rows,)` int64: 0 for padding, id 1 what was left out.

        Raises: `FileNotFoundError` when no counts were kept; `ValueError` when
        they are not of this vocabulary.
        """
        import numpy as np

        path = counts_file(self.file)
        if not path.exists():
            raise FileNotFoundError(
                f'Vocabulary: table "{self.table}" has no counts: {path.name} is not '
                "beside the vocabulary file. Build the vocabulary with "
                "`FeatureSpec.adapt`."
            )
        try:
            counts = np.loadtxt(path, dtype=np.int64, ndmin=1)
        except ValueError as error:
            raise ValueError(
                f'Vocabulary: table "{self.table}" must have one count a line. '
                f"Received: {error} in {str(path)!r}. Adapt the spec again."
            ) from error
        if len(counts) != self.size + 1:
            raise ValueError(
                f'Vocabulary: table "{self.table}" must have {self.size + 1} counts. '
                f"Received: {len(counts)} in {str(path)!r}. Adapt the spec again."
            )
        return np.concatenate([[0], counts[-1:], counts[:-1]])

    def verify(self) -> None:
        """Raises `ValueError` when the file is not the one that was described."""
        path = Path(self.file)
        if not path.is_file():
            raise ValueError(
                f'Vocabulary: the file of table "{self.table}" is not there. Received: '
                f"{self.file!r}. Restore it or adapt the spec again."
            )
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        if checksum != self.checksum:
            raise ValueError(
                f'Vocabulary: the file of table "{self.table}" has changed. '
                f"Received: {self.file!r} with checksum {checksum[:12]}, described: "
                f"{self.checksum[:12]}. Restore the file, or adapt each spec into a "
                "directory of its own."
            )


def counts_file(file: str | os.PathLike[str]) -> Path:
    """Where the counts of a vocabulary file stand."""
    return Path(file).with_suffix(".counts")


def check_value(table: str, value: Any) -> None:
    """Raises `ValueError` when a value cannot stand on a line of its own."""
    if isinstance(value, str) and (not value or "\n" in value or "\r" in value):
        what = "a value with a line break" if value else "an empty value"
        raise ValueError(
            f'Vocabulary: table "{table}" has {what}, which a vocabulary file cannot '
            f"hold. Received: {_checks.show(value)}. Strip it from the data, or use "
            "`hash_buckets`."
        )


def write(
    table: str,
    counts: Mapping[Any, int],
    directory: str | os.PathLike[str],
    *,
    dtype: str = "string",
    min_count: int = 1,
    max_size: int | None = None,
) -> Vocabulary:
    """Writes the counted values, most frequent first, and describes the file.

    Args:
        table: str. The table's name; the file is `TABLE.txt`.
        counts: value -> occurrences.
        directory: where to write; made when it is not there.
        dtype: `"string"` or `"int64"`.
        min_count: int >= 1. Rarer values are left out.
        max_size: int >= 1 or None. At most that many values.

    Returns: the `Vocabulary`.
    Raises: `ValueError` when no value is left, one is empty or has a line break.
    """
    ordered = sorted(
        (item for item in counts.items() if item[1] >= min_count),
        key=lambda item: (-item[1], item[0]),
    )[:max_size]
    if not ordered:
        raise ValueError(
            f'Vocabulary: table "{table}" has no value with min_count={min_count}. '
            f"Received: {len(counts)} values. Lower `min_count` or check the column."
        )
    left_out = sum(counts.values()) - sum(count for _, count in ordered)
    return write_ordered(table, dict(ordered), left_out, directory, dtype=dtype)


def write_ordered(
    table: str,
    counts: Mapping[Any, int],
    left_out: int,
    directory: str | os.PathLike[str],
    *,
    dtype: str,
) -> Vocabulary:
    """Writes all values in the order given, and describes the file.

    Args:
        table: str. The table's name; the file is `TABLE.txt`.
        counts: value -> occurrences, in the order of the ids.
        left_out: int. Occurrences of all other values.
        directory: where to write; made when it is not there.
        dtype: `"string"` or `"int64"`.

    Returns: the `Vocabulary`.
    Raises: `ValueError` when a value is empty or has a line break.
    """
    for value in counts:
        check_value(table, value)
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{table}.txt"
    _replace(counts_file(file), [*map(str, counts.values()), str(left_out)])
    _replace(file, map(str, counts))
    return read(table, file, dtype)


def read(table: str, file: str | os.PathLike[str], dtype: str) -> Vocabulary:
    """Describes a vocabulary file.

    Raises: `ValueError` on an empty file, a duplicate, an empty line, a value that
    is not of `dtype` or bytes that are not UTF-8; `FileNotFoundError`.
    """
    data = Path(file).read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _file_error(table, file, f"is not UTF-8: {error}") from error
    if text.startswith("\ufeff"):
        raise _file_error(table, file, "starts with a byte order mark")
    lines = text.split("\n")
    if lines[-1] != "":
        raise _file_error(table, file, "must end with a line break")
    lines = lines[:-1]
    if not lines:
        raise _file_error(table, file, "holds no value")
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line == "" or "\r" in line:
            raise _file_error(table, file, f"has an empty or broken line {number}")
        if line in seen:
            found = f"has {line!r} twice, in lines {seen[line]} and {number}"
            raise _file_error(table, file, found)
        if dtype == "int64" and not _is_int64(line):
            found = f"has {line!r} in line {number}, which is not an int64"
            raise _file_error(table, file, found)
        seen[line] = number
    checksum = hashlib.sha256(data).hexdigest()
    return Vocabulary(table, dtype, len(lines), checksum, str(file))


def _is_int64(line: str) -> bool:
    try:
        return str(int(line)) == line and -(2**63) <= int(line) < 2**63
    except ValueError:
        return False


def _file_error(table: str, file: str | os.PathLike[str], found: str) -> ValueError:
    return ValueError(
        f'Vocabulary: the file of table "{table}" {found}. Received: {file}. A '
        "vocabulary file is UTF-8 text with one value a line, each once."
    )


def _replace(path: Path, lines: Iterable[str]) -> None:
    """Writes a text file beside its place and moves it there."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in lines)
    os.replace(partial, path)
