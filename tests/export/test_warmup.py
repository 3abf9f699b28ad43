import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfrec.export.warmup import example_requests


def read(file):
    for record in tf.data.TFRecordDataset(str(file)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        yield log.predict_log.request


def test_every_record_runs(exported):
    for servable in ("user_tower", "item_tower", "ranker"):
        place = exported / servable / "1"
        serve = tf.saved_model.load(str(place)).signatures["serving_default"]
        requests = list(read(place / "assets.extra" / "tf_serving_warmup_requests"))
        assert len(requests) == (3 if servable == "ranker" else 2)
        for request in requests:
            assert request.model_spec.name == servable
            arrays = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
            answer = serve(**{k: tf.constant(v) for k, v in arrays.items()})
            for value in answer.values():
                assert np.isfinite(value.numpy()).all()


def test_examples_are_the_rows_given(fitted):
    names = ["item", "hour"]
    requests = example_requests(fitted.spec, names, fitted.log)
    assert requests[0]["item"].tolist() == [fitted.log["item"][0].encode()]
    assert len(requests[1]["item"]) == 32
    one_user = requests[2]
    assert len(one_user["hour"]) == 1
    assert len(one_user["item"]) == 32


def test_without_examples_values_are_unknown(fitted):
    (one, _) = example_requests(fitted.spec, ["item"])
    assert one["item"].tolist() == [b"warm-up"]
