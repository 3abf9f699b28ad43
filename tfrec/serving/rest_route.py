"""What a path under `/v1/` asks for."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import unquote

from tensorflow_serving.apis import model_pb2

from tfrec.serving.json_text import invalid

INT64_END = 2**63
VERSION = r"(?:/versions/(\d+)|/labels/([^/:?]+))?"
POST = re.compile(
    rf"/v1/models/([^/:?]+){VERSION}:(classify|regress|predict)",
    re.IGNORECASE | re.ASCII,
)
GET = re.compile(
    rf"/v1/models(?:/([^/:?]+))?{VERSION}(?:/(metadata))?", re.IGNORECASE | re.ASCII
)


class Route(NamedTuple):
    """A model and what is asked of it.

    Args:
        api: str. `predict`, `classify`, `regress`, `metadata` or `status`.
        spec: ModelSpec.
    """

    api: str
    spec: Any


def find(method: str, path: str) -> Route:
    """The route of a request; the path as it came, with a query if it has one.

    Raises: `Refusal`.

    >>> find("POST", "/v1/models/ranker/versions/3:predict").api
    'predict'
    """
    pattern = {"POST": POST, "GET": GET}.get(method)
    match = pattern.fullmatch(path) if pattern is not None else None
    if match is None:
        raise invalid(f"Malformed request: {method} {path}")
    name, version, label, what = match.groups()
    if not name:
        raise invalid("Missing model name in request.")
    spec = model_pb2.ModelSpec(name=_decoded(name))
    if version:
        digits = version.lstrip("0")
        if len(digits) > 19 or int(digits or "0") >= INT64_END:
            raise invalid(f"Failed to convert version: {version} to numeric.")
        spec.version.value = int(digits or "0")
    elif label:
        spec.version_label = _decoded(label)
    return Route((what or "status").lower(), spec)


def _decoded(part: str) -> str:
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError as error:
        raise invalid(f"Failed to decode: {part}") from error
