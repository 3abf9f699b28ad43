"""Checks without a network; the wire has its tests in test_services.py."""

import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from tfrec.serving import predict
from tfrec.serving.refusal import Refusal
from tfrec.serving.servable import Servable


@pytest.fixture(scope="module")
def sums(plain):
    return Servable("sums", 1, plain.parent / "sums" / "1")


def test_a_prepared_job_runs_as_often_as_asked(sums, request_for):
    request = request_for("sums", a=np.float32([1]), b=np.float32([2]))
    job = predict.prepare(sums, request)
    assert job.outputs == ("product", "sum")
    first = job.run()
    assert job.run() == first
    answer = predict_pb2.PredictResponse.FromString(first)
    assert list(answer.outputs["sum"].float_val) == [3]


def test_what_the_graph_refuses_is_a_refusal(sums, request_for):
    x = np.ones([1, 2], np.float32)
    job = predict.prepare(sums, request_for("sums", signature="matmul", x=x))
    with pytest.raises(Refusal, match="Matrix size-incompatible") as caught:
        job.run()
    assert caught.value.code.name == "INVALID_ARGUMENT"


def test_what_cannot_be_allocated_is_a_refusal(sums, request_for, monkeypatch):
    def decode(proto):
        raise MemoryError

    monkeypatch.setattr(predict.tensors, "decode", decode)
    request = request_for("sums", a=np.float32([1]), b=np.float32([2]))
    with pytest.raises(Refusal, match="tensor parsing error: a"):
        predict.prepare(sums, request)
