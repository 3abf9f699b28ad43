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
    first = job.response(job.run())
    assert job.response(job.run(20.0)) == first
    answer = predict_pb2.PredictResponse.FromString(first)
    assert list(answer.outputs["sum"].float_val) == [3]


def test_what_the_graph_refuses_is_a_refusal(sums, request_for):
    x = np.ones([1, 2], np.float32)
    job = predict.prepare(sums, request_for("sums", signature="matmul", x=x))
    with pytest.raises(Refusal, match="Matrix size-incompatible") as caught:
        job.run()
    assert caught.value.code.name == "INVALID_ARGUMENT"


def test_numbers_may_go_to_tensor_content(sums, request_for):
    request = request_for("sums", a=np.float32([1]), b=np.float32([2]))
    job = predict.prepare(sums, request)
    data = job.response(job.run(), content=True)
    output = predict_pb2.PredictResponse.FromString(data).outputs["sum"]
    assert output.tensor_content == np.float32([3]).tobytes()
    assert not output.float_val


def test_what_is_filled_is_bounded(sums, request_for):
    request = request_for("sums", a=np.float32([1]), b=np.float32([2]))
    request.inputs["b"].ClearField("tensor_content")
    request.inputs["b"].tensor_shape.dim[0].size = 100
    assert len(predict.prepare(sums, request).arrays[1]) == 100
    with pytest.raises(Refusal, match="tensor parsing error: b"):
        predict.prepare(sums, request, max_fill_bytes=300)


def test_a_graph_is_stopped(waiter, request_for, tmp_path):
    servable = Servable("waiter", 1, waiter / "waiter" / "1")
    place = str(tmp_path / "go")
    request = request_for("waiter", started=str(tmp_path / "started"), go=place)
    with pytest.raises(Refusal, match="Timed out|imeout|ancelled") as caught:
        predict.prepare(servable, request).run(0.1)
    assert caught.value.code.name == "DEADLINE_EXCEEDED"
    servable.close()


def test_what_cannot_be_allocated_is_a_refusal(sums, request_for, monkeypatch):
    def decode(proto, most):
        raise MemoryError

    monkeypatch.setattr(predict.tensors, "decode", decode)
    request = request_for("sums", a=np.float32([1]), b=np.float32([2]))
    with pytest.raises(Refusal, match="tensor parsing error: a"):
        predict.prepare(sums, request)
