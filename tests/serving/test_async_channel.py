"""The channel of a loop does what the other one does."""

import asyncio
import threading

import pytest

from tfrec.serving import ServingError
from tfrec.serving.address import parse
from tfrec.serving.async_channel import AsyncChannel
from tfrec.serving.credentials import Credentials
from tfrec.serving.grpc_format import Request

ASKED = Request("m", "PredictionService/Predict", b"asked")


def with_channel(address, use):
    async def run():
        credentials = Credentials(token="a-secret")
        channel = AsyncChannel(parse(address), credentials, 2**20)
        try:
            return await use(channel)
        finally:
            await channel.close()

    return asyncio.run(run())


def test_an_answer(flaky_grpc):
    flaky_grpc.left.append(b"answer")
    answer = with_channel(flaky_grpc.address, lambda c: c.call(ASKED, 20.0))
    assert answer == b"answer"
    assert flaky_grpc.asked == [b"asked"]
    assert flaky_grpc.headers["authorization"] == "Bearer a-secret"


@pytest.mark.parametrize("name", ["INVALID_ARGUMENT", "UNAVAILABLE"])
def test_a_refusal(flaky_grpc, name):
    flaky_grpc.left.append(name)
    text = f'"m" at {flaky_grpc.address} answered {name}: no'
    with pytest.raises(ServingError, match=text) as caught:
        with_channel(flaky_grpc.address, lambda c: c.call(ASKED, 20.0))
    assert caught.value.code == name
    assert len(flaky_grpc.asked) == 1


def test_too_late(flaky_grpc):
    late = threading.Event()
    flaky_grpc.left.append(late)
    with pytest.raises(ServingError, match="give the client a longer") as caught:
        with_channel(flaky_grpc.address, lambda c: c.call(ASKED, 0.2))
    late.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_a_closed_channel(flaky_grpc):
    async def use(channel):
        await channel.close()
        await channel.call(ASKED, 20.0)

    with pytest.raises(ServingError, match="client is closed"):
        with_channel(flaky_grpc.address, use)
