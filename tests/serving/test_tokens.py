"""A bearer token over gRPC; over HTTP: test_rest.py."""

import asyncio
import re

import grpc
import pytest

from tfrec.serving import ServingError, tokens

SECRET = b"a-secret-of-the-tests"


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("Bearer a-secret-of-the-tests", True),
        ("bearer a-secret-of-the-tests", True),
        (b"Bearer a-secret-of-the-tests", True),
        ("Bearer a-secret-of-the-test", False),
        ("Bearer a-secret-of-the-tests2", False),
        ("Bearer  ", False),
        ("Bearer", False),
        ("Basic a-secret-of-the-tests", False),
        ("a-secret-of-the-tests", False),
        ("Bearer \udcff\u00e9", False),
        ("", False),
        (None, False),
    ],
)
def test_headers(header, allowed):
    assert tokens.Token(SECRET).allows(header) is allowed


def test_a_file_may_end_its_line(tmp_path):
    path = tmp_path / "token"
    path.write_bytes(SECRET + b"\r\n")
    assert tokens.read(path).allows("Bearer " + SECRET.decode())


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "`token_file` must be a readable file. Received: token_file='"),
        (b"", "`token_file` must hold a token, one line of at least 16 visible ASCII"),
        (b"short\n", "with 5 bytes."),
        (b"two-lines-are-not\none-token-at-all", "must hold a token"),
        ("naïve-and-long-enough".encode(), "must hold a token"),
    ],
)
def test_bad_files(tmp_path, content, text):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ServingError, match=re.escape(text)) as caught:
        tokens.read(path)
    assert "one-token-at-all" not in str(caught.value)


def test_grpc_calls_need_it_but_for_health():
    codes = asyncio.run(_codes())
    assert codes == {
        ("/a.Service/Method", None): "UNAUTHENTICATED",
        ("/a.Service/Method", "Bearer wrong"): "UNAUTHENTICATED",
        ("/a.Service/Method", f"Bearer {SECRET.decode()}"): "OK",
        ("/a.Service/Odd", None): "UNAUTHENTICATED",
        ("/a.Service/Odd", f"Bearer {SECRET.decode()}"): "UNIMPLEMENTED",
        ("/grpc.health.v1.Health/Check", None): "OK",
    }


async def _codes():
    async def echo(request, context):
        return request

    server = grpc.aio.server(interceptors=[tokens.Interceptor(tokens.Token(SECRET))])
    for service, method in (
        ("a.Service", "Method"),
        ("grpc.health.v1.Health", "Check"),
    ):
        handlers = {method: grpc.unary_unary_rpc_method_handler(echo)}
        made = grpc.method_handlers_generic_handler(service, handlers)
        server.add_generic_rpc_handlers([made])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    codes = {}
    right = f"Bearer {SECRET.decode()}"
    calls = [("/a.Service/Method", sent) for sent in (None, "Bearer wrong", right)]
    calls += [("/a.Service/Odd", sent) for sent in (None, right)]
    calls += [("/grpc.health.v1.Health/Check", None)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method, sent in calls:
            metadata = [] if sent is None else [("authorization", sent)]
            try:
                answer = await channel.unary_unary(method)(b"hi", metadata=metadata)
                codes[method, sent] = "OK" if answer == b"hi" else answer
            except grpc.RpcError as error:
                codes[method, sent] = error.code().name
                if error.code().name == "UNAUTHENTICATED":
                    assert error.details() == tokens.REFUSED
    await server.stop(None)
    return codes
