"""Servables that belong together: of which pair of towers a version is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from tfrec.serving.sources import Source, versions_in

FILE = "assets.extra/feature_spec.json"
Versions = dict[int, Path]


class Pairs:
    """Pair ids as export wrote them; each file is read once, until it changes."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, str]] = {}

    def of(self, folder: Path) -> str:
        """The pair id of a version's folder; "" where there is none.

        A folder that is being deleted has lost its file and keeps its pair.
        """
        file, known = folder / FILE, self._known.get(folder, (-1, ""))
        try:
            stamp = os.stat(file).st_mtime_ns
            if known[0] != stamp:
                document = json.loads(file.read_text(encoding="utf-8"))
                known = stamp, str(document.get("pair_id", ""))
                self._known[folder] = known
        except OSError:
            return known[1]
        except (ValueError, AttributeError):  # it is being written
            return ""
        return known[1]

    def wanted(
        self, sources: Iterable[Source]
    ) -> tuple[dict[str, Versions], dict[str, OSError]]:
        """The wanted versions of each source, all from one look at the disk.

        Where the largest versions are wanted, one counts only when every servable
        beside it that has pairs has that pair, too; where none does, all count.

        Returns: {name: {version: folder}}, and the errors of folders that are not
        there.
        """
        there: dict[str, Versions] = {}
        troubles: dict[str, OSError] = {}
        sources = list(sources)
        for source in sources:
            try:
                there[source.name] = versions_in(source.folder)
            except OSError as error:
                troubles[source.name] = error
        sources = [source for source in sources if source.name in there]
        may = {s.name: s.choose(there[s.name], every=True) for s in sources}
        pairs = {
            name: {version: self.of(folder) for version, folder in folders.items()}
            for name, folders in may.items()
        }
        found = {}
        for source in sources:
            beside = [
                set(pairs[other.name].values())
                for other in sources
                if other is not source and mates(other, source)
            ]
            theirs = [some for some in beside if some - {""}]
            if source.specific or source.latest is None:
                theirs = []  # whoever names versions gets them, or an error
            complete = {
                version: may[source.name][version]
                for version, pair in pairs[source.name].items()
                if not pair or all(pair in some for some in theirs)
            }
            found[source.name] = source.choose(complete or there[source.name])
        return found, troubles


def mates(one: Source, other: Source) -> bool:
    """True when two servables stand side by side in one folder."""
    return one.folder.absolute().parent == other.folder.absolute().parent
