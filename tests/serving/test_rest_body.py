"""Bodies within bounds: size, gzip, memory, time."""

import gzip
import http.client
import socket
import time
import zlib

import pytest

from tfrec.serving.rest_body import Bodies, BodyRefusal, inflate

PREDICT = "/v1/models/sums:predict"
BODY = b'{"inputs": {"a": [1], "b": [3]}}'
GZIP = {"Content-Encoding": "gzip"}


def test_gzip(web):
    for name in ("gzip", "GZIP", " gzip "):
        headers = {"Content-Encoding": name}
        assert web.ask(PREDICT, gzip.compress(BODY), headers=headers)[0] == 200


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (BODY, 400),
        (b"", 400),
        (gzip.compress(BODY)[:-9], 400),
        (gzip.compress(BODY) + b"more", 400),
        (gzip.compress(BODY) * 1000, 400),
        (zlib.compress(BODY), 400),
        (gzip.compress(b" " * 2**20), 413),
    ],
    ids=["plain", "empty", "cut off", "more", "members", "zlib", "bomb"],
)
def test_what_is_no_gzip(start_web, data, code):
    web = start_web(bodies=Bodies(2**18))
    status, _, answer = web.ask(PREDICT, data, headers=GZIP)
    assert status == code
    assert (
        "gzip" in answer["error"] or "inflates to more than 262144" in answer["error"]
    )
    assert web.ask(PREDICT, BODY)[0] == 200


def test_a_bomb_is_never_inflated():
    bomb = gzip.compress(b" " * 2**24)
    with pytest.raises(BodyRefusal, match="inflates to more than 1000 bytes"):
        inflate(bomb, 1000)
    assert inflate(gzip.compress(b"x" * 1000), 1000) == b"x" * 1000


def test_a_body_that_is_too_large(start_web):
    web = start_web(bodies=Bodies(1000))
    status, headers, answer = web.ask(PREDICT, b" " * 1001)
    assert status == 413
    assert answer == {"error": "the body is larger than 1000 bytes"}
    chunked = {"Transfer-Encoding": "chunked"}
    sent = b"3e9\r\n" + b" " * 1001 + b"\r\n0\r\n\r\n"
    assert web.ask(PREDICT, sent, headers=chunked)[0] == 413
    fits = b" " * (1000 - len(BODY)) + BODY
    assert web.ask(PREDICT, fits)[0] == 200


def test_a_length_that_is_too_large_is_not_waited_for(start_web):
    web = start_web(bodies=Bodies(1000))
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as raw:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"
        raw.sendall(head.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")


def test_chunks(web):
    sent = b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in BODY) + b"0\r\n\r\n"
    headers = {"Transfer-Encoding": "chunked"}
    assert web.ask(PREDICT, sent, headers=headers)[0] == 200


@pytest.mark.parametrize("pause", [None, 0, 0.2], ids=["at once", "next", "later"])
@pytest.mark.parametrize("body", [b"zz\r\n{\r\n", b"1\r\n{\r\nzz\r\n", b"1\r\n{zz"])
def test_malformed_chunks(web, pause, body):
    """Refused as they come, however they are cut into packets."""
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = [head.encode() + body] if pause is None else [head.encode(), body]
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as raw:
        for part in parts:
            raw.sendall(part)
            time.sleep(pause or 0)
        answer = raw.makefile("rb").read()  # to the end: the connection is closed
    assert answer.split(b" ", 2)[1] == b"400"
    assert web.ask(PREDICT, BODY)[0] == 200


def test_a_malformed_chunk_at_any_moment(web):
    """Between the head's arrival and the first look at the body, too."""
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for step in range(500):
        with socket.create_connection(("127.0.0.1", web.port), timeout=20) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.sendall(head.encode())
            end = time.perf_counter() + step * 1e-6
            while time.perf_counter() < end:
                pass
            raw.sendall(b"1\r\n{zz")
            assert raw.makefile("rb").readline().split()[1] == b"400"


def test_bodies_at_a_time_are_bounded(start_web):
    """Eight of the largest size are held; who comes then comes too early."""
    bodies = Bodies(1000)
    web = start_web(bodies=bodies)
    held = []
    for _ in range(8):
        raw = socket.create_connection(("127.0.0.1", web.port), timeout=20)
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        raw.sendall(head.encode() + b" " * 999)
        held.append(raw)

    async def room():
        return bodies._room

    end = time.monotonic() + 20
    while web.run(room()) > 8:
        assert time.monotonic() < end
    status, _, answer = web.ask(PREDICT, BODY)
    assert (status, "too many bodies" in answer["error"]) == (429, True)
    for raw in held:
        raw.close()
    while web.run(room()) < 8000:
        assert time.monotonic() < end
    assert web.ask(PREDICT, BODY)[0] == 200


def test_a_body_that_comes_too_slowly(start_web):
    web = start_web(bodies=Bodies(1000, seconds=0.2))
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
    connection.putrequest("POST", PREDICT)
    connection.putheader("Content-Length", "100")
    connection.endheaders()
    connection.send(b"{")
    response = connection.getresponse()
    assert response.status == 408
    assert b"did not come within 0.2 s" in response.read()
    connection.close()
