"""Several processes answer on one port and end together."""

import os
import signal
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from tfrec.serving import ServingError, local_server, processes
from tfrec.serving.options import Options

AB = {"a": np.float32([1, 2]), "b": np.float32([3, 4])}


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as stream:
        return [int(child) for child in stream.read().split()]


def runs(pid):
    """True unless it has ended; nobody may have asked for its status yet."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_two_processes(plain, request_for):
    folder = plain.parent / "sums"
    with local_server(folder, arguments=["--processes=2"], timeout=240) as server:
        first, second = children(server.pid)
        for _ in range(20):  # a connection each: the system spreads them
            with grpc.insecure_channel(
                server.address, options=[("grpc.use_local_subchannel_pool", 1)]
            ) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                assert stub.Predict(request_for("sums", **AB)).outputs
        with grpc.insecure_channel(server.address) as channel:
            models = model_service_pb2_grpc.ModelServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                request = model_management_pb2.ReloadConfigRequest()
                models.HandleReloadConfigRequest(request)
            assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        os.kill(first, signal.SIGKILL)
        end = time.monotonic() + 60
        while os.path.exists(f"/proc/{second}") and time.monotonic() < end:
            time.sleep(0.02)
        assert server._process.wait(60) == signal.SIGKILL
        assert "a process ended" in server.log()


@pytest.mark.slow
def test_they_end_with_a_parent_that_is_killed(plain):
    with local_server(plain.parent / "sums", arguments=["--processes=2"]) as server:
        left = children(server.pid)
        assert len(left) == 2
        os.kill(server.pid, signal.SIGKILL)
        end = time.monotonic() + 60
        while any(map(runs, left)) and time.monotonic() < end:
            time.sleep(0.02)
        assert not any(map(runs, left))


@pytest.mark.slow
def test_what_does_not_load_ends_all(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)
    with pytest.raises(ServingError, match='version 1 of servable "m" does not load'):
        local_server(tmp_path, arguments=["--processes=2"])


def test_all_that_end_at_once_are_waited_for(capsys):
    ended = [
        subprocess.Popen([sys.executable, "-c", f"raise SystemExit({status})"])
        for status in (0, 3)
    ]
    for child in ended:
        child.wait()  # by now there is no child left that the system knows of
    assert processes._wait(ended, threading.Event()) == 3
    assert "a process ended" in capsys.readouterr().err


def test_what_a_child_is_told():
    told = {name: getattr(Options(), name) for name in ("host", "enable_batching")}
    told |= {"grpc_channel_arguments": "a=1", "processes": 3}
    found = processes._arguments("folder", told)
    assert found == [
        "folder",
        "--host=127.0.0.1",
        "--enable_batching=false",
        "--grpc_channel_arguments=a=1,grpc.so_reuseport=1",
        "--processes=1",
    ]


def test_bad_arguments_are_told_before_anything_starts():
    with pytest.raises(ValueError, match="must be key=value"):
        processes.run(None, {"processes": 2, "grpc_channel_arguments": "odd"}, print)
