"""Failures of a connection are one kind of error; UNAVAILABLE is tried again."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tfrec.serving import ServingError
from tfrec.serving import channel as channel_module
from tfrec.serving.channel import Channel

METHOD = "PredictionService/Predict"


@pytest.fixture
def answers():
    """A server that plays a list: bytes are answered, codes refused, events awaited."""
    left, asked = [], []

    def handle(data, context):
        asked.append(data)
        one = left.pop(0)
        if isinstance(one, bytes):
            return one
        if isinstance(one, threading.Event):
            one.wait(30)
            return b""
        context.abort(one, "no")

    handler = grpc.unary_unary_rpc_method_handler(handle)
    service = grpc.method_handlers_generic_handler(
        "tensorflow.serving.PredictionService", {"Predict": handler}
    )
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool, handlers=[service])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        left_and_asked = (f"127.0.0.1:{port}", left, asked)
        yield left_and_asked
        server.stop(None).wait()


@pytest.fixture
def pauses(monkeypatch):
    slept = []
    monkeypatch.setattr(channel_module.time, "sleep", slept.append)
    return slept


def test_unavailable_is_tried_again(answers, pauses):
    address, left, asked = answers
    left += [grpc.StatusCode.UNAVAILABLE] * 3 + [b"answer"]
    channel = Channel(address, 20.0, 2**20)
    assert channel.call(METHOD, "m", b"asked") == b"answer"
    assert asked == [b"asked"] * 4
    assert pauses == [0.1, 0.2, 0.4]
    channel.close()


def test_it_gives_up(answers, pauses):
    address, left, asked = answers
    left += [grpc.StatusCode.UNAVAILABLE] * 9
    channel = Channel(address, 20.0, 2**20)
    with pytest.raises(ServingError, match=f'"m" at {address} answered UNAVAILABLE'):
        channel.call(METHOD, "m", b"")
    assert len(asked) == 4
    channel.close()


def test_it_gives_up_before_the_timeout(answers, pauses):
    address, left, _ = answers
    left += [grpc.StatusCode.UNAVAILABLE] * 9
    channel = Channel(address, 0.09, 2**20)
    with pytest.raises(ServingError):
        channel.call(METHOD, "m", b"")
    assert not pauses
    channel.close()


@pytest.mark.parametrize("name", ["INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL"])
def test_other_codes_are_final(answers, pauses, name):
    address, left, asked = answers
    left.append(grpc.StatusCode[name])
    channel = Channel(address, 20.0, 2**20)
    with pytest.raises(ServingError, match=f"answered {name}: no") as caught:
        channel.call(METHOD, "m", b"")
    assert caught.value.code == name
    assert len(asked) == 1
    channel.close()


def test_the_timeout(answers, pauses):
    address, left, _ = answers
    late = threading.Event()
    left.append(late)
    channel = Channel(address, 0.2, 2**20)
    with pytest.raises(ServingError, match="give the client a longer") as caught:
        channel.call(METHOD, "m", b"")
    late.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"
    channel.close()


def test_nobody_is_there(pauses):
    channel = Channel("127.0.0.1:1", 20.0, 2**20)
    with pytest.raises(ServingError, match="Is the server running there") as caught:
        channel.call(METHOD, "m", b"")
    assert caught.value.code == "UNAVAILABLE"
    channel.close()


def test_a_closed_channel():
    channel = Channel("127.0.0.1:1", 20.0, 2**20)
    channel.close()
    with pytest.raises(ServingError, match="client is closed"):
        channel.call(METHOD, "m", b"")
