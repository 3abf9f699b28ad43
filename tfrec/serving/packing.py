"""Protobuf's wire format, as much of it as a tensor needs."""

from __future__ import annotations

import numpy as np

ONE_BYTE = [bytes([value]) for value in range(128)]
BYTES = 2  # wire type of everything that carries its length


def varint(value: int) -> bytes:
    """A non-negative int as a varint.

    >>> varint(300).hex()
    'ac02'
    """
    if value < 128:
        return ONE_BYTE[value]
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """A field that carries bytes: a string, a message or packed numbers.

    >>> field(1, b"ab").hex()
    '0a026162'
    """
    return varint(number << 3 | BYTES) + varint(len(payload)) + payload


def varints(values: np.ndarray) -> bytes:
    """Integers one after the other as varints; negative ones take ten bytes.

    >>> varints(np.array([1, 300])).hex()
    '01ac02'
    """
    if values.dtype.kind != "u":
        values = values.astype(np.int64)
    values = values.astype(np.uint64).reshape(-1)
    if not values.size:
        return b""
    largest = int(values.max())
    if largest < 128:
        return values.astype(np.uint8).tobytes()
    width = -(-largest.bit_length() // 7)
    groups = values[:, None] >> (np.arange(width, dtype=np.uint64) * np.uint64(7))
    used = groups > 0
    used[:, 0] = True
    encoded = (groups & np.uint64(127)).astype(np.uint8)
    encoded[:, :-1] |= used[:, 1:].astype(np.uint8) << 7
    return encoded[used].tobytes()
