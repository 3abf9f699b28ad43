"""JSON as TensorFlow Serving reads and writes it, with orjson where that agrees."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

import numpy as np
import orjson

from tfrec.serving import tensors
from tfrec.serving.refusal import Refusal

LONGEST_SHOWN = 200
MOST_LISTS = 2**18  # lists and objects; each takes memory many times its text
INFINITE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|\bInf\b', re.DOTALL)
TYPES = {str: "String", int: "Number", float: "Number", dict: "Object", list: "Array"}
POWERS = 10.0 ** np.arange(13)  # exact, as are their products with a float32
SHORT, LONG = 6, 9  # digits
SMALLEST, LARGEST = 1e-4, 1e6  # between them no number needs an exponent
PLAIN = ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "bool")


def parse(body: bytes) -> dict[str, Any]:
    """The object that a body holds; `NaN`, `Infinity` and `Inf` are numbers.

    Raises: `Refusal`.

    >>> parse(b'{"instances": [1, 2.5]}')
    {'instances': [1, 2.5]}
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    if body.count(b"[") + body.count(b"{") > MOST_LISTS:
        raise invalid(f"the body has more than {MOST_LISTS} lists and objects")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in body and b"Inf" not in body:
            text = f"JSON Parse error: {error.msg} at offset: {error.pos}"
            raise invalid(text) from error
        document = _parse_all(body)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {show(document)} Is not object")
    return document


def _parse_all(body: bytes) -> Any:
    """As `orjson.loads`, slower, and with the tokens that it refuses."""
    try:
        text = INFINITE.sub(_infinity, body.decode())
        document = json.loads(text, parse_float=_finite, parse_int=_integer)
        if "\\u" in text:  # half of a surrogate pair is no text
            json.dumps(document, ensure_ascii=False).encode()
        return document
    except RecursionError as error:
        raise invalid("JSON Parse error: too many levels at offset: 0") from error
    except json.JSONDecodeError as error:
        text = f"JSON Parse error: {error.msg} at offset: {error.pos}"
        raise invalid(text) from error
    except ValueError as error:  # no UTF-8, a number beyond a double
        raise invalid(f"JSON Parse error: {error} at offset: 0") from error


def _infinity(match: re.Match[str]) -> str:
    return "Infinity" if match[0] == "Inf" else match[0]


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("Number too big to be stored in double.")
    return value


def _integer(text: str) -> int | float:
    """An int of 64 bits, else a float: what orjson does."""
    if len(text) <= 20 and -(2**63) <= int(text) < 2**64:
        return int(text)
    return _finite(text)


def dump(document: Any) -> bytes:
    """The JSON of a document whose arrays went through `plain`."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def show(value: Any) -> str:
    """A parsed value as an error shows it, cut.

    >>> show({"a": [1, "é"]})
    '{"a":[1,"é"]}'
    """
    text = orjson.dumps(value, default=str).decode()
    return text[:LONGEST_SHOWN] + "..." if len(text) > LONGEST_SHOWN else text


def type_name(value: Any) -> str:
    """What RapidJSON calls the type of a parsed value."""
    if value is None or isinstance(value, bool):
        return "Null" if value is None else str(value)
    return TYPES[type(value)]


def number(value: Any) -> str:
    """A float as TensorFlow Serving writes it.

    Six significant digits or, when they do not give the same float again, nine (17
    for float64); `.0` behind whole numbers that have no exponent.

    Args:
        value: float32 or float64 scalar of NumPy.

    >>> [number(np.float32(x)) for x in (2, 0.1, 1 / 3, 9e6)]
    ['2.0', '0.1', '0.333333343', '9e+06']
    """
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = f"{value:.{SHORT}g}"
    if type(value)(text) != value:
        digits = LONG if value.dtype == np.float32 else 17
        text = f"{value:.{digits}g}"
    return text if "." in text or "e" in text else text + ".0"


def plain(array: np.ndarray, *, content: bool = False) -> Any:
    """What `dump` writes as TensorFlow Serving writes the tensor.

    Args:
        array: of any dtype; object arrays hold bytes.
        content: True: strings become `{"b64": ...}`.

    Raises: `Refusal` on a dtype that JSON has no number for, or on bytes that are
    no UTF-8.
    """
    array = np.ascontiguousarray(array).reshape(array.shape)
    if array.dtype in (np.float32, np.float64):
        return _floats(array)
    if array.dtype.name in PLAIN:
        return array if array.ndim else array.item()
    if array.dtype != object:
        kind = tensors.type_name(tensors.type_of(array))
        raise invalid(f"Failed to write JSON value for tensor type: {kind}")
    return _nested([_string(value, content) for value in array.flat], array.shape)


def _floats(array: np.ndarray) -> Any:
    """The same as `number` for each, without a text for each where that can be.

    A number rounded to nine digits is, as float64, written with these digits.
    """
    with np.errstate(invalid="ignore"):  # a signalling NaN
        wide = array.astype(np.float64)
    size = np.abs(wide)
    usual = (size >= SMALLEST) & (size < LARGEST)
    exponents = np.floor(np.log10(np.where(usual, size, 1.0))).astype(np.int64)
    power = POWERS[SHORT - 1 - exponents]
    wide = np.where(usual | (size == 0), wide, 0.0)
    short = np.rint(wide * power) / power
    same = short.astype(array.dtype) == array
    if array.dtype == np.float32:
        power = POWERS[LONG - 1 - exponents]
        wide = np.where(same, short, np.rint(wide * power) / power)
        odd = ~usual & (size != 0)
    else:
        odd = ~same
    if not odd.any():
        return wide if wide.ndim else wide.item()
    values: list[Any] = wide.reshape(-1).tolist()
    flat = array.reshape(-1)
    for place in np.flatnonzero(odd).tolist():
        values[place] = orjson.Fragment(number(flat[place]))
    return _nested(values, array.shape)


def _nested(values: list[Any], shape: tuple[int, ...]) -> Any:
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape).tolist()


def _string(value: bytes, content: bool) -> Any:
    if content:
        return {"b64": base64.b64encode(value).decode()}
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        text = "a string that is no UTF-8 is written only for an output named ..._bytes"
        raise invalid(f"Failed to write JSON value: {text}") from error


def invalid(text: str) -> Refusal:
    """What a caller that sent the wrong thing is told; it is raised."""
    return Refusal("INVALID_ARGUMENT", text)
