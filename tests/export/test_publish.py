import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfrec.export.publish import publish, set_defaults


class Doubling(tf.Module):
    """A servable as `publish` takes them, with a mistake when it is asked for."""

    def __init__(self, text=False):
        super().__init__()
        self.factor = tf.Variable(2.0)
        self.functions = None
        spec = tf.TensorSpec([None], tf.float32, "x")
        serve = tf.function(self.answer).get_concrete_function(x=spec)
        self.__dict__["functions"] = {"serving_default": serve}

    def answer(self, x):
        return {"y": x * self.factor, "name": tf.strings.as_string(x)}

    def document(self, name, version, folder):
        parameters = {"x": {"dtype": "float32", "shape": [None], "default": [1.5]}}
        return {"servable": name, "version": version, "parameters": parameters}


REQUESTS = {"m": [("serving_default", {"x": np.array([1, 2], "float32")})]}


def test_appears_whole_with_defaults(tmp_path):
    place = publish("t", tmp_path, 3, {"m": Doubling()}, REQUESTS)["m"]
    assert place == tmp_path / "m" / "3"
    assert [p.name for p in place.parent.iterdir()] == ["3"]
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((place / "saved_model.pb").read_bytes())
    signature = message.meta_graphs[0].signature_def["serving_default"]
    assert tf.make_ndarray(signature.defaults["x"]).tolist() == [1.5]
    loaded = tf.saved_model.load(str(place)).signatures["serving_default"]
    assert loaded(x=tf.constant([4.0]))["y"].numpy().tolist() == [8.0]
    set_defaults(place, {})
    with pytest.raises(FileExistsError, match="version 3 .*Pass version=4"):
        publish("t", tmp_path, 3, {"m": Doubling()}, REQUESTS)


def test_another_answer_is_not_published(tmp_path, monkeypatch):
    load = tf.saved_model.load

    def changed(folder):
        loaded = load(folder)
        serve = loaded.signatures["serving_default"]

        class Loaded:
            @staticmethod
            def wrong(x):
                answer = serve(x=x)
                return {**answer, "name": tf.strings.join([answer["name"], "!"])}

            signatures = {"serving_default": wrong}  # noqa: RUF012

        return Loaded

    monkeypatch.setattr(tf.saved_model, "load", changed)
    with pytest.raises(RuntimeError, match="t: the written 'm' gives another 'name'"):
        publish("t", tmp_path, 1, {"m": Doubling()}, REQUESTS)
    assert not list(tmp_path.rglob("saved_model.pb"))
