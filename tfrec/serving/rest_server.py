"""The HTTP listener: its socket, its bounds in time, its end."""

from __future__ import annotations

import logging
import socket
import ssl
from typing import Any

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError

from tfrec.serving.errors import ServingError
from tfrec.serving.rest import Rest

SECONDS_IDLE = 75.0  # until a connection without a whole request's head is closed
SECONDS_LINGERING = 2.0  # for what remains of a body that is not read
SECONDS_UNREAD = 30.0  # until a client that takes no answer is cut off
BACKLOG = 512


class _Thought(logging.Filter):
    """Keeps a traceback for each malformed request out of the log: they are told."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, (HttpProcessingError, web.RequestPayloadError))


logger = logging.getLogger(__name__)
logger.addFilter(_Thought())


class _Connection(web.RequestHandler):
    """Tells the reader of a body at once when the body turns out to be malformed.

    aiohttp's parser in C tells only whoever asks next on the connection, and the
    reader waits for its whole time.
    """

    content: Any = None  # the body of the request that is answered

    def data_received(self, data: bytes) -> None:
        """Parses what came; ends the bodies that cannot go on."""
        super().data_received(data)
        if not self._messages or isinstance(self._messages[-1][0], RawRequestMessage):
            return
        for content in (self.content, *(content for _, content in self._messages)):
            if content is not None and not content.is_eof():
                content.set_exception(
                    web.RequestPayloadError("no chunk looks like this")
                )
                content.feed_eof()


class _Connections(web.Server):
    """Makes a `_Connection` for each peer."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)

    def _make_request(
        self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any
    ) -> web.BaseRequest:
        protocol.content = payload
        return super()._make_request(message, payload, protocol, writer, task)


class RestServer:
    """Listens for HTTP and answers with a `Rest`.

    Args:
        rest: answers the requests.
        idle: float. Seconds until a connection that asks nothing is closed.
        unread: float. Seconds until one that takes no answer is.
        drain: float. Seconds that requests have to end in `stop`.
    """

    def __init__(
        self,
        rest: Rest,
        idle: float = SECONDS_IDLE,
        unread: float = SECONDS_UNREAD,
        drain: float = 30.0,
    ) -> None:
        self._rest = rest
        self._drain = drain
        self._idle = idle
        self._unread = unread
        self._runner: web.ServerRunner | None = None

    async def start(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None = None,
        *,
        reuse_port: bool = False,
    ) -> int:
        """Answers from now on; returns the port.

        Raises: `ServingError` when it cannot listen there.
        """
        listening = self._listen(host, port, reuse_port)
        runner = web.ServerRunner(
            _Connections(
                self._handle,
                access_log=None,
                logger=logger,
                auto_decompress=False,
                keepalive_timeout=self._idle,
                lingering_time=SECONDS_LINGERING,
            ),
            shutdown_timeout=self._drain,
        )
        self._runner = runner
        await runner.setup()
        site = web.SockSite(runner, listening, ssl_context=context, backlog=BACKLOG)
        await site.start()
        return int(listening.getsockname()[1])

    async def stop(self) -> None:
        """Takes nothing new and ends what was accepted."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._rest.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await self._rest.handle(request)

    def _listen(self, host: str, port: int, reuse_port: bool) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            made = socket.create_server(
                (host, port), family=family, backlog=BACKLOG, reuse_port=reuse_port
            )
        except OSError as error:
            raise ServingError(
                f"serve: cannot listen on {host}:{port} for REST. Received: {error}. "
                "Stop what listens there, or choose another `rest_api_port`.",
                "UNAVAILABLE",
            ) from error
        made.setblocking(False)
        # Each connection inherits these: a peer that is gone is noticed.
        for name, value in (
            ("TCP_KEEPIDLE", 60),
            ("TCP_KEEPINTVL", 10),
            ("TCP_KEEPCNT", 3),
            ("TCP_USER_TIMEOUT", int(self._unread * 1000)),
        ):
            if hasattr(socket, name):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return made
