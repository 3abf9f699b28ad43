"""The listener: slow and broken clients, keep-alive, TLS, its end."""

import contextlib
import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tfrec.serving import ServingError
from tfrec.serving.rest_server import RestServer

PREDICT = "/v1/models/sums:predict"
BODY = b'{"inputs": {"a": [1], "b": [3]}}'


def connect(web):
    return socket.create_connection(("127.0.0.1", web.port), timeout=20)


def test_requests_on_one_connection(web):
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
    for code, path, body in [
        (200, PREDICT, BODY),
        (400, PREDICT, b"{"),
        (404, "/x", b""),
    ]:
        for _ in range(2):
            connection.request("POST", path, body)
            response = connection.getresponse()
            response.read()
            assert response.status == code
            assert response.headers["Server"] == "tfrec"
    connection.close()


def test_a_client_that_asks_whether_to_go_on(web):
    with connect(web) as raw:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n"
        raw.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert raw.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(BODY)
        assert raw.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 500,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    ],
    ids=range(9),
)
def test_noise_is_answered_or_cut_off(web, noise, caplog):
    with connect(web) as raw:
        try:
            raw.sendall(noise)
            answer = raw.recv(100)
            assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
        except ConnectionError:
            pass
    assert web.ask(PREDICT, BODY)[0] == 200
    assert not caplog.records, "noise does not fill the log"


def test_who_asks_nothing_is_cut_off(start_web):
    web = start_web(server={"idle": 0.3})
    silent, dripping, asked = connect(web), connect(web), connect(web)
    asked.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert asked.recv(1000).startswith(b"HTTP/1.1 200")
    dripping.sendall(b"GET / HTTP/1.1\r\nA: ")
    stop = threading.Event()

    def drip():
        with contextlib.suppress(OSError):
            while not stop.wait(0.05):
                dripping.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    for raw in (silent, dripping, asked):
        with raw, contextlib.suppress(ConnectionError):
            assert raw.recv(1) == b""
    stop.set()
    thread.join()


def test_who_takes_no_answer_is_cut_off(start_web):
    web = start_web(server={"unread": 0.5})
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(20)
    raw.connect(("127.0.0.1", web.port))
    values = ",".join(["0.123456789"] * 100_000)
    body = f'{{"signature_name": "float64", "inputs": [{values}]}}'.encode()
    head = "POST /v1/models/echo:predict HTTP/1.1\r\nHost: x\r\n"
    head += f"Content-Length: {len(body)}"
    for _ in range(4):
        raw.sendall(head.encode() + b"\r\n\r\n" + body)
    end = time.monotonic() + 20

    async def connections():
        return len(web._server._runner.server.connections)

    while web.run(connections()):
        assert time.monotonic() < end, "the connection is still there"
        time.sleep(0.02)
    raw.close()


def test_who_leaves_in_the_middle_harms_nobody(web, caplog):
    for part in (b"POST " + PREDICT.encode(), b"{", BODY):
        with connect(web) as raw:
            head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n"
            raw.sendall(head.encode() + part)
    assert web.ask(PREDICT, BODY)[0] == 200
    assert not caplog.records


def test_what_was_accepted_is_ended(start_web, tmp_path):
    web = start_web()
    go = tmp_path / "go"
    names = {"started": str(tmp_path / "started"), "go": str(go)}

    async def listening():
        return len(web._server._runner.sites)

    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(
            web.ask, "/v1/models/waiter:predict", {"inputs": names}
        )
        end = time.monotonic() + 30
        while not Path(tmp_path / "started").exists():
            assert time.monotonic() < end
            time.sleep(0.005)
        stopping = threads.submit(web.run, web._server.stop())
        while web.run(listening()):
            assert time.monotonic() < end
        with pytest.raises(ConnectionRefusedError):
            connect(web)
        assert not running.done()
        go.write_text("")
        assert running.result()[0] == 200
        stopping.result()


def test_a_port_that_is_taken(web):
    async def start():
        return await RestServer(None).start("127.0.0.1", web.port)

    with pytest.raises(
        ServingError, match="for REST. Received: .* `rest_api_port`"
    ) as e:
        web.run(start())
    assert e.value.code == "UNAVAILABLE"
