"""`feature_spec.json`: what a servable takes and gives, as an export wrote it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrec import _checks
from tfrec.features import FeatureSpec, wire
from tfrec.serving.sources import from_folder

FILE = "assets.extra/feature_spec.json"
FORMAT = 1
OWNER = "Client"


class Document:
    """One servable's `feature_spec.json`.

    Args:
        content: the JSON as a dict.
        name: str or None. What requests call it; None: its own name.

    Raises: `ValueError` when it is not what an export writes.
    """

    def __init__(self, content: Mapping[str, Any], name: str | None = None) -> None:
        for key in ("format", "servable", "inputs", "outputs", "spec"):
            if key not in content:
                rule, found = f'must have the key "{key}"', dict(content)
                raise _checks.argument(OWNER, "specs", rule, found)
        if content["format"] != FORMAT:
            rule = f"must have format {FORMAT}"
            way_out = "Export the model again with this version of tfrec."
            found = content["format"]
            raise _checks.argument(OWNER, "specs", rule, found, way_out)
        self.servable: str = name or content["servable"]
        self.inputs: dict[str, dict[str, Any]] = dict(content["inputs"])
        self.outputs: dict[str, dict[str, Any]] = dict(content["outputs"])
        self.parameters: dict[str, dict[str, Any]] = dict(content.get("parameters", {}))
        self.fallbacks: list[str] = list(content.get("fallbacks", ()))
        self.popular: dict[str, list[Any]] = dict(content.get("popular", {}))
        self._spec = FeatureSpec.from_json(content["spec"])

    def side(self, *sides: str) -> list[str]:
        """Names of the inputs on these sides."""
        return [name for name, told in self.inputs.items() if told["side"] in sides]

    def arrays(self, rows: Any, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Rows as the arrays that the servable takes; checks every value."""
        return wire(self._spec, rows, list(names), owner=OWNER)

    def settings(self, given: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
        """All parameters as arrays: those that are given, else their defaults.

        Raises: `ValueError` on an unknown name, on a value of another type or rank
        than the parameter has, on a number below 1, and on lists that are neither
        one nor one for each of `rows`.
        """
        for name in given:
            if name not in self.parameters:
                rule = f'must be parameters of "{self.servable}"'
                known = _checks.quoted(self.parameters) or "none"
                way_out = f"It has {known}.{_checks.closest(name, self.parameters)}"
                raise _checks.argument(OWNER, "parameters", rule, name, way_out)
        settings = {
            name: _parameter(name, given.get(name, told["default"]), told)
            for name, told in self.parameters.items()
        }
        for name in given:
            array = settings[name]
            if array.ndim == 0:
                _checks.integer(OWNER, 1, **{name: array.item()})
            elif len(array) not in (1, rows):
                rule = f"must hold one list, or one for each of the {rows} rows"
                raise _checks.argument(OWNER, name, rule, given[name])
        return settings


def _parameter(name: str, value: Any, told: Mapping[str, Any]) -> np.ndarray:
    rank, dtype = len(told["shape"]), told["dtype"]
    rule = f"must hold {dtype} and have rank {rank}"
    try:
        array = np.array(_filled(value, dtype) if rank == 2 else value, object)
        if dtype == "string":
            fits = all(isinstance(one, (str, bytes)) for one in array.flat)
        else:
            test = _checks.is_int if "int" in dtype else _checks.is_number
            fits = all(test(one) for one in array.flat)
            array = array.astype(dtype) if fits else array
    except (ValueError, OverflowError) as error:  # ragged, or out of range
        raise _checks.argument(OWNER, name, rule, value) from error
    if not fits or array.ndim != rank:
        raise _checks.argument(OWNER, name, rule, value)
    return array


def _filled(value: Any, dtype: str) -> Any:
    """Lists of ids as long as the longest; other values as they are."""
    listed = isinstance(value, (list, tuple))
    if not listed or not all(isinstance(row, (list, tuple)) for row in value):
        return value
    width = max(map(len, value), default=0)
    filler: Any = "" if dtype == "string" else -1
    return [[*row, *[filler] * (width - len(row))] for row in value]


def read(specs: Any) -> dict[str, Document]:
    """Documents by servable name.

    Args:
        specs: a folder of servables, one servable's folder, or a mapping from
            names to documents (dicts). Of a folder the newest versions are read.

    Raises: `ServingError` when the folder holds no servable; `ValueError` on a
    servable without a document; `TypeError` on anything else.
    """
    if isinstance(specs, Mapping):
        return {name: Document(content, name) for name, content in specs.items()}
    if not isinstance(specs, (str, os.PathLike)):
        rule = "must be a folder that export wrote, or a mapping of documents"
        raise _checks.argument(OWNER, "specs", rule, specs, kind=TypeError)
    documents = {}
    for source in from_folder(specs, owner=OWNER, argument="specs"):
        (folder,) = source.versions().values()
        documents[source.name] = Document(_load(folder / FILE), source.name)
    return documents


def _load(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        rule = "must be a folder that export wrote"
        way_out = f"Its {FILE} cannot be read: {error}"
        raise _checks.argument(OWNER, "specs", rule, str(path), way_out) from error
