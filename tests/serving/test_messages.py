"""Hand-made messages against protobuf's own."""

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tfrec.serving import messages

ARRAYS = {"b": np.float32([1, 2]), "a": np.array([[b"x"], [b"y"]], object)}


def test_a_request_reads_back():
    spec = messages.model_spec("ranker", 0, "rank")
    data = messages.predict_request(spec, ARRAYS, ["score"])
    request = predict_pb2.PredictRequest.FromString(data)
    assert request.model_spec.name == "ranker"
    assert request.model_spec.HasField("version")
    assert request.model_spec.version.value == 0
    assert request.model_spec.signature_name == "rank"
    assert list(request.output_filter) == ["score"]
    for name, array in ARRAYS.items():
        assert tf.make_ndarray(request.inputs[name]).tolist() == array.tolist()


def test_no_version_leaves_the_choice():
    spec = messages.model_spec("ranker")
    request = predict_pb2.PredictRequest.FromString(messages.predict_request(spec, {}))
    assert not request.model_spec.HasField("version")


def test_a_response_has_typed_values_and_one_form():
    spec = messages.model_spec("ranker", 3, "serving_default")
    data = messages.predict_response(spec, ARRAYS)
    assert data == messages.predict_response(spec, dict(reversed(ARRAYS.items())))
    response = predict_pb2.PredictResponse.FromString(data)
    assert list(response.outputs["b"].float_val) == [1, 2]
    assert list(response.outputs["a"].string_val) == [b"x", b"y"]
    assert response.model_spec.version.value == 3
