"""The folder of an index: versions, and a link to the one that is read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfrec import _checks

OWNER = "index"
KEPT = 2  # the version that is read, and the one before for who still reads it


def current(root: str | os.PathLike[str]) -> Path:
    """The folder of the version that is read.

    Raises: `ValueError` when there is none.
    """
    link = Path(root) / "current"
    if not link.is_symlink() or not link.exists():
        rule = "must be a folder that `tfrec index build` wrote"
        raise _checks.argument(OWNER, "path", rule, str(root))
    return link.resolve()


def facts(version: Path) -> dict[str, Any]:
    """What a version's `index.json` says."""
    return json.loads((version / "index.json").read_text(encoding="utf-8"))


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """One writer at a time; readers wait for nobody."""
    root.mkdir(parents=True, exist_ok=True)
    with open(root / ".lock", "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def new_version(root: Path) -> Iterator[Path]:
    """A folder to write into; it becomes the current one when all went well."""
    versions = root / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    for left in versions.glob("*.partial"):  # of a writer that was killed
        shutil.rmtree(left)
    numbers = [int(p.name) for p in versions.iterdir() if p.name.isdigit()]
    place = versions / f"{max(numbers, default=0) + 1:06d}"
    partial = place.with_name(place.name + ".partial")
    partial.mkdir()
    try:
        yield partial
        os.rename(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    point_to(root, place)
    for old in sorted(p for p in versions.iterdir() if p.name.isdigit())[:-KEPT]:
        shutil.rmtree(old)


def point_to(root: Path, place: Path) -> None:
    """Swaps `current` in one rename; a reader sees the old version or the new."""
    link = root / "current.partial"
    link.unlink(missing_ok=True)
    link.symlink_to(place.relative_to(root))
    os.replace(link, root / "current")
