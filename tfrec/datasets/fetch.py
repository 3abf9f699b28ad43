"""Where the files of a data set are: given, in TFREC_DATA, in a package, cached."""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import os
import shutil
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tfrec import _checks

Source = str | os.PathLike[str] | None
# A layout says which file of a folder holds which table.
Layout = Mapping[str, str]

TIMEOUT = 60
UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile),
    pa.ArrowException,
)


@dataclass(frozen=True)
class Remote:
    """A file at its publisher's address.

    Args:
        url: str. The official address.
        file: str. The file's name in the cache folder.
        sha256: str. What the file must hash to, hexadecimal; `""` where no
            trusted checksum is known.
        check: function of the downloaded path that raises `ValueError` when the
            contents are not what the publisher describes, or None.

    >>> Remote("https://example.org/a.zip", "a.zip").sha256
    ''
    """

    url: str
    file: str
    sha256: str = ""
    check: Callable[[Path], None] | None = None


def find(
    owner: str,
    layouts: Sequence[Layout],
    source: Source = None,
    *,
    folder: str,
    package: tuple[str, str] | None = None,
    remote: Remote | None = None,
    by_hand: str,
) -> dict[str, Path]:
    """The files of the first layout that is complete in one place.

    The places, in order: `source` (then nowhere else); `folder` in the folder that
    the environment variable TFREC_DATA names; the installed package; `folder` in
    the cache, `~/.cache/tfrec` or what TFREC_CACHE names; last, the remote file
    is downloaded into the cache. A checksum is compared at every use.

    Args:
        owner: whom an error names.
        layouts: `{table: file}` each; the first are preferred.
        source: a folder, or a file where a layout is one file, or None.
        folder: the data set's folder in TFREC_DATA and in the cache.
        package: (name, folder in it) of a package that carries the files.
        remote: what to download, or None.
        by_hand: the steps that an error names.

    Returns: `{table: path}`.
    Raises: `FileNotFoundError` that lists every place; `ValueError` on a file that
    is not the published one; `TypeError` when `source` is no path.
    """
    if source is not None:
        return _given(owner, layouts, source, by_hand)
    looked = ["argument `source`: not given"]
    for place, where in (_data(folder), _package(package)):
        if place is not None and (found := _complete(place, layouts)):
            return found
        looked.append(where if place is None else f'{where} "{place}": {_lacks(place)}')
    cache = cache_folder() / folder
    if found := _complete(cache, layouts):
        if remote is not None and cache / remote.file in found.values():
            verify(owner, cache / remote.file, remote)
        return found
    looked.append(f'cache "{cache}": {_lacks(cache)}')
    if remote is None:
        looked.append("download: not offered")
    else:
        try:
            download(owner, remote, cache)
            return _complete(cache, layouts)
        except (OSError, http.client.HTTPException) as error:
            looked.append(f"download of {remote.url}: {error}")
    raise _missing(owner, layouts, looked, by_hand)


def cache_folder() -> Path:
    """`TFREC_CACHE`, or `~/.cache/tfrec`."""
    named = os.environ.get("TFREC_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "tfrec"


def download(owner: str, remote: Remote, folder: Path) -> Path:
    """Downloads, checks, and only then gives the file its name in `folder`.

    Raises: `OSError` when the address does not answer; `ValueError` when the
    file is not the published one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as partial:
        file = Path(partial) / remote.file
        with (
            urllib.request.urlopen(remote.url, timeout=TIMEOUT) as answer,
            open(file, "wb") as stream,
        ):
            shutil.copyfileobj(answer, stream)
            announced = answer.headers.get("Content-Length")
        size = file.stat().st_size
        if announced is not None and int(announced) != size:
            raise OSError(f"the connection broke after {size} of {announced} bytes")
        verify(owner, file, remote)
        if remote.check is not None:
            remote.check(file)
        os.replace(file, folder / remote.file)
    return folder / remote.file


def verify(owner: str, file: Path, remote: Remote) -> None:
    """Raises `ValueError` when the file has not the checksum of the remote one."""
    if not remote.sha256:
        return
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != remote.sha256:
        raise ValueError(
            f"{owner}: {file.name} must have the SHA-256 {remote.sha256}. Received: "
            f"{digest} ({file.stat().st_size} bytes from {remote.url}). Delete "
            f"{str(file)!r} if it is still there and load again; where the publisher "
            "has changed the file, download it yourself and pass its path as `source`."
        )


@contextmanager
def reading(owner: str, file: Path) -> Iterator[None]:
    """Turns what a broken file raises into one `ValueError` that names it."""
    try:
        yield
    except UNREADABLE as error:
        raise ValueError(
            f"{owner}: {str(file)!r} cannot be read: {error}. It is cut off or not "
            "what its name says: get it again."
        ) from error


def check_columns(
    owner: str,
    frame: pd.DataFrame,
    wanted: Iterable[str],
    file: Path,
    *,
    gaps: Iterable[str] = (),
) -> None:
    """The frame read from `file` has the columns, without gaps but in `gaps`.

    Raises: `ValueError` that names the column, the file, and the row of a gap.
    """
    for name in wanted:
        if name not in frame.columns:
            found = f"{_checks.quoted(frame.columns)} in {str(file)!r}"
            way_out = "Pass the data set's own file as `source`."
            way_out += _checks.closest(name, frame.columns)
            raise _checks.column(owner, name, "must be in the file", found, way_out)
        if name not in gaps and frame[name].isna().any():
            row = int(frame[name].isna().to_numpy().argmax())
            found = f"no value in row {row} of {str(file)!r}"
            way_out = "The file is cut off or damaged: get it again."
            raise _checks.column(owner, name, "must not be missing", found, way_out)


def check_rows(owner: str, rows: int, wanted: int, file: Path) -> None:
    """Raises `ValueError` when a file has not the rows its publisher counts."""
    if rows != wanted:
        raise ValueError(
            f"{owner}: {file.name} must have {wanted} rows, as its publisher says. "
            f"Received: {rows}. Download it yourself and pass its path as `source`."
        )


def _given(
    owner: str, layouts: Sequence[Layout], source: object, by_hand: str
) -> dict[str, Path]:
    if not isinstance(source, (str, os.PathLike)):
        rule = "must be the path of a folder or file, or None"
        raise _checks.argument(owner, "source", rule, source, kind=TypeError)
    path = Path(source).expanduser()
    if path.is_file():
        for layout in layouts:
            if len(set(layout.values())) == 1:
                if path.suffix == Path(next(iter(layout.values()))).suffix:
                    return dict.fromkeys(layout, path)
    elif found := _complete(path, layouts):
        return found
    lacks = "of no known kind" if path.is_file() else _lacks(path)
    where = [f'argument `source`: "{path}": {lacks}']
    raise _missing(owner, layouts, where, by_hand)


def _complete(place: Path, layouts: Sequence[Layout]) -> dict[str, Path]:
    for layout in layouts:
        found = {table: place / file for table, file in layout.items()}
        if all(file.is_file() for file in found.values()):
            return found
    return {}


def _data(folder: str) -> tuple[Path | None, str]:
    named = os.environ.get("TFREC_DATA")
    if not named:
        return None, "environment variable TFREC_DATA: not set"
    return Path(named).expanduser() / folder, "environment variable TFREC_DATA:"


def _package(package: tuple[str, str] | None) -> tuple[Path | None, str]:
    if package is None:
        return None, "installed package: none carries it"
    name, folder = package
    found = importlib.util.find_spec(name)  # does not import it
    if found is None or not found.submodule_search_locations:
        return None, f'package "{name}": not installed'
    return Path(found.submodule_search_locations[0]) / folder, f'package "{name}":'


def _lacks(place: Path) -> str:
    return "holds none of them complete" if place.is_dir() else "not there"


def _missing(
    owner: str, layouts: Sequence[Layout], looked: list[str], by_hand: str
) -> FileNotFoundError:
    wanted = [" + ".join(dict.fromkeys(layout.values())) for layout in layouts]
    return FileNotFoundError(
        f"{owner}: the data is not there. Wanted: {', or '.join(wanted)}. Looked at:\n"
        + "".join(f"  {place}\n" for place in looked)
        + f"By hand: {by_hand}"
    )
