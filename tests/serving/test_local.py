"""Server processes: they start, drain, die, and say why they did not start."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tfrec.serving import Client, ServingError, local_server
from tfrec.serving.address import parse
from tfrec.serving.channel import Channel
from tfrec.serving.credentials import Credentials
from tfrec.serving.grpc_format import Request

PREDICT = "PredictionService/Predict"


def until(holds, what):
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def start_waiting(server, request_for, folder):
    """A call that the server has accepted and cannot end until told."""
    folder.mkdir()
    channel = grpc.insecure_channel(server.address)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    started, go = folder / "started", folder / "go"
    message = request_for("waiter", started=str(started), go=str(go))
    running = stub.Predict.future(message, timeout=60)
    until(started.exists, "the request does not reach the graph")
    return running, go, channel


def refuses(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it was being closed at that moment: ask again
        return False
    return False


@pytest.mark.slow
def test_sigterm_ends_what_was_accepted_and_refuses_the_rest(
    waiter, request_for, tmp_path
):
    with local_server(waiter) as server:
        left, _, other = start_waiting(server, request_for, tmp_path / "left")
        left.cancel()  # a graph that never ends and that nobody waits for
        other.close()
        running, go, channel = start_waiting(server, request_for, tmp_path / "kept")
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: refuses(server.address), "the server still takes connections")
        assert not running.done()
        Path(go).write_text("")
        assert list(running.result().outputs["done"].float_val) == [1]
        channel.close()
        assert server._process.wait(60) == 0  # `stop` would be the second signal
        assert "Traceback" not in server.log()


@pytest.mark.slow
def test_a_server_that_dies_raises_one_error(waiter, movies, request_for, tmp_path):
    before = sorted(Path(waiter).rglob("*"))
    with local_server(waiter) as server:
        started, go = tmp_path / "started", tmp_path / "go"
        message = request_for("waiter", started=str(started), go=str(go))
        connection = Channel(parse(server.address), Credentials(), 2**20)
        errors = []

        def ask():
            try:
                connection.call(
                    Request("waiter", PREDICT, message.SerializeToString()), 60.0
                )
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        until(started.exists, "the request does not reach the graph")
        os.kill(server.pid, signal.SIGKILL)
        thread.join(60)
        (error,) = errors
        assert isinstance(error, ServingError)
        assert error.code == "UNAVAILABLE"
        assert server.address in str(error)
        assert '"waiter"' in str(error)
        with Client(server.address, movies) as client:
            with pytest.raises(ServingError) as caught:
                client.status("ranker")
            assert caught.value.code == "UNAVAILABLE"
        connection.close()
        assert server.stop() == -signal.SIGKILL
    assert sorted(Path(waiter).rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [["chaos.py", "--minutes=0.5"], ["fuzz.py", "--inputs=3000", "--wire=200"]],
    ids=["chaos", "fuzz"],
)
def test_a_short_form_of_what_the_benchmarks_do(command):
    folder = Path(__file__).resolve().parents[2] / "benchmarks"
    done = subprocess.run(
        [sys.executable, folder / command[0], *command[1:]],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_a_server_that_does_not_start_says_why(tmp_path):
    with pytest.raises(ServingError, match="`path` must be a folder") as caught:
        local_server(tmp_path / "absent")
    assert "did not start" in str(caught.value)


def test_a_server_that_takes_too_long_is_ended(movies):
    with pytest.raises(ServingError, match=r"did not answer within 0\.01 seconds"):
        local_server(movies, timeout=0.01)


def test_bad_arguments(movies):
    with pytest.raises(ValueError, match="`port` must be an int >= 0"):
        local_server(movies, port=-1)
    with pytest.raises(ValueError, match="`timeout` must be a number > 0"):
        local_server(movies, timeout=0)
