"""Cuts rows so that no request and no answer is larger than a message may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tfrec import _checks

HEADER = 96  # more than a tensor's own dtype, shape and lengths take
STRING_HEADER = 6  # tag and length of a string
UNKNOWN = 64  # assumed for a size, or a string's bytes, that nobody told
VALUE_BYTES = {"float32": 4, "float64": 8, "bool": 1, "string": UNKNOWN}
VALUE_BYTES["int64"] = 10  # the longest an integer can be, of any width


def split(
    inputs: Mapping[str, np.ndarray],
    by_row: Iterable[str],
    outputs: Mapping[str, Mapping[str, Any]],
    max_message_bytes: int,
    *,
    row_bytes: Callable[[np.ndarray], np.ndarray] | None = None,
    value_bytes: Mapping[str, int] | None = None,
) -> list[slice]:
    """The fewest consecutive pieces of rows that fit, in order.

    Args:
        inputs: arrays of a request.
        by_row: names of those that are cut; the others go with every piece.
        outputs: dtype and shape of what a row is answered with.
        max_message_bytes: int >= 1.
        row_bytes: what each row of an array takes; None: over gRPC.
        value_bytes: what a value of an answer takes, by dtype; None: over gRPC.

    Raises: `ValueError` when a single row does not fit, or rows must be cut and an
    output is not one entry a row.

    >>> rows = {"x": np.zeros((4, 100), "float32")}
    >>> split(rows, ["x"], {}, 1000)
    [slice(0, 2, None), slice(2, 4, None)]
    """
    by_row = list(by_row)
    measure, values = row_bytes or grpc_row_bytes, value_bytes or VALUE_BYTES
    fixed = HEADER + sum(HEADER + len(name.encode()) for name in inputs)
    fixed += sum(len(name.encode()) for name in outputs)
    fixed += sum(
        int(measure(np.atleast_1d(array)).sum())
        for name, array in inputs.items()
        if name not in by_row
    )
    total = np.sum([measure(inputs[name]) for name in by_row], axis=0)
    ends = np.concatenate([[0], np.cumsum(total)])
    answer = sum(_answer_bytes(told, values) for told in outputs.values())
    answer_fixed = HEADER + sum(HEADER + len(name.encode()) for name in outputs)
    most_rows = max((max_message_bytes - answer_fixed) // max(answer, 1), 0)
    pieces, begin, count = [], 0, len(ends) - 1
    while begin < count:
        room = ends[begin] + max_message_bytes - fixed
        end = int(np.searchsorted(ends, room, side="right")) - 1
        end = min(end, begin + most_rows, count)
        if end <= begin:
            needs = max(fixed + int(total[begin]), answer_fixed + answer)
            rule = f"must hold one row, and row {begin} takes up to {needs} bytes"
            way_out = "Raise it at the client and at the server."
            raise _checks.argument(
                "Client", "max_message_bytes", rule, max_message_bytes, way_out
            )
        pieces.append(slice(begin, end))
        begin = end
    for name, told in outputs.items():
        if len(pieces) > 1 and told["shape"][:1] != [None]:
            rule = f'must hold all rows: output "{name}" is not one entry a row'
            raise _checks.argument(
                "Client", "max_message_bytes", rule, max_message_bytes
            )
    return pieces


def of_width(
    outputs: Mapping[str, Mapping[str, Any]], width: int, max_message_bytes: int
) -> dict[str, dict[str, Any]]:
    """Outputs whose unknown sizes are `width`, or what a message holds of one row.

    A list may be shorter than is asked for: one row is sent, however wide.

    >>> told = {"item_id": {"dtype": "int64", "shape": [None, None]}}
    >>> of_width(told, 500, 10_000)["item_id"]["shape"]
    [None, 500]
    """
    open_ends = [told for told in outputs.values() if None in told["shape"][1:]]
    place = sum(VALUE_BYTES.get(told["dtype"], 10) for told in open_ends)
    width = max(min(width, max_message_bytes // max(2 * place, 1)), 1)
    return {
        name: {
            **told,
            "shape": [
                *told["shape"][:1],
                *(width if size is None else size for size in told["shape"][1:]),
            ],
        }
        for name, told in outputs.items()
    }


def grpc_row_bytes(array: np.ndarray) -> np.ndarray:
    """Bytes that each row of an array takes in a request, `(rows,)` int64."""
    rows = len(array)
    if array.dtype != object:
        size = array.itemsize * int(np.prod(array.shape[1:]))
        return np.full(rows, size, np.int64)
    texts = array.reshape(-1).tolist()
    lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + STRING_HEADER
    return lengths.reshape(rows, -1).sum(axis=1)


def _answer_bytes(
    told: Mapping[str, Any], values: Mapping[str, int] = VALUE_BYTES
) -> int:
    sizes = [UNKNOWN if size is None else size for size in told["shape"][1:]]
    return values.get(told["dtype"], values["int64"]) * int(np.prod(sizes))
