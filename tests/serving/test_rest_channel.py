"""HTTP connections: kept open, bounded, and with the errors of gRPC's."""

import asyncio
import threading

import pytest

from tfrec.serving import ServingError, ssl_config
from tfrec.serving.address import parse
from tfrec.serving.credentials import Credentials
from tfrec.serving.grpc_format import Request
from tfrec.serving.rest_channel import RestChannel
from tfrec.serving.tokens import Token

ASKED = Request("m", "/v1/models/m:predict", b"asked")
SUMS = Request("sums", "/v1/models/sums:predict", b'{"inputs":{"a":[1],"b":[3]}}')


def ask(address, *requests, credentials=None, seconds=20.0, limit=2**20):
    async def run():
        channel = RestChannel(parse(address), credentials or Credentials(), limit)
        try:
            return [await channel.call(request, seconds) for request in requests]
        finally:
            await channel.close()

    return asyncio.run(run())


def test_answers(flaky_rest):
    flaky_rest.left += [b"answer", b"other"]
    get = Request("m", "/v1/models/m")
    credentials = Credentials(token="a-secret")
    answers = ask(flaky_rest.address, ASKED, get, credentials=credentials)
    assert answers == [b"answer", b"other"]
    assert flaky_rest.asked == [b"asked", b""]
    assert flaky_rest.headers["authorization"] == "Bearer a-secret"


@pytest.mark.parametrize(
    "name", ["INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL", "UNAVAILABLE"]
)
def test_a_refusal(flaky_rest, name):
    flaky_rest.left.append(name)
    text = f'"m" at {flaky_rest.address} answered {name}: no'
    with pytest.raises(ServingError, match=text) as caught:
        ask(flaky_rest.address, ASKED)
    assert caught.value.code == name
    assert len(flaky_rest.asked) == 1


def test_too_late(flaky_rest):
    late = threading.Event()
    flaky_rest.left.append(late)
    with pytest.raises(ServingError, match="give the client a longer") as caught:
        ask(flaky_rest.address, ASKED, seconds=0.2)
    late.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_too_large(flaky_rest):
    flaky_rest.left += [b"x" * 1000, b"x" * 1001]
    assert ask(flaky_rest.address, ASKED, limit=1000) == [b"x" * 1000]
    with pytest.raises(ServingError, match="more than 1000 bytes") as caught:
        ask(flaky_rest.address, ASKED, limit=1000)
    assert caught.value.code == "RESOURCE_EXHAUSTED"


def test_nobody_is_there():
    with pytest.raises(ServingError, match="Is the server running there") as caught:
        ask("http://127.0.0.1:1", ASKED)
    assert caught.value.code == "UNAVAILABLE"


def test_no_servable_of_ours_is_there(web):
    """What is no JSON with an error is shown as it is."""
    with pytest.raises(ServingError, match="HTTP status 404: Not Found") as caught:
        ask(f"http://127.0.0.1:{web.port}", Request("m", "/elsewhere"))
    assert caught.value.code == "NOT_FOUND"


def test_a_connection_is_used_again(start_web, monkeypatch):
    web = start_web()
    made = []
    from aiohttp import TCPConnector

    create = TCPConnector._create_connection

    async def counted(self, *arguments, **more):
        made.append(1)
        return await create(self, *arguments, **more)

    monkeypatch.setattr(TCPConnector, "_create_connection", counted)
    ask(f"http://127.0.0.1:{web.port}", SUMS, SUMS, SUMS)
    assert len(made) == 1


def test_a_closed_channel():
    async def run():
        channel = RestChannel(parse("http://127.0.0.1:1"), Credentials(), 2**20)
        await channel.close()
        await channel.call(ASKED, 20.0)

    with pytest.raises(ServingError, match="client is closed"):
        asyncio.run(run())


def test_tls_a_certificate_and_a_token(start_web, certificates):
    def text(name):
        return (certificates / name).read_text()

    config = ssl_config.SslConfig(
        text("server.key"), text("server.pem"), text("ca.pem"), True
    )
    token = "a-secret-of-tests"
    web = start_web(context=config.context(), token=Token(token.encode()))
    address = f"https://127.0.0.1:{web.port}"
    ca = certificates / "ca.pem"
    pair = (certificates / "client.pem", certificates / "client.key")
    (answer,) = ask(address, SUMS, credentials=Credentials(ca, *pair, token=token))
    assert b'"outputs"' in answer
    for credentials, code in (
        (Credentials(ca, *pair), "UNAUTHENTICATED"),
        (Credentials(ca, *pair, token=token + "x"), "UNAUTHENTICATED"),
        (Credentials(ca, token=token), "UNAVAILABLE"),
        (Credentials(None, *pair, token=token), "UNAVAILABLE"),
    ):
        with pytest.raises(ServingError) as caught:
            ask(address, SUMS, credentials=credentials)
        assert caught.value.code == code
