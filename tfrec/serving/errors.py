"""The one exception of serving."""

from __future__ import annotations


class ServingError(RuntimeError):
    """A server could not be started or reached, or refused a request.

    Args:
        message: str. What happened, with the servable and the address.
        code: str. Name of the gRPC status: `"UNAVAILABLE"`,
            `"DEADLINE_EXCEEDED"`, `"INVALID_ARGUMENT"`, `"NOT_FOUND"`, ...

    >>> ServingError("gone", "UNAVAILABLE").code
    'UNAVAILABLE'
    """

    def __init__(self, message: str, code: str = "UNKNOWN") -> None:
        super().__init__(message)
        self.code = code
