"""Clients that others wrote for TensorFlow Serving, in processes of their own."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

OVMS = """
import json, sys
import numpy as np
import ovmsclient

kind, address = sys.argv[1:]
make = ovmsclient.make_grpc_client if kind == "grpc" else ovmsclient.make_http_client
client = make(address)
a, b = np.float32([1, 2]), np.float32([3, 4])
found = {}
answer = client.predict({"a": a, "b": b}, "sums", model_version=2)
found["sums"] = {name: array.tolist() for name, array in answer.items()}
vectors = client.predict(
    {"movie_id": ["m3", "zz"], "price": np.float32([1, 2])}, "item_tower", 1
)
found["vectors"] = vectors.tolist()
told = client.get_model_metadata("sums", 2)
if kind == "http":  # it wants OpenVINO's names of fields, and gives the answer as it is
    signature = told["metadata"]["signature_def"]["signature_def"]["serving_default"]
    dims = signature["inputs"]["a"]["tensor_shape"]["dim"]
    signature["inputs"]["a"]["shape"] = [int(dim["size"]) for dim in dims]
    told = signature
found["inputs"] = sorted(told["inputs"])
found["shape"] = told["inputs"]["a"]["shape"]
found["dtype"] = told["inputs"]["a"]["dtype"]
states = client.get_model_status("sums", 2)
found["state"] = states[2]["state"] if 2 in states else states["2"]["state"]
try:
    client.predict({"a": a, "b": b}, "sums")
except ovmsclient.ModelNotFoundError as error:
    found["version 0"] = str(error)
try:
    client.predict({"a": a}, "sums", 2)
except ovmsclient.InvalidInputError as error:
    found["refused"] = str(error)
print(json.dumps(found))
"""
MIN_TFS = """
import json, sys
import numpy as np
from min_tfs_client.requests import TensorServingClient
from min_tfs_client.tensors import tensor_proto_to_ndarray

client = TensorServingClient("127.0.0.1", int(sys.argv[1]))
a, b = np.float32([1, 2]), np.float32([3, 4])
found = {}
for name, version in (("newest", None), ("second", 2)):
    answer = client.predict_request("sums", {"a": a, "b": b}, model_version=version)
    found[name] = {
        key: tensor_proto_to_ndarray(proto).tolist()
        for key, proto in answer.outputs.items()
    }
    found[name]["fields"] = sorted(
        field.name for field, _ in answer.outputs["sum"].ListFields()
    )
items = {"movie_id": np.array(["m3", "zz"]), "price": np.float32([1, 2])}
answer = client.predict_request("item_tower", items)
vectors = answer.outputs["item_embedding"]
found["vectors"] = np.reshape(vectors.float_val, (2, 4)).tolist()
print(json.dumps(found))
"""


def run(python, code, *arguments, **environment):
    done = subprocess.run(
        [str(python), "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def vectors(server, movies):
    """Of two items, asked for by a client of ours."""
    from tfrec.serving import Client

    with Client(server.address, movies, timeout=30) as client:
        rows = {"movie_id": ["m3", "zz"], "price": [1.0, 2.0]}
        return client.item_embedding(rows)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_ovmsclient(kind, server, rest_port, vectors):
    """It asks for version 0 unless told otherwise, which no server has."""
    address = server.address if kind == "grpc" else f"127.0.0.1:{rest_port}"
    found = run(sys.executable, OVMS, kind, address)
    assert found["sums"] == {"sum": [8.0, 12.0], "product": [3.0, 8.0]}
    np.testing.assert_allclose(found["vectors"], vectors, rtol=1e-6)
    assert found["inputs"] == ["a", "b"]
    assert found["shape"] == [-1]
    assert found["dtype"] == "DT_FLOAT"
    assert found["state"] == "AVAILABLE"
    assert "Specific(sums, 0)" in found["version 0"]
    assert "b" in found["refused"]


@pytest.fixture(scope="module")
def min_tfs(tmp_path_factory):
    """A Python with min-tfs-client, whose protos need protobuf 3.20."""
    folder = tmp_path_factory.mktemp("min_tfs")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    wanted = ["min-tfs-client==1.0.2", "protobuf<3.21", "grpcio", "numpy"]
    install = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        pytest.skip(f"min-tfs-client cannot be installed: {last}")
    return python


@pytest.mark.slow
def test_min_tfs_client(server, min_tfs, vectors):
    """It reads the typed fields only."""
    port = server.address.rpartition(":")[2]
    found = run(min_tfs, MIN_TFS, port, PYTHONPATH="")
    fields = ["dtype", "float_val", "tensor_shape"]
    for name, weight in (("newest", 7), ("second", 2)):
        assert found[name] == {
            "sum": [4.0 * weight, 6.0 * weight],
            "product": [3.0, 8.0],
            "fields": fields,
        }
    np.testing.assert_allclose(found["vectors"], vectors, rtol=1e-6)
