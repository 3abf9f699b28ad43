"""Every model gives the same numbers in memory, as a SavedModel, and when served."""

import http.client
import inspect
import json
import socket
import subprocess
import sys

import grpc
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfrec import FeatureSpec, data, export, models
from tfrec.features import Categorical, MultiCategorical, Numeric, Sequence, wire
from tfrec.serving import local_server

ROWS = 6
SMALL = {"hidden_units": (4,)}
TOWERS = {"item_id": "item", **SMALL}
OPTIONS = {
    "autoint": {"num_layers": 1, "units": 4},
    "dat": {"user_id": "user", **TOWERS},
    "dcn": SMALL,
    "deepfm": SMALL,
    "din": {"attention_units": (4,), **SMALL},
    "dssm": TOWERS,
    "fibinet": SMALL,
    "fm": {},
    "lr": {},
    "mind": TOWERS,
    "sampling_bias_corrected": TOWERS,
    "senet_two_tower": TOWERS,
    "wide_and_deep": SMALL,
    "xdeepfm": {"cin_units": (4,), **SMALL},
    "youtube_dnn": TOWERS,
}
# Runs where only TensorFlow is there: importing tfrec would fail the test.
STRANGER = """
import sys
import numpy as np
sys.modules["tfrec"] = sys.modules["keras"] = None
import tensorflow as tf
for folder in sys.argv[1:]:
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    request = np.load(folder + "/request.npz", allow_pickle=True)
    found = serve(**{name: tf.constant(request[name]) for name in request.files})
    found = {name: value.numpy() for name, value in found.items()}
    np.savez(folder + "/answer.npz", **found)
"""


def test_every_model_is_compared():
    found = {
        name
        for name, function in vars(models).items()
        if inspect.isfunction(function)
        and next(iter(inspect.signature(function).parameters)) == "spec"
    }
    assert found == set(OPTIONS)


@pytest.fixture(scope="module")
def log():
    random = np.random.default_rng(0)
    items = [f"i{n}" for n in range(12)]
    return pd.DataFrame(
        {
            "user": random.integers(0, 9, 40),
            "history": [list(random.choice(items, n % 5)) for n in range(40)],
            "age": random.normal(size=40).astype("float32"),
            "item": random.choice(items, 40),
            "tags": random.choice(["", "a", "a|b", "b|c"], 40),
            "price": random.normal(size=40).astype("float32"),
        }
    )


@pytest.fixture(scope="module")
def spec(log, tmp_path_factory):
    columns = [
        Categorical("user", side="user", dtype="int64", embedding_dim=4),
        Sequence("history", of="item", max_length=3),
        Numeric("age", side="user", scaling="standard"),
        Categorical("item", side="item", embedding_dim=4),
        MultiCategorical("tags", side="item", separator="|", embedding_dim=4),
        Numeric("price", side="item", scaling="standard"),
    ]
    return FeatureSpec(columns).adapt(log, tmp_path_factory.mktemp("parity_spec"))


def in_memory(model, log, spec):
    names = [tensor.name for tensor in model.inputs]
    x = next(iter(data.from_pandas(log, spec, columns=names, batch_size=len(log))))
    answer = model(x)
    return [np.asarray(part) for part in tf.nest.flatten(answer)]


def parts_of(model, log, spec):
    """{servable: {output: the numbers of the model in memory}}."""
    if not isinstance(model, models.TwoTower):
        logit = in_memory(model, log, spec)[0][:, 0]
        return {"ranker": {"logit": logit, "score": 1 / (1 + np.exp(-logit))}}
    user = in_memory(model.user_tower, log, spec)
    (item,) = in_memory(model.item_tower, log, spec)
    of_user = dict(zip(("user_embedding", "num_interests"), user, strict=False))
    return {"user_tower": of_user, "item_tower": {"item_embedding": item}}


@pytest.fixture(scope="module")
def answers(log, spec, tmp_path_factory):
    """{model: {servable: {way: {output: array}}}}."""
    root, random = tmp_path_factory.mktemp("parity"), np.random.default_rng(1)
    made, rows = {}, log[:ROWS]
    for name, options in OPTIONS.items():
        model = getattr(models, name)(spec, seed=0, **options)
        for weight in model.weights:
            if weight.dtype == "float32" and "table" not in weight.path:
                weight.assign(np.abs(random.normal(size=weight.shape)) * 0.3)
        wanted = parts_of(model, rows, spec)
        folders = export.save(model, spec, root / "saved" / name)
        for servable, numbers in wanted.items():
            sides = {"user_tower": "user", "item_tower": "item"}.get(servable)
            columns = [c.name for c in spec if sides in (None, c.side)]
            part = getattr(model, servable, model)
            asked = {tensor.name for tensor in part.inputs} & set(columns)
            arrays = wire(spec, rows, sorted(asked))
            key = f"{name}_{servable}"
            place = folders[servable]
            np.savez(place / "request.npz", **arrays)
            made[key] = {"memory": numbers}, arrays, place
    subprocess.run(
        [sys.executable, "-c", STRANGER, *(str(place) for *_, place in made.values())],
        check=True,
        cwd=root,
        capture_output=True,
    )
    rest = free_port()
    config = root / "models.config"
    entries = [
        f'config {{ name: "{key}" base_path: "{place.parent}" '
        f'model_platform: "tensorflow" }}'
        for key, (*_, place) in made.items()
    ]
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    arguments = [f"--model_config_file={config}", f"--rest_api_port={rest}"]
    with local_server(root / "saved" / "lr", arguments=arguments) as server:
        for key, (ways, arrays, place) in made.items():
            ways["saved model"] = dict(np.load(place / "answer.npz"))
            ways["grpc"] = over_grpc(server.address, key, arrays)
            ways["rest"] = over_rest(rest, key, arrays)
    return {key: ways for key, (ways, *_) in made.items()}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def over_grpc(address, name, arrays):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    for alias, value in arrays.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    with grpc.insecure_channel(address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        outputs = stub.Predict(request, timeout=60).outputs
    return {alias: tf.make_ndarray(proto) for alias, proto in outputs.items()}


def over_rest(port, name, arrays):
    def plain(value):
        value = value.decode() if isinstance(value, bytes) else value
        return list(map(plain, value)) if isinstance(value, list) else value

    inputs = {alias: plain(value.tolist()) for alias, value in arrays.items()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"inputs": inputs})
    connection.request("POST", f"/v1/models/{name}:predict", body)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    assert response.status == 200, answer
    return answer["outputs"]


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_all_ways_agree(answers, name):
    keys = [key for key in answers if key.rsplit("_", 2)[0] == name]
    keys = keys or [f"{name}_ranker"]
    for key in keys:
        ways = answers[key]
        assert len(ways) == 4
        wanted = ways.pop("memory")
        numbers = [value for value in wanted.values() if value.dtype.kind == "f"]
        assert all(np.ptp(value) > 1e-3 for value in numbers), key
        for way, found in ways.items():
            if not isinstance(found, dict):  # REST does not name a single output
                found = {next(iter(wanted)): found}
            assert set(found) == set(wanted), (key, way)
            for output, value in wanted.items():
                np.testing.assert_allclose(
                    np.asarray(found[output], float),
                    value,
                    rtol=1e-5,
                    atol=1e-5,
                    err_msg=f"{key} {output} {way}",
                )
