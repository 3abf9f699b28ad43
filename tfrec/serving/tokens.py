"""A bearer token that every request must carry, read from a file."""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc

from tfrec.serving.errors import ServingError

SHORTEST = 16  # characters: anything shorter can be guessed
REFUSED = "a bearer token is needed: `authorization: Bearer TOKEN`"
HEALTH = "/grpc.health.v1.Health/"  # probes carry no token


class Token:
    """A secret to compare with.

    Args:
        secret: bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._expected = b"Bearer " + secret

    def allows(self, header: str | bytes | None) -> bool:
        """True when an `authorization` header carries it.

        The time that it takes does not tell how much of it is right.

        >>> Token(b"a-secret-of-tests").allows("Bearer a-secret-of-tests")
        True
        """
        if header is None:
            return False
        data = header.encode("utf-8", "replace") if isinstance(header, str) else header
        scheme, _, secret = data.partition(b" ")
        given = scheme.capitalize() + b" " + secret.strip()
        return hmac.compare_digest(given, self._expected)


def read(path: str | os.PathLike[str]) -> Token:
    """The token that a file holds, without the spaces and line ends around it.

    Raises: `ServingError` when the file is not there, or holds no token of one
    line and at least 16 visible ASCII characters.
    """
    received = f"Received: token_file={os.fspath(path)!r}"
    try:
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        rule = "serve: `token_file` must be a readable file"
        raise ServingError(f"{rule}. {received}: {error}", "NOT_FOUND") from error
    if len(secret) < SHORTEST or not all(32 < byte < 127 for byte in secret):
        rule = f"one line of at least {SHORTEST} visible ASCII characters"
        raise ServingError(
            f"serve: `token_file` must hold a token, {rule}. {received} with "
            f"{len(secret)} bytes.",
            "INVALID_ARGUMENT",
        )
    return Token(secret)


class Interceptor(grpc.aio.ServerInterceptor):
    """Refuses gRPC calls without the token, but for health checks.

    Args:
        token: the `Token`.
    """

    def __init__(self, token: Token) -> None:
        self._token = token

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: Any
    ) -> Any:
        """gRPC asks here for the handler of each call."""
        if not details.method.startswith(HEALTH):
            sent = dict(details.invocation_metadata)
            if not self._token.allows(sent.get("authorization")):
                return grpc.unary_unary_rpc_method_handler(_refuse)
        return await continuation(details)


async def _refuse(request: bytes, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, REFUSED)
