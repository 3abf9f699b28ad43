"""Tells a folder that is still being written from one that is complete."""

from __future__ import annotations

import os
import time
from pathlib import Path

QUIET = 0.5  # seconds without a change that end a copy
Files = dict[str, tuple[int, int, int]]


def files_in(folder: str | os.PathLike[str]) -> Files:
    """Size and times of all that is below a folder; a rename of it changes none.

    Raises: `OSError` when something vanishes meanwhile.
    """
    found = {}
    for place, folders, files in os.walk(folder, onerror=_fail):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            told = os.stat(path)
            size = 0 if name in folders else told.st_size
            found[path] = (size, told.st_mtime_ns, told.st_ctime_ns)
    return found


class Settling:
    """Watches one folder until nothing below it changes any more.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: Files | None = None
        self._since = 0.0

    def settled(self) -> bool:
        """True when nothing has changed for `QUIET` seconds, as far as one can see."""
        try:
            files = files_in(self._folder)
        except OSError:
            self.files = None
            return False
        now = time.monotonic()
        if files != self.files:
            self.files, self._since = files, now
        newest = max((ctime for *_, ctime in files.values()), default=0) / 1e9
        return newest + QUIET <= time.time() or self._since + QUIET <= now

    def changed(self) -> bool:
        """True when the folder is not as it was when `settled` was asked last."""
        try:
            return files_in(self._folder) != self.files
        except OSError:
            return False


def _fail(error: OSError) -> None:
    raise error
