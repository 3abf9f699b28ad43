"""The body of an HTTP request, read within bounds of size, memory and time."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from tfrec.serving.refusal import Refusal

LARGEST = 32 * 2**20
SHARE = 8  # bodies of the largest size that are held at a time
SECONDS = 30.0
GZIP = 16 + zlib.MAX_WBITS  # a gzip header is required


class BodyRefusal(Refusal):
    """Ends a request whose body cannot be had.

    Args:
        http: int. The HTTP status.
        code: str. Name of the gRPC status, for the metrics.
        message: str.
    """

    def __init__(self, http: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.http = http


class Bodies:
    """Reads bodies; all that are held together are bounded, too.

    Args:
        largest: int. Bytes of a body, before and after gzip.
        seconds: float. Time in which a body must have come.
    """

    def __init__(self, largest: int = LARGEST, seconds: float = SECONDS) -> None:
        self._largest = largest
        self._seconds = seconds
        self._room = largest * SHARE

    @contextlib.asynccontextmanager
    async def read(self, request: Any) -> AsyncIterator[bytes]:
        """The body of an aiohttp request, inflated when it is gzip.

        Raises: `BodyRefusal`.
        """
        taken = [0]
        try:
            reading = self._read(request, taken)
            try:
                data = await asyncio.wait_for(reading, self._seconds)
            except asyncio.TimeoutError:
                text = f"the body did not come within {self._seconds:g} s"
                raise BodyRefusal(408, "DEADLINE_EXCEEDED", text) from None
            except web.RequestPayloadError as error:
                text = f"the body is malformed: {error}"
                raise BodyRefusal(400, "INVALID_ARGUMENT", text) from error
            yield data
        finally:
            self._room += sum(taken)

    async def _read(self, request: Any, taken: list[int]) -> bytes:
        if (request.content_length or 0) > self._largest:
            raise self._too_large()
        chunks, size = [], 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > self._largest:
                raise self._too_large()
            self._take(len(chunk), taken)
            chunks.append(chunk)
        data = b"".join(chunks)
        if request.headers.get("Content-Encoding", "").strip().lower() != "gzip":
            return data
        self._take(self._largest, taken)  # what it inflates to is not known before
        return await asyncio.to_thread(inflate, data, self._largest)

    def _take(self, size: int, taken: list[int]) -> None:
        if size > self._room:
            text = "too many bodies are held at a time; send it again later"
            raise BodyRefusal(429, "RESOURCE_EXHAUSTED", text)
        self._room -= size
        taken.append(size)

    def _too_large(self) -> BodyRefusal:
        text = f"the body is larger than {self._largest} bytes"
        return BodyRefusal(413, "RESOURCE_EXHAUSTED", text)


def inflate(data: bytes, largest: int) -> bytes:
    """The bytes that gzip packed.

    Raises: `BodyRefusal` when it is no whole gzip, or holds more than `largest`
    bytes; no more than these are ever made.

    >>> import gzip
    >>> inflate(gzip.compress(b"[1]"), 100)
    b'[1]'
    """
    stream = zlib.decompressobj(GZIP)
    try:
        inflated = stream.decompress(data, largest + 1)
    except zlib.error as error:
        raise _no_gzip(str(error)) from error
    if len(inflated) > largest:
        text = f"the body inflates to more than {largest} bytes"
        raise BodyRefusal(413, "RESOURCE_EXHAUSTED", text)
    if not stream.eof or stream.unused_data:
        raise _no_gzip("it does not end where the body ends")
    return inflated


def _no_gzip(what: str) -> BodyRefusal:
    text = f"Failed to uncompress the gzipped body: {what}"
    return BodyRefusal(400, "INVALID_ARGUMENT", text)
