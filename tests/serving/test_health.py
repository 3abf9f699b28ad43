"""grpc.health.v1 over a real channel."""

import asyncio

import grpc
import pytest

from tfrec.serving import packing
from tfrec.serving.health import NOT_SERVING, SERVING, UNKNOWN_SERVICE, Health

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"


def test_check_and_watch():
    async def run():
        health = Health()
        server = grpc.aio.server()
        server.add_generic_rpc_handlers([health.handler()])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            check = channel.unary_unary(CHECK)
            for name in (b"", b"ModelService", b"PredictionService"):
                assert await check(packing.field(1, name)) == SERVING
            assert await check(b"") == SERVING
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await check(packing.field(1, b"tensorflow.serving.ModelService"))
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
            watching = channel.unary_stream(WATCH)(b"")
            assert await watching.read() == SERVING
            odd = channel.unary_stream(WATCH)(packing.field(1, b"odd"))
            assert await odd.read() == UNKNOWN_SERVICE
            health.stop()
            assert await watching.read() == NOT_SERVING
            assert await watching.read() is grpc.aio.EOF
            assert await check(b"") == NOT_SERVING
            await odd.read()
            await odd.read()
        await server.stop(None)

    asyncio.run(run())


def test_the_bytes_are_the_protos():
    protos = pytest.importorskip("grpc_health.v1.health_pb2")
    states = protos.HealthCheckResponse
    for data, state in [
        (SERVING, states.SERVING),
        (NOT_SERVING, states.NOT_SERVING),
        (UNKNOWN_SERVICE, states.SERVICE_UNKNOWN),
    ]:
        assert states.FromString(data).status == state
