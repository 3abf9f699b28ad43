"""A connection sends once, and each of its failures is one kind of error."""

import threading

import pytest

from tfrec.serving import ServingError, ssl_config
from tfrec.serving.address import parse
from tfrec.serving.channel import Channel
from tfrec.serving.credentials import Credentials
from tfrec.serving.grpc_format import Request

ASKED = Request("m", "PredictionService/Predict", b"asked")


@pytest.fixture
def channel(flaky_grpc):
    made = Channel(parse(flaky_grpc.address), Credentials(token="a-secret"), 2**20)
    yield made
    made.close()


def test_an_answer(flaky_grpc, channel):
    flaky_grpc.left += [b"answer", b"other"]
    assert channel.call(ASKED, 20.0) == b"answer"
    assert channel.call(ASKED, 20.0) == b"other"
    assert flaky_grpc.asked == [b"asked"] * 2
    assert flaky_grpc.headers["authorization"] == "Bearer a-secret"


@pytest.mark.parametrize(
    "name", ["INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL", "UNAVAILABLE"]
)
def test_a_refusal(flaky_grpc, channel, name):
    flaky_grpc.left.append(name)
    text = f'"m" at {flaky_grpc.address} answered {name}: no'
    with pytest.raises(ServingError, match=text) as caught:
        channel.call(ASKED, 20.0)
    assert caught.value.code == name
    assert len(flaky_grpc.asked) == 1  # who retries is the client


def test_too_late(flaky_grpc, channel):
    late = threading.Event()
    flaky_grpc.left.append(late)
    with pytest.raises(ServingError, match="give the client a longer") as caught:
        channel.call(ASKED, 0.2)
    late.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_too_large(flaky_grpc, channel):
    flaky_grpc.left += [b"x" * 2**20 + b"x"]
    with pytest.raises(ServingError, match="Lower `max_message_bytes`") as caught:
        channel.call(ASKED, 20.0)
    assert caught.value.code == "RESOURCE_EXHAUSTED"


def test_nobody_is_there():
    channel = Channel(parse("127.0.0.1:1"), Credentials(), 2**20)
    with pytest.raises(ServingError, match="Is the server running there") as caught:
        channel.call(ASKED, 20.0)
    assert caught.value.code == "UNAVAILABLE"
    channel.close()


def test_a_closed_channel():
    channel = Channel(parse("127.0.0.1:1"), Credentials(), 2**20)
    channel.close()
    with pytest.raises(ServingError, match="client is closed"):
        channel.call(ASKED, 20.0)


def test_tls_and_a_certificate(certificates):
    """Only who trusts the server and shows a certificate gets an answer."""
    import concurrent.futures

    import grpc

    def text(name):
        return (certificates / name).read_text()

    config = ssl_config.SslConfig(
        text("server.key"), text("server.pem"), text("ca.pem"), True
    )
    handler = grpc.unary_unary_rpc_method_handler(lambda data, context: data)
    service = grpc.method_handlers_generic_handler(
        "tensorflow.serving.PredictionService", {"Predict": handler}
    )
    ca = certificates / "ca.pem"
    pair = (certificates / "client.pem", certificates / "client.key")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool, handlers=[service])
        port = server.add_secure_port("127.0.0.1:0", config.credentials())
        server.start()
        address = parse(f"grpcs://127.0.0.1:{port}")
        answers = []
        for credentials in (
            Credentials(ca, *pair),
            Credentials(ca),
            Credentials(None, *pair),
        ):
            channel = Channel(address, credentials, 2**20)
            try:
                answers.append(channel.call(ASKED, 20.0))
            except ServingError as error:
                answers.append(error.code)
            channel.close()
        server.stop(None).wait()
    assert answers == [b"asked", "UNAVAILABLE", "UNAVAILABLE"]
