"""A request that the server answers with an error."""

from __future__ import annotations

import grpc

LONGEST_MESSAGE = 1024  # it travels in trailers, which clients bound at 8 KiB


class Refusal(Exception):
    """Ends the handling of a request.

    Args:
        code: str. Name of the gRPC status.
        message: str. Cut to 1024 bytes, as TensorFlow Serving does.

    >>> len(Refusal("NOT_FOUND", "x" * 2000).message)
    1036
    """

    def __init__(self, code: str, message: str) -> None:
        data = message.encode("utf-8", "replace")
        if len(data) > LONGEST_MESSAGE:
            cut = data[:LONGEST_MESSAGE].decode("utf-8", "ignore")
            message = cut + "...TRUNCATED"
        super().__init__(message)
        self.code = grpc.StatusCode[code]
        self.message = message


def code_name(number: int) -> str:
    """Name of a canonical status number, as TensorFlow's errors carry it.

    >>> code_name(3)
    'INVALID_ARGUMENT'
    """
    names = {code.value[0]: code.name for code in grpc.StatusCode}
    return names.get(number, "UNKNOWN")
