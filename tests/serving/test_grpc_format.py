"""Requests as TensorFlow Serving's own messages, answers of either kind."""

import numpy as np
import pytest
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from tfrec.serving import grpc_format, messages

ARRAYS = {"a": np.float32([1, 2]), "b": np.array([[b"x"], [b"y"]], object)}


@pytest.mark.parametrize(
    ("version", "choice", "value"),
    [(None, None, None), (0, "version", 0), ("canary", "version_label", "canary")],
)
def test_a_predict_request(version, choice, value):
    request = grpc_format.predict("m", version, "rank", ARRAYS, ["score"])
    assert request[:2] == ("m", "PredictionService/Predict")
    message = predict_pb2.PredictRequest.FromString(request.data)
    spec = message.model_spec
    assert (spec.name, spec.signature_name) == ("m", "rank")
    assert spec.WhichOneof("version_choice") == choice
    if choice == "version":
        assert spec.version.value == value
    elif choice:
        assert spec.version_label == value
    assert list(message.output_filter) == ["score"]
    assert sorted(message.inputs) == ["a", "b"]


@pytest.mark.parametrize("content", [False, True])
def test_an_answer_in_typed_fields_or_as_content(content):
    spec = messages.model_spec("m", 3, "serving_default")
    data = messages.predict_response(spec, ARRAYS, content=content)
    arrays, version = grpc_format.read_predict(data, (), {})
    assert version == 3
    assert list(arrays) == ["a", "b"]
    assert arrays["a"].dtype == np.float32
    assert arrays["a"].tolist() == [1, 2]
    assert arrays["b"].tolist() == [[b"x"], [b"y"]]
    arrays["a"][0] = 5  # it may be written to


def test_an_answer_without_a_version():
    data = messages.predict_response(messages.model_spec("m"), ARRAYS)
    assert grpc_format.read_predict(data, (), {})[1] is None


def test_status_and_metadata():
    request = grpc_format.status("m")
    assert request.place == "ModelService/GetModelStatus"
    message = get_model_status_pb2.GetModelStatusRequest.FromString(request.data)
    assert message.model_spec.name == "m"
    request = grpc_format.metadata("m", "canary")
    assert request.place == "PredictionService/GetModelMetadata"
    message = get_model_metadata_pb2.GetModelMetadataRequest.FromString(request.data)
    assert message.model_spec.version_label == "canary"
    assert list(message.metadata_field) == ["signature_def"]
