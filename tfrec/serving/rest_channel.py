"""HTTP connections: sends a request once, and turns every failure into one error."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import aiohttp
import orjson
from yarl import URL

from tfrec.serving import retries
from tfrec.serving.address import Address
from tfrec.serving.credentials import Credentials
from tfrec.serving.grpc_format import Request

CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
LARGE = 2**19  # bytes that the loop does not send at one go
LONGEST_SHOWN = 1024  # bytes of an answer that is not what it should be


class RestChannel:
    """Connections to a server's REST API, kept open between requests.

    They belong to the loop that first uses them.

    Args:
        address: `Address`.
        credentials: `Credentials`.
        max_message_bytes: int. Largest body of an answer.
    """

    def __init__(
        self, address: Address, credentials: Credentials, max_message_bytes: int
    ) -> None:
        self._address = address
        self._credentials = credentials
        self._max_message_bytes = max_message_bytes
        self._open = True
        self._session: aiohttp.ClientSession | None = None

    async def call(self, request: Request, seconds: float) -> bytes:
        """The answer to one request.

        Raises: `ServingError`.
        """
        if not self._open:
            raise retries.closed(self._address.text, request.servable)
        if self._session is None:
            self._session = self._connect()
        url = URL(self._address.target + request.place, encoded=True)
        data: Any = request.data or None
        if len(request.data) > LARGE:
            data = io.BytesIO(request.data)
        try:
            async with self._session.request(
                "POST" if request.data else "GET",
                url,
                data=data,
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                status, answer = response.status, await self._read(response)
        except asyncio.TimeoutError as error:
            code, text = "DEADLINE_EXCEEDED", "Deadline Exceeded"
            raise self._failed(request, code, text) from error
        except (aiohttp.ClientError, OSError) as error:
            text = str(error) or type(error).__name__
            raise self._failed(request, "UNAVAILABLE", text) from error
        if answer is None:
            text = f"an answer of more than {self._max_message_bytes} bytes"
            raise self._failed(request, "RESOURCE_EXHAUSTED", text)
        if status != 200:
            code = CODES.get(status, "UNKNOWN")
            raise self._failed(request, code, _message(status, answer))
        return answer

    async def close(self) -> None:
        """Ends the connections."""
        self._open = False
        if self._session is not None:
            await self._session.close()

    def _connect(self) -> aiohttp.ClientSession:
        tls: Any = self._credentials.context() if self._address.secure else True
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls),
            headers={"Content-Type": "application/json", **self._credentials.headers()},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | None:
        """The body; None when it is larger than it may be."""
        parts, size = [], 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > self._max_message_bytes:
                return None
            parts.append(part)
        return b"".join(parts)

    def _failed(self, request: Request, code: str, text: str) -> Exception:
        return retries.failed(self._address.text, request.servable, code, text)


def _message(status: int, data: bytes) -> str:
    try:
        return str(orjson.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        shown = data[:LONGEST_SHOWN].decode("utf-8", "replace").strip()
        return f"HTTP status {status}: {shown}"
