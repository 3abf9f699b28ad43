"""A log asked again: the same, other numbers, refusals."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfrec import replay
from tfrec.replay import answers
from tfrec.serving import inference
from tfrec.serving.servable import Servable


@pytest.mark.slow
def test_the_same_version_gives_the_same(tmp_path, write_log, exported):
    write_log(tmp_path / "log")
    report = replay.replay(tmp_path / "log", exported[0])
    assert report.same and report.requests == report.compared == 3
    assert set(report.largest) == {"score", "logit"}
    assert max(report.largest.values()) < 1e-6
    assert len(report.seconds) == 3
    assert "different  0" in str(report) and "p99" in str(report)


@pytest.mark.slow
def test_another_version_differs(tmp_path, write_log, exported):
    write_log(tmp_path / "log")
    report = replay.replay(tmp_path / "log", exported[1], tolerance=1e-7)
    assert not report.same and report.different == 3
    wide = replay.replay(tmp_path / "log", exported[1], tolerance=1e9)
    assert wide.same and wide.largest == pytest.approx(report.largest, abs=1e-6)
    loaded = [tf.saved_model.load(str(place)) for place in exported]
    gaps = []
    for log in replay.read(tmp_path / "log"):
        inputs = log.predict_log.request.inputs
        fed = {n: tf.constant(tf.make_ndarray(inputs[n])) for n in inputs}
        one, two = (v.signatures["serving_default"](**fed)["logit"] for v in loaded)
        gaps.append(np.abs(one - two).max())
    assert report.largest["logit"] == pytest.approx(max(gaps), rel=1e-4)


@pytest.mark.slow
def test_what_is_refused_is_told(tmp_path, write_log, exported):
    records = write_log(tmp_path / "log")
    bad = prediction_log_pb2.PredictionLog.FromString(records[0])
    del bad.predict_log.request.inputs["user"]
    write_log(tmp_path / "log", [bad.SerializeToString(), records[1]])
    report = replay.replay(tmp_path / "log", exported[0])
    assert (report.failed, report.compared, report.same) == (1, 1, False)
    assert "INVALID_ARGUMENT: input size does not match" in str(report)


@pytest.mark.slow
def test_nothing_to_compare_is_not_the_same(tmp_path, write_log, exported):
    (record, *_) = write_log(tmp_path / "log")
    log = prediction_log_pb2.PredictionLog.FromString(record)
    log.predict_log.ClearField("response")
    write_log(tmp_path / "log", [log.SerializeToString()])
    report = replay.replay(tmp_path / "log", exported[0])
    assert (report.requests, report.compared, report.same) == (1, 0, False)


@pytest.mark.slow
def test_classify_and_regress(tmp_path, write_log, exported):
    servable = Servable("ranker", 1, exported[0])
    example = tf.train.Example()
    for name, value in (("user", b"a"), ("item", b"x")):
        example.features.feature[name].bytes_list.value.append(value)
    example.features.feature["history"].bytes_list.value.extend([b"x", b"y"])
    example.features.feature["price"].float_list.value.append(2.0)
    records = []
    for api, wrong in (("classify", False), ("regress", False), ("regress", True)):
        log = prediction_log_pb2.PredictionLog()
        part = getattr(log, f"{api}_log")
        part.request.model_spec.signature_name = api
        part.request.input.example_list.examples.append(example)
        prepare = getattr(inference, f"prepare_{api}")
        job = prepare(servable, part.request.model_spec, part.request.input)
        answer = {
            "classify": inference.classification,
            "regress": inference.regression,
        }[api](job, job.run())
        part.response.result.CopyFrom(answer)
        if wrong:
            part.response.result.regressions[0].value += 0.25
        records.append(log.SerializeToString())
    servable.close()
    write_log(tmp_path / "log", records)
    report = replay.replay(tmp_path / "log", exported[0])
    assert (report.compared, report.different, report.failed) == (3, 1, 0)
    assert report.largest == pytest.approx({"label": 0, "score": 0, "value": 0.25})


@pytest.mark.parametrize(
    ("found", "wanted", "gap"),
    [
        (np.float32([1, np.nan]), np.float32([1, np.nan]), 0),
        (np.float32([np.inf]), np.float32([np.inf]), 0),
        (np.float32([1]), np.float32([np.nan]), np.inf),
        (np.float32([1]), np.float32([[1]]), np.inf),
        (np.array([b"a"], object), np.array([b"b"], object), np.inf),
        (np.array([b"a"], object), np.array([b"a"], object), 0),
        (np.int64([3]), np.int64([1]), 2),
        (None, np.float32([1]), np.inf),
    ],
)
def test_differences(found, wanted, gap):
    assert answers._gap(found, wanted) == gap


@pytest.mark.slow
def test_a_bad_tolerance(tmp_path, exported):
    with pytest.raises(ValueError, match="`tolerance` must be a number >= 0"):
        replay.replay(tmp_path, exported[0], tolerance=-1)
