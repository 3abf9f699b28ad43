"""Records are replayed, and one that fails fails the load."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfrec.serving import ServingError, warmup
from tfrec.serving.servable import Servable

AB = {"a": np.float32([1]), "b": np.float32([2])}


@pytest.fixture
def sums(plain):
    servable = Servable("sums", 1, plain.parent / "sums" / "1")
    yield servable
    servable.close()


def test_no_file_is_no_warm_up(sums, tmp_path):
    assert warmup.replay(sums, tmp_path) == 0


def test_name_and_version_are_not_looked_at(sums, tmp_path, request_for, write_warmup):
    x = np.ones([1, 3], np.float32)
    requests = [
        request_for("other", version=99, **AB),
        request_for("", signature="matmul", x=x),
    ]
    write_warmup(tmp_path, requests)
    assert warmup.replay(sums, tmp_path) == 2
    made = sums.signatures["serving_default"]._calls
    assert sorted(made) == [("product",), ("product", "sum"), ("sum",)]
    assert list(sums.signatures["matmul"]._calls) == [("y",)]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ({"signature": "odd", **AB}, "FAILED_PRECONDITION", 'key "odd" not found'),
        ({"signature": "matmul", "x": AB["a"]}, "INVALID_ARGUMENT", "Received: INV"),
    ],
)
def test_a_record_that_fails(
    sums, tmp_path, request_for, write_warmup, arguments, code, text
):
    good = request_for("sums", **AB)
    write_warmup(tmp_path, [good, request_for("sums", **arguments)])
    where = 'warm-up record 1 of servable "sums" version 1 fails'
    with pytest.raises(ServingError, match=where) as caught:
        warmup.replay(sums, tmp_path)
    assert text in str(caught.value)
    assert caught.value.code == code


def test_a_file_of_another_kind(sums, tmp_path):
    path = tmp_path / warmup.FILE
    path.parent.mkdir()
    path.write_bytes(b"not a record" * 10)
    text = "verify your warmup data is in TFRecord format"
    with pytest.raises(ServingError, match=text) as caught:
        warmup.replay(sums, tmp_path)
    assert caught.value.code == "DATA_LOSS"


def records(tmp_path, *data):
    path = tmp_path / warmup.FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in data:
            writer.write(record)


def test_a_record_that_does_not_parse(sums, tmp_path):
    records(tmp_path, b"\xff\xff")
    with pytest.raises(ServingError) as caught:
        warmup.replay(sums, tmp_path)
    assert caught.value.code == "DATA_LOSS"


def test_a_log_of_another_kind(sums, tmp_path):
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.SetInParent()
    records(tmp_path, log.SerializeToString())
    with pytest.raises(ServingError, match="it is a session_run_log") as caught:
        warmup.replay(sums, tmp_path)
    assert caught.value.code == "UNIMPLEMENTED"


def test_a_thousand_records_at_most(sums, tmp_path):
    records(tmp_path, *[b""] * (warmup.MOST_RECORDS + 1))
    with pytest.raises(ServingError, match="1001 records, at most 1000"):
        warmup.replay(sums, tmp_path)
