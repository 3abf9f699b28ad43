"""Which servables a folder or a `models.config` names, and their versions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfrec import _checks
from tfrec.serving.errors import ServingError

INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Source:
    """One servable on disk and the versions of it that are wanted.

    Args:
        name: str. What requests call it.
        folder: Path. Holds one folder a version.
        latest: int >= 1 or None. That many of the largest versions; None: all.
        specific: int versions that alone are wanted; empty: see `latest`.
        labels: names of versions that requests may use.
    """

    name: str
    folder: Path
    latest: int | None = 1
    specific: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)

    def present(self) -> dict[int, Path]:
        """Those of the wanted versions that are there, smallest first.

        Raises: `OSError` when the folder is not there.
        """
        return self.choose(versions_in(self.folder))

    def choose(
        self, found: Mapping[int, Path], *, every: bool = False
    ) -> dict[int, Path]:
        """The wanted ones of some versions; `every`: however many are the latest."""
        wanted = sorted(found)
        if self.specific:
            wanted = sorted(set(found) & set(self.specific))
        elif self.latest is not None and not every:
            wanted = wanted[-self.latest :]
        return {version: found[version] for version in wanted}

    def versions(self) -> dict[int, Path]:
        """The wanted versions and their folders, smallest first.

        Raises: `ServingError` when there is none.
        """
        found = versions_in(self.folder)
        missing = [str(version) for version in self.specific if version not in found]
        if missing or not found:
            what = f"version {', '.join(missing)}" if missing else "a version"
            raise ServingError(
                f'serve: servable "{self.name}" must have {what}, a folder named with '
                f"an integer. Received: {self.folder} with "
                f"{_checks.quoted(sorted(map(str, found))) or 'none'}.",
                "NOT_FOUND",
            )
        return self.present()


def versions_in(folder: str | os.PathLike[str]) -> dict[int, Path]:
    """Children of `folder` whose name is an int64; others are ignored.

    Of two names for one number the last in order of names counts.
    """
    found = {}
    for child in sorted(Path(folder).iterdir()):
        name = child.name
        if name.isascii() and name.removeprefix("-").isdigit():
            if child.is_dir() and int(name) in INT64:
                found[int(name)] = child
    return found


def from_folder(
    path: str | os.PathLike[str], *, owner: str = "serve", argument: str = "path"
) -> list[Source]:
    """Every child of a folder that has versions is a servable with its name.

    `owner` and `argument` are what an error names.
    Raises: `ServingError` when the folder is not there or holds no servable.
    """
    folder = Path(path)
    if not folder.is_dir():
        way_out = "Export a model there first, or correct the path."
        error = _checks.argument(
            owner, argument, "must be a folder", str(path), way_out
        )
        raise ServingError(str(error), "NOT_FOUND")
    if versions_in(folder):
        return [Source(folder.absolute().name, folder)]
    children = sorted(child for child in folder.iterdir() if child.is_dir())
    servables = [child for child in children if versions_in(child)]
    if not servables:
        rule = "must hold servables: folders with a numbered folder for each version"
        held = _checks.quoted(child.name for child in folder.iterdir()) or "nothing"
        way_out = f"It holds {held}. Export a model there first."
        error = _checks.argument(owner, argument, rule, str(path), way_out)
        raise ServingError(str(error), "NOT_FOUND")
    return [Source(child.name, child) for child in servables]


def from_base_path(name: str, path: str | os.PathLike[str]) -> list[Source]:
    """One servable: what `--model_name` and `--model_base_path` say.

    Raises: `ServingError` when the folder is not there.
    """
    if not Path(path).is_dir():
        rule = "must be a folder"
        error = _checks.argument("serve", "model_base_path", rule, str(path))
        raise ServingError(str(error), "NOT_FOUND")
    return [Source(name, Path(path))]
