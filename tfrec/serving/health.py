"""`grpc.health.v1.Health`: the process is up. Of models it says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from tfrec.serving import packing

SERVICES = (b"", b"ModelService", b"PredictionService")
SERVING, NOT_SERVING, UNKNOWN_SERVICE = (b"\x08\x01", b"\x08\x02", b"\x08\x03")


class Health:
    """Answers Check and Watch until `stop`."""

    def __init__(self) -> None:
        self._stopped = asyncio.Event()

    def handler(self) -> grpc.GenericRpcHandler:
        """What a `grpc.aio` server is given."""
        return grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health",
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
            },
        )

    def stop(self) -> None:
        """From now on NOT_SERVING; ends every Watch."""
        self._stopped.set()

    async def _check(self, data: bytes, context: Any) -> bytes:
        if not _known(data):
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return NOT_SERVING if self._stopped.is_set() else SERVING

    async def _watch(self, data: bytes, context: Any) -> AsyncIterator[bytes]:
        if not self._stopped.is_set():
            yield SERVING if _known(data) else UNKNOWN_SERVICE
            await self._stopped.wait()
        yield NOT_SERVING


def _known(data: bytes) -> bool:
    """True for a HealthCheckRequest about one of `SERVICES`: it has one string."""
    return data in {packing.field(1, name) for name in SERVICES} | {b""}
