"""One connection: sends bytes, retries, and turns every failure into one error."""

from __future__ import annotations

import time

import grpc

from tfrec.serving.errors import ServingError

RETRIES = 3
FIRST_PAUSE = 0.1  # seconds; doubled from one retry to the next
WAYS_OUT = {
    "UNAVAILABLE": "Is the server running there? `tfrec serve` prints its address.",
    "DEADLINE_EXCEEDED": "Send fewer rows, or give the client a longer `timeout`.",
    "RESOURCE_EXHAUSTED": "Lower `max_message_bytes` to the server's limit, or raise "
    "both.",
}


class Channel:
    """A gRPC channel to a server of TensorFlow Serving's API.

    Args:
        address: str. `"host:port"`.
        timeout: number. Seconds that a request may take with its retries.
        max_message_bytes: int. Largest message, both ways.
    """

    def __init__(self, address: str, timeout: float, max_message_bytes: int) -> None:
        self.address = address
        self._timeout = timeout
        self._open = True
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.min_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )

    def call(self, method: str, servable: str, data: bytes) -> bytes:
        """The answer to one request.

        UNAVAILABLE is retried three times, after 0.1, 0.2 and 0.4 seconds, as far
        as the timeout allows: no request changes anything at the server.
        Raises: `ServingError`.
        """
        if not self._open:
            text = f'Client: servable "{servable}" at {self.address}: client is closed.'
            raise ServingError(text, "CANCELLED")
        send = self._channel.unary_unary(f"/tensorflow.serving.{method}")
        end = time.monotonic() + self._timeout
        pauses = [FIRST_PAUSE * 2**retry for retry in range(RETRIES)]
        while True:
            try:
                return send(data, timeout=max(end - time.monotonic(), 0.001))
            except grpc.RpcError as error:
                code = error.code().name
                pause = pauses.pop(0) if pauses else self._timeout
                if code != "UNAVAILABLE" or time.monotonic() + pause >= end:
                    raise self._failed(servable, code, error.details()) from error
            time.sleep(pause)

    def _failed(self, servable: str, code: str, details: str) -> ServingError:
        text = f'Client: servable "{servable}" at {self.address} answered {code}: '
        text += (details or "").rstrip()
        text += "" if text.endswith((".", "!", "?")) else "."
        return ServingError(f"{text} {WAYS_OUT.get(code, '')}".rstrip(), code)

    def close(self) -> None:
        """Ends the connection."""
        self._open = False
        self._channel.close()
