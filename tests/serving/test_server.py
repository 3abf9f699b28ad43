"""Starting, switching, reloading, stopping; more of that is in test_local.py."""

import os
import re
import shutil
import signal
import socket
import threading
import time

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from tfrec.serving import LocalServer, ServingError, local_server, serve
from tfrec.serving.server import LARGEST_MESSAGE, address, channel_arguments

AB = {"a": np.float32([1, 2]), "b": np.float32([3, 4])}


def test_nothing_to_serve():
    with pytest.raises(ValueError, match=r"`path` must be given, or `model_config_f"):
        serve()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"port": -1}, "`port` must be an int >= 0"),
        ({"port": 70_000}, "`port` must be an int <= 65535"),
        ({"port": "8500"}, "`port` must be an int >= 0"),
        ({"host": ""}, "`host` must be a non-empty string"),
        ({"max_num_load_retries": -1}, "`max_num_load_retries` must be an int >= 0"),
    ],
)
def test_bad_arguments(tmp_path, arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        serve(tmp_path, **arguments)


def test_bad_channel_arguments(movies):
    with pytest.raises(ValueError, match="must be key=value,key=value"):
        serve(movies, grpc_channel_arguments="odd")


def test_a_name_stands_once(movies):
    text = 'servable "ranker" must be named once'
    with pytest.raises(ServingError, match=text):
        serve(movies, model_base_path=str(movies / "ranker"), model_name="ranker")


def test_a_port_that_is_taken(movies):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = f"cannot listen on 127.0.0.1:{port}"
        with pytest.raises(ServingError, match=text) as caught:
            serve(movies, port=port)
    assert caught.value.code == "UNAVAILABLE"


def test_a_host_that_is_not_ours(movies):
    with pytest.raises(ServingError, match=r"cannot listen on 203\.0\.113\.1:0"):
        serve(movies, host="203.0.113.1", port=0)


def test_addresses():
    assert address("127.0.0.1", 1) == "127.0.0.1:1"
    assert address("::", 1) == "[::]:1"


def test_channel_arguments_override_ours():
    assert dict(channel_arguments(""))["grpc.so_reuseport"] == 0
    found = dict(channel_arguments("grpc.max_receive_message_length=-1,a.b=c"))
    assert found["grpc.max_receive_message_length"] == -1
    assert found["grpc.max_send_message_length"] == LARGEST_MESSAGE
    assert found["a.b"] == "c"


@pytest.fixture(scope="module")
def live(plain, waiter, tmp_path_factory):
    """A server whose models may change, and what it was started with."""
    root = tmp_path_factory.mktemp("live")
    for version in (1, 2):
        shutil.copytree(plain.parent / "sums" / str(version), root / f"v{version}")
    shutil.copytree(root / "v1", root / "sums" / "1")
    arguments = [
        "--enable_grpc_healthcheck_service",
        "--grpc_max_threads=8",
        f"--grpc_socket_path={root}/socket",
        "--grpc_channel_arguments=grpc.server_handshake_timeout_ms=300",
        "--max_num_load_retries=0",
        f"--model_base_path={waiter / 'waiter'}",
        "--model_name=waiter",
    ]
    with local_server(root / "sums", arguments=arguments) as server:
        server.root = root
        with grpc.insecure_channel(server.address) as channel:
            server.channel = channel
            server.predict = stub(channel).Predict
            server.models = model_service_pb2_grpc.ModelServiceStub(channel)
            yield server


def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def states(live, name="sums"):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    found = live.models.GetModelStatus(request).model_version_status
    return {one.version: (one.state, one.status.error_code) for one in found}


def publish(live, source, version):
    new = live.root / "sums" / f"tmp-{version}"
    shutil.copytree(source, new)
    new.rename(live.root / "sums" / str(version))


def until(holds):
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.02)


def config(*models):
    """A ReloadConfigRequest; a model is a name, a folder and further fields."""
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    for name, folder, more in models:
        entry = request.config.model_config_list.config.add(name=name)
        entry.base_path, entry.model_platform = str(folder), "tensorflow"
        labels = more.pop("labels", {})
        for field, value in more.items():
            setattr(entry, field, value)
        for label, version in labels.items():
            entry.version_labels[label] = version
        entry.model_version_policy.all.SetInParent()
    return request


@pytest.mark.slow
def test_a_switch_under_load_costs_no_request(live, request_for):
    message = request_for("sums", **AB)
    seen, errors, stop = [[], [], []], [], threading.Event()

    def ask(mine):
        while not stop.is_set():
            try:
                answer = live.predict(message, timeout=20)
            except grpc.RpcError as error:
                errors.append(error)
                return
            weight = answer.outputs["sum"].float_val[0] / 4
            mine.append((answer.model_spec.version.value, weight))

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    (live.root / "sums" / "4").mkdir()  # a copy that has only begun
    publish(live, live.root / "v2", 2)
    publish(live, live.root / "v1", 3)
    until(lambda: states(live).get(4, (0, 0))[0] == 50)
    shutil.rmtree(live.root / "sums" / "4")
    until(lambda: all(mine and mine[-1][0] == 3 for mine in seen))
    shutil.rmtree(live.root / "sums" / "3")
    until(lambda: all(mine[-1][0] == 2 for mine in seen))
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert {one for mine in seen for one in mine} <= {(1, 1), (2, 2), (3, 1)}
    ended = {1: (50, 0), 2: (30, 0), 3: (50, 0)}  # the last unloads behind the switch
    until(lambda: {one: states(live)[one] for one in ended} == ended)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (lambda r, root: r.Clear(), "INVALID_ARGUMENT", "^ServerModelConfig type not"),
        (
            lambda r, root: r.config.custom_model_config.SetInParent(),
            "INVALID_ARGUMENT",
            "Only ModelConfigList is currently supported$",
        ),
        (
            lambda r, root: r.MergeFrom(config(("sums", root / "sums", {}))),
            "INVALID_ARGUMENT",
            "^Illegal to list model sums multiple times in config list$",
        ),
        (
            lambda r, root: r.MergeFrom(config(("n", "relative", {}))),
            "INVALID_ARGUMENT",
            r"^Expected model n to have an absolute path or URI; got base_path\(\)",
        ),
        (
            lambda r, root: r.MergeFrom(config(("n", root, {"model_platform": ""}))),
            "INVALID_ARGUMENT",
            "^Illegal setting neither ",
        ),
        (
            lambda r, root: r.MergeFrom(config(("n", root, {"model_platform": "x"}))),
            "INVALID_ARGUMENT",
            "^Model n requests unsupported platform x$",
        ),
        (
            lambda r, root: r.MergeFrom(config(("n", root / "absent", {}))),
            "INVALID_ARGUMENT",
            "which is no folder",
        ),
        (
            lambda r, root: r.MergeFrom(config(("n", root, {"labels": {"a": 3}}))),
            "FAILED_PRECONDITION",
            "^Request to assign label to version 3 of model n, which is not currently",
        ),
    ],
    ids=range(8),
)
def test_a_reload_that_is_refused_changes_nothing(live, change, code, text):
    request = config(("sums", live.root / "sums", {}))
    change(request, live.root)
    before = states(live)
    with pytest.raises(grpc.RpcError) as caught:
        live.models.HandleReloadConfigRequest(request, timeout=20)
    assert caught.value.code().name == code
    assert re.search(text, caught.value.details()), caught.value.details()
    assert states(live) == before


@pytest.mark.slow
def test_a_reload(live, waiter, request_for):
    kept = [("sums", live.root / "sums", {}), ("waiter", waiter / "waiter", {})]
    torn = live.root / "torn" / "1"
    torn.mkdir(parents=True)
    (torn / "saved_model.pb").write_bytes(b"\xff")
    with pytest.raises(grpc.RpcError) as caught:
        request = config(*kept, ("torn", torn.parent, {}))
        live.models.HandleReloadConfigRequest(request, timeout=20)
    assert caught.value.code().name == "UNKNOWN"
    text = "1 model(s) did not become available: {{name: torn version: 1} due to error"
    assert caught.value.details().startswith(text)
    shutil.copytree(live.root / "v2", live.root / "new" / "5")
    request = config(*kept, ("new", live.root / "new", {}))
    request.metric_names.append("/tensorflow/serving/model_warmup_latency")
    request.metric_names.append("/tensorflow/serving/absent")
    response = live.models.HandleReloadConfigRequest(request, timeout=20)
    assert response.HasField("status") and response.status.error_code == 0
    assert [metric.name for metric in response.metric] == request.metric_names[:1]
    assert live.predict(request_for("new", **AB)).model_spec.version.value == 5
    labelled = ("new", live.root / "new", {"labels": {"stable": 5}})
    live.models.HandleReloadConfigRequest(config(*kept, labelled), timeout=20)
    message = request_for("new", **AB)
    message.model_spec.version_label = "stable"
    assert live.predict(message).model_spec.version.value == 5
    live.models.HandleReloadConfigRequest(config(*kept), timeout=20)
    until(lambda: states(live, "new") == {5: (50, 0)})
    with pytest.raises(grpc.RpcError, match=r"Latest\(new\)"):
        live.predict(request_for("new", **AB))


@pytest.mark.slow
def test_a_changed_file_of_models_is_read_again(plain, request_for, tmp_path):
    file = tmp_path / "models.config"
    entry = (
        f'config {{ name: "sums" base_path: "{plain.parent / "sums"}" '
        'model_platform: "tensorflow" model_version_policy { specific { %s } } }'
    )

    def write(content):
        new = tmp_path / "new"
        new.write_text(f"model_config_list {{ {content} }}")
        new.replace(file)

    write(entry % "versions: 1")
    arguments = [
        f"--model_config_file={file}",
        "--model_config_file_poll_wait_seconds=1",
        "--port=0",
    ]
    with LocalServer(arguments, 120) as live:
        with grpc.insecure_channel(live.address) as channel:
            live.models = model_service_pb2_grpc.ModelServiceStub(channel)
            predict = stub(channel).Predict
            assert predict(request_for("sums", **AB)).model_spec.version.value == 1
            write("config {")
            until(lambda: "models.config" in live.log())
            assert predict(request_for("sums", **AB)).model_spec.version.value == 1
            write(entry % "versions: 2")
            until(lambda: states(live).get(2) == (30, 0))
            until(lambda: states(live)[1] == (50, 0))
            assert predict(request_for("sums", **AB)).model_spec.version.value == 2


@pytest.mark.slow
def test_health_and_the_socket(live, request_for):
    assert live.channel.unary_unary("/grpc.health.v1.Health/Check")(b"") == b"\x08\x01"
    with grpc.insecure_channel(f"unix:{live.root}/socket") as channel:
        assert stub(channel).Predict(request_for("sums", **AB)).outputs


@pytest.mark.slow
def test_who_connects_and_says_nothing_is_dropped(live):
    host, port = live.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        while raw.recv(1000):
            pass


@pytest.mark.slow
def test_requests_above_the_limit_are_refused(live, request_for, tmp_path):
    go = tmp_path / "go"
    calls = []
    for number in range(8):
        started = tmp_path / str(number)
        message = request_for("waiter", started=str(started), go=str(go))
        calls.append(live.predict.future(message, timeout=60))
    # Threads are fewer than requests: those that wait count, too.
    until(lambda: len(list(tmp_path.iterdir())) >= 4)
    with pytest.raises(grpc.RpcError) as caught:
        for _ in range(100):
            live.predict(request_for("waiter", started="x", go=str(go)), timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    go.write_text("")
    for call in calls:
        assert list(call.result().outputs["done"].float_val) == [1]


@pytest.mark.slow
def test_a_second_signal_stops_at_once(waiter, request_for, tmp_path):
    with local_server(waiter) as server:
        with grpc.insecure_channel(server.address) as channel:
            started, go = tmp_path / "started", tmp_path / "go"
            message = request_for("waiter", started=str(started), go=str(go))
            running = stub(channel).Predict.future(message, timeout=60)
            until(started.exists)
            os.kill(server.pid, signal.SIGTERM)
            until(lambda: "stopping" in server.log())
            assert server.stop() == 1
            assert running.exception().code() is grpc.StatusCode.UNAVAILABLE
