"""TensorProto to NumPy and back, without a Python object a value.

A packed `float_val` on the wire is the little-endian array itself, so the typed
fields that clients read cost as little as `tensor_content`.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from tfrec.serving import packing, protos

# TensorFlow's DataType, here since a client does without TensorFlow: a name's
# place is its number.
TYPES = (
    *("invalid", "float", "double", "int32", "uint8", "int16", "int8", "string"),
    *("complex64", "int64", "bool", "qint8", "quint8", "qint32", "bfloat16"),
    *("qint16", "quint16", "uint16", "complex128", "half", "resource", "variant"),
    *("uint32", "uint64", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz"),
    *("float8_e4m3b11fnuz", "float8_e5m2fnuz", "int4", "uint4", "int2", "uint2"),
    "float4_e2m1fn",
)
REFERENCE = 100  # a reference to a type has its number and this
STRING, BOOL, COMPLEX64 = map(TYPES.index, ("string", "bool", "complex64"))
DTYPES = {  # NumPy's, where TensorFlow's name is not its name
    **{"float": "float32", "double": "float64", "half": "float16", "string": "O"},
    "bfloat16": ml_dtypes.bfloat16,
}
MAX_FILL_BYTES = 4 * 2**20
FEW = 32  # values: an array of their list is made sooner than one of the field
STRING_OVERHEAD = 32  # bytes TensorFlow and NumPy hold for a string beside its text


class Kind(NamedTuple):
    """How values of one dtype stand in a TensorProto."""

    number: int
    dtype: np.dtype
    values: str
    field: int


def _kinds() -> dict[int, Kind]:
    fields = {
        "float_val": (5, ["float"]),
        "double_val": (6, ["double"]),
        "int_val": (7, ["int32", "int16", "int8", "uint16", "uint8"]),
        "string_val": (8, ["string"]),
        "scomplex_val": (9, ["complex64"]),
        "int64_val": (10, ["int64"]),
        "bool_val": (11, ["bool"]),
        "dcomplex_val": (12, ["complex128"]),
        "half_val": (13, ["half", "bfloat16"]),
        "uint32_val": (16, ["uint32"]),
        "uint64_val": (17, ["uint64"]),
    }
    kinds = {}
    for values, (field, names) in fields.items():
        for name in names:
            number = TYPES.index(name)
            dtype = np.dtype(DTYPES.get(name, name))
            kinds[number] = Kind(number, dtype, values, field)
    return kinds


KINDS = _kinds()
RAW = ("float_val", "double_val", "bool_val", "scomplex_val", "dcomplex_val")
NUMBERS = {kind.dtype: kind.number for kind in KINDS.values()}


def type_name(number: int) -> str:
    """TensorFlow's name of a DataType: `"float"`, `"string"`, ..."""
    if 0 <= number < len(TYPES):
        return TYPES[number]
    if 0 < number - REFERENCE < len(TYPES):
        return f"{TYPES[number - REFERENCE]}_ref"
    return f"unknown dtype {number}"


def type_of(array: np.ndarray) -> int:
    """The DataType of an array; objects, bytes and text are strings."""
    number = NUMBERS.get(array.dtype)
    if number is not None:
        return number
    if array.dtype.kind in "OSU":
        return STRING
    number = NUMBERS.get(array.dtype.newbyteorder("="))
    if number is None:
        raise TypeError(f"no TensorProto holds {array.dtype}")
    return number


def decode(proto: Any, max_fill_bytes: int = MAX_FILL_BYTES) -> np.ndarray:
    """The tensor as an array, as TensorFlow reads it.

    Fewer values than the shape needs: the last one is repeated; none: zeros or
    empty strings; more: the rest is dropped. What the array takes beyond the
    values that came is bounded by `max_fill_bytes` before it is allocated.

    Args:
        proto: TensorProto.
        max_fill_bytes: int. Largest array that may be filled by repeating.

    Returns: an array, read-only when it shares the proto's bytes.
    Raises: `ValueError` when the proto is no tensor.
    """
    kind = KINDS.get(proto.dtype)
    if kind is None:
        raise ValueError(f"cannot hold {type_name(proto.dtype)}")
    shape = [dim.size for dim in proto.tensor_shape.dim]
    count = _count(shape)
    if count == 0:
        values = np.empty(0, kind.dtype)
    elif proto.tensor_content:
        values = _content(kind, proto.tensor_content, count)
    else:
        values = _fill(_values(kind, proto), count, max_fill_bytes)
    return values.reshape(shape)


def _count(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
        if size < 0 or count >= 2**63:
            raise ValueError(f"no tensor has the shape {shape}")
    return count


def _content(kind: Kind, content: bytes, count: int) -> np.ndarray:
    if kind.number == STRING:
        return _string_list(content, count)
    if len(content) != count * kind.dtype.itemsize:
        raise ValueError(f"{len(content)} bytes do not make {count} values")
    if kind.number == BOOL:
        return np.frombuffer(content, np.uint8) != 0
    return np.frombuffer(content, kind.dtype)


def _string_list(content: bytes, count: int) -> np.ndarray:
    """Strings as `tensor_content`: all lengths as varints, then all texts."""
    lengths, place = [], 0
    for _ in range(count):
        length = shift = 0
        while True:
            if place >= len(content) or shift > 63:
                raise ValueError("a length is cut off")
            byte = content[place]
            length |= (byte & 127) << shift
            place, shift = place + 1, shift + 7
            if byte < 128:
                break
        lengths.append(length)
    if place + sum(lengths) != len(content):
        raise ValueError("the lengths do not add up")
    values = np.empty(count, object)
    for index, length in enumerate(lengths):
        values[index] = content[place : place + length]
        place += length
    return values


def _values(kind: Kind, proto: Any) -> np.ndarray:
    values = getattr(proto, kind.values)
    if kind.number == STRING or len(values) <= FEW:
        values = values[:]
    if kind.values == "half_val":
        return np.array(values, np.int32).astype(np.uint16).view(kind.dtype)
    if kind.values == "int_val":
        return np.array(values, np.int32).astype(kind.dtype, copy=False)
    if kind.dtype.kind == "c":
        part = np.float32 if kind.number == COMPLEX64 else np.float64
        parts = np.array(values, part)
        return parts[: len(parts) // 2 * 2].view(kind.dtype)
    return np.array(values, kind.dtype)


def _fill(values: np.ndarray, count: int, max_fill_bytes: int) -> np.ndarray:
    if len(values) >= count:
        return values[:count] if len(values) > count else values
    if values.dtype == object:
        last: Any = values[-1] if len(values) else b""
        size = STRING_OVERHEAD + len(last)
    else:
        last = values[-1] if len(values) else np.zeros((), values.dtype)
        size = values.dtype.itemsize
    if (count - len(values)) * size > max_fill_bytes:
        raise ValueError(f"{count} values, {len(values)} of them sent: too large")
    filled = np.empty(count, values.dtype)
    filled[: len(values)] = values
    filled[len(values) :] = last
    return filled


def encode(array: np.ndarray, *, content: bool = False) -> bytes:
    """The array as the bytes of a TensorProto.

    Args:
        array: any array of a dtype that TensorProto holds; object arrays hold
            bytes or str.
        content: True: numbers go to `tensor_content`, else to the typed fields
            that clients read.

    Raises: `TypeError` on a dtype or an object that no tensor holds.

    >>> proto = protos.TensorProto.FromString(encode(np.array([1.5, 2.5], "float32")))
    >>> list(proto.float_val), decode(proto).tolist()
    ([1.5, 2.5], [1.5, 2.5])
    """
    array = np.asarray(array)
    kind = KINDS[type_of(array)]
    head = _head(kind.number, array.shape)
    if not array.size:
        return head
    if kind.number == STRING:
        texts = [_text(value) for value in array.reshape(-1).tolist()]
        return head + protos.TensorProto(string_val=texts).SerializeToString()
    array = array.astype(kind.dtype, copy=False)
    if content or kind.values in RAW:
        return head + packing.field(4 if content else kind.field, array.tobytes())
    if kind.values == "half_val":
        array = np.ascontiguousarray(array).view(np.uint16)
    return head + packing.field(kind.field, packing.varints(array))


@functools.lru_cache(1024)
def _head(number: int, shape: tuple[int, ...]) -> bytes:
    """The fields `dtype` and `tensor_shape`."""
    sizes = [packing.field(2, b"\x08" + packing.varint(size)) for size in shape]
    return b"\x08" + packing.varint(number) + packing.field(2, b"".join(sizes))


def _text(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    raise TypeError(f"a string tensor holds bytes and str, not {value!r}")
