"""A gRPC connection: sends bytes once, and turns every failure into one error."""

from __future__ import annotations

from typing import Any

import grpc

from tfrec.serving import retries
from tfrec.serving.address import Address
from tfrec.serving.credentials import Credentials
from tfrec.serving.grpc_format import Request


class Channel:
    """A gRPC channel to a server of TensorFlow Serving's API.

    Threads may share it; all requests go over one connection.

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
        self._open = True
        self._channel = connect(grpc, address, credentials, max_message_bytes)

    def call(self, request: Request, seconds: float) -> bytes:
        """The answer to one request.

        Raises: `ServingError`.
        """
        if not self._open:
            raise retries.closed(self._address.text, request.servable)
        send = self._channel.unary_unary(f"/tensorflow.serving.{request.place}")
        try:
            return send(request.data, timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise retries.failed(
                self._address.text,
                request.servable,
                error.code().name,
                error.details(),
            ) from error

    def close(self) -> None:
        """Ends the connection."""
        self._open = False
        self._channel.close()


def connect(
    library: Any, address: Address, credentials: Credentials, max_message_bytes: int
) -> Any:
    """A channel of `grpc` or `grpc.aio`."""
    options = [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    if address.secure:
        tls = credentials.channel()
        return library.secure_channel(address.target, tls, options=options)
    return library.insecure_channel(address.target, options=options)
