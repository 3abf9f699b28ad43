"""Flags of access: what goes together, and a server that has them all."""

import asyncio
import json
import re
import socket
import urllib.error
import urllib.request

import grpc
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tfrec.serving import ServingError, local_server
from tfrec.serving.access import Access
from tfrec.serving.options import Options

SECRET = "a-secret-of-the-tests"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rest_api_port": 8500}, "`rest_api_port` must not be the port of gRPC"),
        (
            {"monitoring_config_file": "x"},
            "`monitoring_config_file` needs `rest_api_port`. Received: moni",
        ),
        ({"rest_api_enable_ssl": True}, "`rest_api_enable_ssl` needs `rest_api_port`"),
        (
            {"rest_api_enable_ssl": True, "rest_api_port": 1},
            "`rest_api_enable_ssl` needs `ssl_config_file`",
        ),
    ],
    ids=range(4),
)
def test_options_that_do_not_go_together(options, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Access(Options(**options))


@pytest.mark.parametrize(
    "name", ["monitoring_config_file", "ssl_config_file", "token_file"]
)
def test_files_that_are_not_there(name):
    options = Options(rest_api_port=1, **{name: "/absent"})
    with pytest.raises(ServingError, match=f"{name}='/absent'"):
        Access(options)


@pytest.mark.parametrize(
    ("config", "path", "code"),
    [
        ('prometheus_config { enable: true, path: "/a/b" }', "/a/b", 200),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics", 200),
        ('prometheus_config { path: "/a/b" }', "/a/b", 404),
        ("", "/monitoring/prometheus/metrics", 404),
    ],
    ids=range(4),
)
def test_where_the_metrics_are(tmp_path, web, config, path, code):
    file = tmp_path / "monitoring.config"
    file.write_text(config)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = Options(rest_api_port=port, monitoring_config_file=str(file))

    async def ask():
        server = await Access(options).start_rest(web.services)
        try:
            return await asyncio.to_thread(_status, f"http://127.0.0.1:{port}{path}")
        finally:
            await server.stop()

    assert asyncio.run(ask()) == code


def _status(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_path_of_the_metrics_that_is_none(tmp_path):
    file = tmp_path / "monitoring.config"
    file.write_text('prometheus_config { enable: true path: "a" }')
    options = Options(rest_api_port=1, monitoring_config_file=str(file))
    with pytest.raises(ServingError, match="a path that starts with /"):
        Access(options)


def test_rest_is_off_unless_asked_for():
    access = Access(Options())
    assert asyncio.run(access.start_rest(None)) is None
    assert access.interceptors() == []


@pytest.mark.slow
def test_a_server_with_rest_metrics_and_a_token(movies, tmp_path, request_for):
    """As `tfrec serve` starts it; TensorFlow Serving's own client stubs ask."""
    token, monitoring = tmp_path / "token", tmp_path / "monitoring.config"
    token.write_text(SECRET + "\n")
    monitoring.write_text("prometheus_config { enable: true }")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [
        f"--rest_api_port={port}",
        f"--token_file={token}",
        f"--monitoring_config_file={monitoring}",
        "--rest_api_enable_cors_support",
    ]
    row = {"movie_id": "m1", "price": 1.5}
    asked = request_for("item_tower", movie_id=["m1"], price=[1.5])
    url = f"http://127.0.0.1:{port}"
    header = {"Authorization": f"Bearer {SECRET}"}
    with local_server(movies, arguments=arguments) as server:
        assert _status(url + "/readyz") == 200
        assert _status(url + "/v1/models/ranker") == 401
        with grpc.insecure_channel(server.address) as channel:
            predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
            with pytest.raises(grpc.RpcError) as caught:
                predict(asked, timeout=20)
            assert caught.value.code().name == "UNAUTHENTICATED"
            metadata = [("authorization", f"Bearer {SECRET}")]
            answer = predict(asked, timeout=20, metadata=metadata)
        body = json.dumps({"instances": [row]}).encode()
        path = "/v1/models/item_tower:predict"
        sent = urllib.request.Request(url + path, body, header)
        with urllib.request.urlopen(sent, timeout=20) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            found = json.loads(response.read())["predictions"][0]
        wanted = list(answer.outputs["item_embedding"].float_val)
        assert found == pytest.approx(wanted, rel=1e-6)
        page = url + "/monitoring/prometheus/metrics"
        sent = urllib.request.Request(page, headers=header)
        with urllib.request.urlopen(sent, timeout=20) as response:
            text = response.read().decode()
        for entrypoint, api in (("GRPC", "Predict"), ("REST", "predict")):
            labels = f'model_name="item_tower",API="{api}",entrypoint="{entrypoint}"'
            assert f"request_latency_count{{{labels}}} 1\n" in text
        assert server.stop() == 0
