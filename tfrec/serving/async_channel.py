"""The gRPC connection of `Channel`, for an event loop."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from tfrec.serving import retries
from tfrec.serving.address import Address
from tfrec.serving.channel import connect
from tfrec.serving.credentials import Credentials
from tfrec.serving.grpc_format import Request


class AsyncChannel:
    """A gRPC channel of the loop that first uses it.

    Args:
        address: `Address`.
        credentials: `Credentials`.
        max_message_bytes: int. Largest message, both ways.
    """

    def __init__(
        self, address: Address, credentials: Credentials, max_message_bytes: int
    ) -> None:
        self._address = address
        self._metadata = tuple(credentials.headers().items())
        self._arguments = (address, credentials, max_message_bytes)
        self._open = True
        self._channel: Any = None  # made where a loop runs

    async def call(self, request: Request, seconds: float) -> bytes:
        """The answer to one request.

        Raises: `ServingError`.
        """
        if not self._open:
            raise retries.closed(self._address.text, request.servable)
        if self._channel is None:
            self._channel = connect(grpc.aio, *self._arguments)
        send = self._channel.unary_unary(f"/tensorflow.serving.{request.place}")
        try:
            return await send(request.data, timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise retries.failed(
                self._address.text,
                request.servable,
                error.code().name,
                error.details(),
            ) from error

    async def close(self) -> None:
        """Ends the connection."""
        self._open = False
        if self._channel is not None:
            await self._channel.close()
