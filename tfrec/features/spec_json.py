"""A FeatureSpec as plain data, both ways."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrec import _checks
from tfrec.features.columns import KINDS, Column
from tfrec.features.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tfrec.features.spec import FeatureSpec

FORMAT = 1


def to_document(
    spec: FeatureSpec, folder: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """The spec as plain data; vocabulary paths relative to `folder`."""
    document: dict[str, Any] = {"format": FORMAT, "columns": []}
    for column in spec.columns:
        entry: dict[str, Any] = {"kind": column.kind, "name": column.name}
        for field in dataclasses.fields(column):
            value = getattr(column, field.name)
            if field.name == "side" or value != field.default:
                entry[field.name] = list(value) if type(value) is tuple else value
        document["columns"].append(entry)
    document["labels"] = list(spec.labels)
    for name in ("weight", "group", "timestamp"):
        document[name] = getattr(spec, name)
    document["vocabularies"] = [
        {
            **dataclasses.asdict(vocabulary),
            "file": (
                Path(os.path.relpath(vocabulary.file, folder)).as_posix()
                if folder is not None and vocabulary.file
                else vocabulary.file
            ),
        }
        for vocabulary in spec.vocabularies
    ]
    return document


def arguments_of(
    kind: type[FeatureSpec],
    document: str | Mapping[str, Any],
    folder: str | os.PathLike[str] = "",
) -> dict[str, Any]:
    """The arguments of the spec that a document tells of.

    Raises: `ValueError` on unknown or missing keys, kinds or formats.
    """
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except json.JSONDecodeError as error:
            raise ValueError(f"FeatureSpec: not JSON: {error}") from error
    if not isinstance(document, Mapping):
        raise _checks.argument(kind, "document", "must be an object", document)
    fields = {field.name for field in dataclasses.fields(kind)} | {"format"}
    _check_keys("FeatureSpec", document, fields)
    if document.get("format") != FORMAT:
        raise _checks.argument(
            kind, "format", f"must be {FORMAT}", document.get("format")
        )
    found: dict[str, Any] = {
        key: value for key, value in document.items() if key != "format"
    }
    for key in ("columns", "labels", "vocabularies"):
        if not isinstance(found.setdefault(key, []), (list, tuple)):
            raise _checks.argument(kind, key, "must be a list", found[key])
    found["columns"] = [_column(entry) for entry in found["columns"]]
    found["vocabularies"] = [
        _vocabulary(entry, folder) for entry in found["vocabularies"]
    ]
    return found


def _column(entry: Any) -> Column:
    if not isinstance(entry, Mapping) or entry.get("kind") not in list(KINDS):
        kind = entry.get("kind") if isinstance(entry, Mapping) else entry
        rule = "must be one of " + ", ".join(repr(kind) for kind in KINDS)
        raise _checks.argument("FeatureSpec", "kind", rule, kind)
    kind = KINDS[entry["kind"]]
    owner = f'{kind.__name__} "{entry.get("name", "")}"'
    arguments = {key: value for key, value in entry.items() if key != "kind"}
    _check_fields(owner, kind, arguments)
    for key, value in arguments.items():
        if isinstance(value, list):
            arguments[key] = tuple(value)
    return kind(**arguments)


def _vocabulary(entry: Any, folder: str | os.PathLike[str]) -> Vocabulary:
    owner = "FeatureSpec vocabulary"
    if not isinstance(entry, Mapping):
        rule = "must hold objects"
        raise _checks.argument("FeatureSpec", "vocabularies", rule, entry)
    _check_fields(owner, Vocabulary, entry)
    file = entry.get("file", "")
    _ = Vocabulary(**entry)
    if file:
        file = os.path.normpath(os.path.join(folder, file))
    return Vocabulary(**{**entry, "file": file})


def _check_fields(owner: str, kind: Any, document: Mapping[str, Any]) -> None:
    """The document has the fields of a dataclass: no other, none missing."""
    fields = dataclasses.fields(kind)
    _check_keys(owner, document, {field.name for field in fields})
    for field in fields:
        if field.default is dataclasses.MISSING and field.name not in document:
            raise ValueError(
                f'{owner}: key "{field.name}" is missing. Received keys: '
                f"{_checks.quoted(document)}. Add it."
            )


def _check_keys(owner: str, document: Mapping[str, Any], known: set[str]) -> None:
    for key in document:
        if key not in known:
            raise ValueError(
                f'{owner}: unknown key "{key}". Received keys: '
                f"{_checks.quoted(document)}.{_checks.closest(key, known)}"
            )
