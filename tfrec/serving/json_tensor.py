"""Parsed JSON to an array of the type that a signature asks for."""

from __future__ import annotations

import base64
import binascii
from itertools import chain
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2 as types

from tfrec.serving import json_text, tensors
from tfrec.serving.json_text import invalid
from tfrec.serving.refusal import Refusal

INT32 = (-(2**31), 2**31 - 1)
RANGES = {
    **dict.fromkeys((types.DT_INT8, types.DT_INT16, types.DT_INT32), INT32),
    types.DT_UINT8: INT32,
    types.DT_INT64: (-(2**63), 2**63 - 1),
    types.DT_UINT32: (0, 2**32 - 1),
    types.DT_UINT64: (0, 2**64 - 1),
}
TAKEN: dict[int, set[type]] = {  # Python's types that a tensor of this type takes
    **{kind: {int} for kind in RANGES},
    types.DT_FLOAT: {int, float},
    types.DT_DOUBLE: {int, float},
    types.DT_BOOL: {bool},
    types.DT_STRING: {str, dict},
}
MOST_AXES = 32  # of an array in NumPy 1
PIECE = 2**17  # values; between pieces other threads have their turn


def array(value: Any, kind: int) -> np.ndarray:
    """Nested lists, or one value, as an array.

    Args:
        value: parsed JSON.
        kind: int. The DataType that the values must have.

    Raises: `Refusal`, in the words of TensorFlow Serving.

    >>> array([[1, 2.5]], types.DT_FLOAT)
    array([[1. , 2.5]], dtype=float32)
    """
    shape = _shape(value)
    flat = [value]
    for level, size in enumerate(shape):
        for item in flat:
            if type(item) is not list:
                raise invalid(
                    f"JSON Value: {json_text.show(item)} found at incorrect level: "
                    f"{level + 1} in the JSON DOM. Expected at level: {len(shape)}"
                )
            if len(item) != size:
                raise invalid(
                    f"Encountered list at unexpected size: {len(item)} at level: "
                    f"{level} expected size: {size}"
                )
        flat = list(chain.from_iterable(flat))
    return _typed(flat, kind, len(shape)).reshape(shape)


def is_object(value: Any) -> bool:
    """True for an object that holds names; `{"b64": "..."}` is a value."""
    return type(value) is dict and not _is_base64(value)


def string(value: Any) -> bytes:
    """The bytes of a string or of a `{"b64": "..."}`.

    Raises: `Refusal`.

    >>> string("é"), string({"b64": "/w=="})
    (b'\\xc3\\xa9', b'\\xff')
    """
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise invalid("JSON Parse error: half of a surrogate pair") from error
    if not _is_base64(value):
        shown = json_text.show(value)
        text = f"JSON Value: {shown} not formatted correctly for base64 data"
        raise invalid(text)
    data = value["b64"].rstrip("=")  # padding may be left out
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


def _is_base64(value: Any) -> bool:
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def _shape(value: Any) -> list[int]:
    """The shape that the first element of each list gives."""
    shape: list[int] = []
    while type(value) is list:
        if len(shape) == MOST_AXES:
            text = f"list at unexpected level: {MOST_AXES} expected < {MOST_AXES}"
            raise invalid(f"Encountered {text}")
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _typed(flat: list[Any], kind: int, rank: int) -> np.ndarray:
    if kind not in TAKEN:
        raise _unknown(flat, kind)
    if len(flat) > PIECE:
        places = range(0, len(flat), PIECE)
        parts = [_typed(flat[at : at + PIECE], kind, rank) for at in places]
        return np.concatenate(parts)
    dtype = tensors.KINDS[kind].dtype
    low, high = RANGES.get(kind, (None, None))
    if not set(map(type, flat)) <= TAKEN[kind]:
        wrong = next(value for value in flat if type(value) not in TAKEN[kind])
        raise _mismatch(wrong, kind, rank)
    if low is not None and flat and (min(flat) < low or max(flat) > high):
        wrong = next(value for value in flat if not low <= value <= high)
        raise _mismatch(wrong, kind, rank)
    if kind == types.DT_STRING:
        values = np.empty(len(flat), object)
        values[:] = [string(value) for value in flat]
        return values
    wide: type = np.uint64 if kind == types.DT_UINT64 else np.int64
    if low is None:
        wide = bool if kind == types.DT_BOOL else np.float64
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
        return np.array(flat, wide).astype(dtype)


def _mismatch(value: Any, kind: int, rank: int) -> Refusal:
    if type(value) is list:
        text = f"Encountered list at unexpected level: {rank} expected < {rank}"
        return invalid(text)
    shown, found = json_text.show(value), json_text.type_name(value)
    text = f"is not of expected type: {tensors.type_name(kind)}"
    return invalid(f"JSON Value: {shown} Type: {found} {text}")


def _unknown(flat: list[Any], kind: int) -> Refusal:
    shown = json_text.show(flat[0]) if flat else "[]"
    text = f"Conversion of JSON Value: {shown} to type: {tensors.type_name(kind)}"
    return Refusal("UNIMPLEMENTED", text)
