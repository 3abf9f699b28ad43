import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfrec.export.warmup import example_requests


def read(file):
    for record in tf.data.TFRecordDataset(str(file)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        yield log.predict_log.request


def test_every_record_runs(exported):
    wanted = {"user_tower": 2, "item_tower": 2, "ranker": 5}
    for servable, records in wanted.items():
        place = exported / servable / "1"
        loaded = tf.saved_model.load(str(place)).signatures
        requests = list(read(place / "assets.extra" / "tf_serving_warmup_requests"))
        assert len(requests) == records
        for request in requests:
            assert request.model_spec.name == servable
            arrays = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
            serve = loaded[request.model_spec.signature_name]
            answer = serve(**{k: tf.constant(v) for k, v in arrays.items()})
            for name, value in answer.items():
                assert name == "classes" or np.isfinite(value.numpy()).all()
        # Every signature with inputs is warmed up.
        asked = {request.model_spec.signature_name for request in requests}
        assert asked == set(loaded) - {"pair_id"}


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
