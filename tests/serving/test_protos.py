"""The client's messages against the published ones."""

import subprocess
import sys

import pytest
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
)

from tfrec.serving import protos

PUBLISHED = {
    "Dim": tensor_shape_pb2.TensorShapeProto.Dim,
    "TensorShapeProto": tensor_shape_pb2.TensorShapeProto,
    "TensorProto": tensor_pb2.TensorProto,
    "TensorInfo": meta_graph_pb2.TensorInfo,
    "SignatureDef": meta_graph_pb2.SignatureDef,
    "SignatureDefMap": get_model_metadata_pb2.SignatureDefMap,
    "ModelSpec": model_pb2.ModelSpec,
    "PredictResponse": predict_pb2.PredictResponse,
    "GetModelMetadataRequest": get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelMetadataResponse": get_model_metadata_pb2.GetModelMetadataResponse,
    "GetModelStatusRequest": get_model_status_pb2.GetModelStatusRequest,
    "ModelVersionStatus": get_model_status_pb2.ModelVersionStatus,
    "GetModelStatusResponse": get_model_status_pb2.GetModelStatusResponse,
}
ENUM, INT32 = 14, 5


@pytest.mark.parametrize("name", protos.MESSAGES)
def test_fields_are_the_published_ones(name):
    theirs = PUBLISHED[name].DESCRIPTOR.fields_by_number
    kind = protos._POOL.FindMessageTypeByName(f"{protos.PACKAGE}.{name}")
    assert len(kind.fields) == len(protos.MESSAGES[name])
    for field in kind.fields:
        published = theirs[field.number]
        assert field.name == published.name
        assert field.is_repeated == published.is_repeated
        wanted = INT32 if published.type == ENUM else published.type
        assert field.type == wanted
        if field.message_type and not published.message_type.GetOptions().map_entry:
            assert field.message_type.name == published.message_type.name
        elif field.message_type:
            assert field.message_type.GetOptions().map_entry
            of = [
                one.message_type.fields_by_name["value"].message_type.name
                for one in (field, published)
            ]
            assert of[0] == of[1]


def test_states_are_the_published_ones():
    states = get_model_status_pb2.ModelVersionStatus.State
    assert protos.STATES == {number: name for name, number in states.items()}


def test_a_client_imports_no_tensorflow():
    code = """
import sys
from tfrec.serving import AsyncClient, Client, Credentials, ServingError
document = {"format": 1, "servable": "m", "inputs": {}, "outputs": {}, "spec": SPEC}
for address in ("h:1", "http://h:1"):
    Client(address, {"m": document}).close()
    AsyncClient(address, {"m": document})
heavy = {"tensorflow", "tensorflow_serving", "keras"} & set(sys.modules)
assert not heavy, heavy
"""
    spec = "from tfrec.features import FeatureSpec, Numeric\nimport json\n"
    spec += "SPEC = json.loads(FeatureSpec([Numeric('x', side='user')]).to_json())\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", spec + code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
