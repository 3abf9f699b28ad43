"""A client's requests and the server's answers as REST carries them: JSON, columnar.

The columnar form is the one in which inputs may have different numbers of rows.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson

from tfrec.serving.grpc_format import Request

TELLS_LITTLE = True  # no version, no name of an only output, no types
DTYPES = {"float": "float32", "double": "float64"}  # NumPy's names of TensorFlow's
# The longest that a value can be, with its comma.
VALUE_BYTES = {"float32": 17, "float64": 26, "int64": 22, "bool": 6, "string": 64}
BRACKETS = 3  # of a list, with its comma


def predict(
    servable: str,
    version: int | str | None,
    signature_name: str,
    arrays: Mapping[str, np.ndarray],
    outputs: Iterable[str],
) -> Request:
    """A Predict request; `version` may be a label. REST has no filter of outputs."""
    body: dict[str, Any] = {}
    if signature_name:
        body["signature_name"] = signature_name
    body["inputs"] = {name: _plain(array) for name, array in arrays.items()}
    data = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    return Request(servable, f"{_path(servable, version)}:predict", data)


def read_predict(
    data: bytes, outputs: Iterable[str], told: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, np.ndarray], int | None]:
    """The outputs in order of their names, and None for the version.

    Args:
        data: the body of the answer.
        outputs: those that are wanted; none: all.
        told: dtype, by name, of the signature's outputs.

    Raises: `ValueError` when the answer is not what such a request gets.
    """
    values = _parse(data)["outputs"]
    if not isinstance(values, dict) or set(values) == {"b64"}:
        if len(told) != 1:
            raise ValueError("the name of its only output is not known")
        values = dict.fromkeys(told, values)
    wanted = set(outputs) or set(values)
    arrays = {
        name: _array(values[name], told.get(name, {}).get("dtype"))
        for name in sorted(wanted)
    }
    return arrays, None


def status(servable: str) -> Request:
    """A request for the states of all versions."""
    return Request(servable, _path(servable, None))


def read_status(data: bytes) -> dict[int, str]:
    """State by version, in the server's order."""
    entries = _parse(data)["model_version_status"]
    return {int(entry["version"]): entry["state"] for entry in entries}


def metadata(servable: str, version: int | str | None) -> Request:
    """A request for the signatures."""
    return Request(servable, f"{_path(servable, version)}/metadata")


def read_metadata(data: bytes) -> dict[str, Any]:
    """Version and signatures; those that TensorFlow keeps for itself left out."""
    document = _parse(data)
    definitions = document["metadata"]["signature_def"]["signature_def"]
    return {
        "version": int(document["model_spec"]["version"]),
        "signatures": {
            name: {
                "inputs": _tensors(definition["inputs"]),
                "outputs": _tensors(definition["outputs"]),
            }
            for name, definition in sorted(definitions.items())
            if not name.startswith("__")
        },
    }


def row_bytes(array: np.ndarray) -> np.ndarray:
    """Most bytes that each row of an array takes in a body, `(rows,)` int64."""
    rows, values = len(array), int(np.prod(array.shape[1:]))
    lists = int(np.sum(np.cumprod([1, *array.shape[1:-1]]))) if array.ndim > 1 else 0
    brackets = BRACKETS * lists
    if array.dtype != object:
        size = VALUE_BYTES.get(array.dtype.name, VALUE_BYTES["int64"]) * values
        return np.full(rows, size + brackets, np.int64)
    sizes = [len(orjson.dumps(_text(value))) + 1 for value in array.reshape(-1)]
    return np.array(sizes, np.int64).reshape(rows, -1).sum(axis=1) + brackets


def _path(servable: str, version: int | str | None) -> str:
    path = f"/v1/models/{quote(servable, safe='')}"
    if isinstance(version, str):
        return f"{path}/labels/{quote(version, safe='')}"
    return path if version is None else f"{path}/versions/{version}"


def _plain(array: np.ndarray) -> Any:
    """What orjson writes as the server reads it."""
    if array.dtype == object:
        flat = np.empty(array.size, object)
        flat[:] = [_text(value) for value in array.reshape(-1)]
        return flat.reshape(array.shape).tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return orjson.Fragment(json.dumps(array.tolist()))  # NaN, which orjson lacks
    return np.ascontiguousarray(array) if array.ndim else array.item()


def _text(value: bytes | str) -> Any:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _parse(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)  # reads NaN and Infinity


def _array(value: Any, dtype: str | None) -> np.ndarray:
    """Nested lists as an array; strings as bytes, as gRPC gives them."""
    if dtype != "string" and not (dtype is None and _is_text(value)):
        kind = None if dtype is None else np.dtype(DTYPES.get(dtype, dtype))
        return np.array(value, kind)
    shape, flat = [], [value]
    while flat and isinstance(flat[0], list):
        shape.append(len(flat[0]))
        flat = list(chain.from_iterable(flat))
    values = np.empty(len(flat), object)
    values[:] = [
        base64.b64decode(text["b64"]) if isinstance(text, dict) else text.encode()
        for text in flat
    ]
    return values.reshape(shape)


def _is_text(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, (str, dict))


def _tensors(infos: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "dtype": info["dtype"].removeprefix("DT_").lower(),
            "shape": [
                None if int(dim["size"]) < 0 else int(dim["size"])
                for dim in info["tensor_shape"]["dim"]
            ],
        }
        for name, info in sorted(infos.items())
    }
