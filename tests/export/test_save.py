import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec import data, export, models
from tfrec.features import (
    Bucketized,
    Categorical,
    Crossed,
    FeatureSpec,
    MultiCategorical,
    NumericSequence,
    Sequence,
    wire,
)

# Runs where only TensorFlow is there: importing tfrec would fail the test.
STRANGER = """
import sys, json
import numpy as np
sys.modules["tfrec"] = None
sys.modules["keras"] = None
import tensorflow as tf
folder, requests, answers = sys.argv[1:]
serve = tf.saved_model.load(folder).signatures["serving_default"]
request = np.load(requests, allow_pickle=True)
found = serve(**{name: tf.constant(request[name]) for name in request.files})
np.savez(answers, **{name: value.numpy() for name, value in found.items()})
"""


def signature(folder):
    loaded = tf.saved_model.load(str(folder))
    return loaded, loaded.signatures["serving_default"]


def ask(serve, arrays):
    found = serve(**{name: tf.constant(value) for name, value in arrays.items()})
    return {name: value.numpy() for name, value in found.items()}


def served_names(spec, *sides):
    return [c.name for c in spec if c.serve and c.side in sides]


def test_layout(exported):
    for servable in ("user_tower", "item_tower", "ranker"):
        place = exported / servable / "1"
        assert (place / "saved_model.pb").is_file()
        assert (place / "assets.extra" / "feature_spec.json").is_file()
        assert (place / "assets.extra" / "tf_serving_warmup_requests").is_file()
        assert os.listdir(place.parent) == ["1"], "nothing temporary is left"
    config = (exported / "models.config").read_text()
    assert config.count("base_path") == 3


@pytest.mark.parametrize(
    ("servable", "sides", "output"),
    [
        ("user_tower", ("user", "context"), "user_embedding"),
        ("item_tower", ("item",), "item_embedding"),
    ],
)
def test_towers_answer_from_raw_values(fitted, exported, servable, sides, output):
    spec, log = fitted.spec, fitted.log
    _, serve = signature(exported / servable / "1")
    # The towers know `position`, which is not served: it counts as missing.
    rows = log.assign(position=-1)
    tower = getattr(fitted.two_tower, servable)
    names = [tensor.name for tensor in tower.inputs]
    local = tower.predict(data.from_pandas(rows, spec, columns=names), verbose=0)
    found = ask(serve, wire(spec, log, served_names(spec, *sides)))
    assert list(found) == [output]
    np.testing.assert_allclose(found[output], local, atol=1e-6)


def test_ranker_equals_the_model(fitted, exported):
    _, serve = signature(exported / "ranker" / "1")
    spec = fitted.spec
    rows = fitted.log.assign(position=-1)
    names = [tensor.name for tensor in fitted.ranker.inputs]
    local = fitted.ranker.predict(
        data.from_pandas(rows, spec, columns=names), verbose=0
    )[:, 0]
    arrays = wire(spec, fitted.log, served_names(spec, "user", "context", "item"))
    found = ask(serve, arrays)
    np.testing.assert_allclose(found["logit"], local, atol=1e-5)
    np.testing.assert_allclose(found["score"], 1 / (1 + np.exp(-local)), atol=1e-6)
    again = ask(serve, arrays)
    assert found["score"].tobytes() == again["score"].tobytes()


def test_one_user_and_many_items(fitted, exported):
    loaded, serve = signature(exported / "ranker" / "1")
    spec = fitted.spec
    many = wire(spec, fitted.log, served_names(spec, "user", "context", "item"))
    item = set(served_names(spec, "item"))
    one = {name: value if name in item else value[:1] for name, value in many.items()}
    tiled = {
        name: value if name in item else np.repeat(value[:1], len(value), axis=0)
        for name, value in many.items()
    }
    np.testing.assert_allclose(
        ask(serve, one)["logit"], ask(serve, tiled)["logit"], atol=1e-6
    )


def test_unknown_empty_and_missing_values(fitted, exported):
    _, serve = signature(exported / "ranker" / "1")
    spec = fitted.spec
    rows = {
        "user": [10**15, -5, -1],
        "history": [[], ["nobody has seen this"], ["i1"] * 500],
        "age": [np.nan, -1e30, 1e30],
        "hour": [3.0, 1e6, 0.0],
        "item": ["new", None, ""],
        "tags": ["", "zzz|zzz", None],
        "price": [0.0, 1e6, 2.0],
    }
    found = ask(serve, wire(spec, rows, list(rows)))
    assert np.isfinite(found["logit"]).all()


def test_padding_never_matters(fitted, exported):
    _, serve = signature(exported / "ranker" / "1")
    spec = fitted.spec
    arrays = wire(spec, fitted.log, served_names(spec, "user", "context", "item"))
    wanted = ask(serve, arrays)["logit"]
    history = arrays["history"]
    empty = np.full((len(history), 7), b"", object)
    for padded in (np.hstack([history, empty]), np.hstack([empty, history])):
        found = ask(serve, {**arrays, "history": padded})["logit"]
        np.testing.assert_array_equal(found, wanted)


def test_no_table_of_the_other_side(exported):
    names = {
        servable: [
            name
            for name, _ in tf.train.list_variables(
                str(exported / servable / "1" / "variables" / "variables")
            )
        ]
        for servable in ("user_tower", "item_tower")
    }
    shapes = {}
    for servable in names:
        loaded, _ = signature(exported / servable / "1")
        shapes[servable] = {v.name.split("/")[0] for v in loaded.held}
    assert "embeddings_user_4" in shapes["user_tower"]
    assert "embeddings_item_4" in shapes["item_tower"]
    assert not any(name == "embeddings_item_4" for name in shapes["user_tower"])
    assert not any(name == "embeddings_user_4" for name in shapes["item_tower"])
    assets = {s: sorted(os.listdir(exported / s / "1" / "assets")) for s in names}
    assert assets["user_tower"] == ["item.txt", "user.txt"]
    assert assets["item_tower"] == ["item.txt", "tags.txt"]


@pytest.mark.slow
def test_a_process_without_tfrec_gets_the_same(fitted, exported, tmp_path):
    arrays = wire(
        fitted.spec, fitted.log, served_names(fitted.spec, "user", "context", "item")
    )
    np.savez(tmp_path / "request.npz", **arrays)
    command = [sys.executable, "-c", STRANGER, str(exported / "ranker" / "1")]
    command += [str(tmp_path / "request.npz"), str(tmp_path / "answer.npz")]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    answer = np.load(tmp_path / "answer.npz")
    _, serve = signature(exported / "ranker" / "1")
    np.testing.assert_array_equal(answer["logit"], ask(serve, arrays)["logit"])


def test_nothing_of_this_machine(exported):
    from tensorflow.core.protobuf import saved_model_pb2

    for servable in ("user_tower", "item_tower", "ranker"):
        message = saved_model_pb2.SavedModel()
        file = exported / servable / "1" / "saved_model.pb"
        message.ParseFromString(file.read_bytes())
        graph = message.meta_graphs[0].graph_def
        assert str(exported) not in str(graph), "no path of this machine in the graph"
        assert file.stat().st_size < 2**20


def test_feature_spec_json(fitted, exported):
    folder = exported / "ranker" / "1" / "assets.extra"
    document = json.loads((folder / "feature_spec.json").read_text())
    assert "position" not in document["inputs"]
    assert document["inputs"]["history"] == {
        "dtype": "string",
        "shape": [None, None],
        "side": "user",
    }
    assert document["outputs"]["score"] == {"dtype": "float32", "shape": [None]}
    spec = FeatureSpec.from_json(document["spec"], folder)
    assert spec.columns == fitted.spec.columns
    assert spec.vocabulary("item").values() == fitted.spec.vocabulary("item").values()


def test_never_overwrites(fitted, exported):
    before = (exported / "ranker" / "1" / "saved_model.pb").stat().st_mtime_ns
    with pytest.raises(FileExistsError, match="version 1 of .*Pass version=2"):
        export.save(fitted.ranker, fitted.spec, exported)
    assert (exported / "ranker" / "1" / "saved_model.pb").stat().st_mtime_ns == before


def test_nothing_half_written(fitted, tmp_path, monkeypatch):
    import importlib

    module = importlib.import_module("tfrec.export.publish")

    def broken(*_):
        raise RuntimeError("disk full")

    monkeypatch.setattr(module, "write_warmup", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        export.save(fitted.two_tower, fitted.spec, tmp_path / "m")
    left = [p for p in (tmp_path / "m").rglob("*") if p.is_file()]
    assert left == []


@pytest.mark.slow
def test_refuses_a_model_that_cannot_be_verified(fitted, tmp_path):
    import keras

    broken = keras.models.clone_model(fitted.ranker)
    broken.set_weights([np.full_like(w, np.nan) for w in broken.get_weights()])
    with pytest.raises(RuntimeError, match="gives another"):
        export.save(broken, fitted.spec, tmp_path / "m")
    assert not list((tmp_path / "m").rglob("saved_model.pb"))


def test_errors(fitted, tmp_path):
    import keras

    with pytest.raises(ValueError, match="`version` must be an int >= 1.*version=0"):
        export.save(fitted.ranker, fitted.spec, tmp_path, version=0)
    with pytest.raises(TypeError, match="`spec` must be a FeatureSpec"):
        export.save(fitted.ranker, {}, tmp_path)
    with pytest.raises(TypeError, match="`model` must be a TwoTower or a keras.Model"):
        export.save("model.keras", fitted.spec, tmp_path)
    with pytest.raises(ValueError, match='column "price" is an input of the model'):
        export.save(fitted.ranker, fitted.spec.without("price"), tmp_path)
    two = keras.Model(
        fitted.ranker.inputs, keras.layers.Dense(2)(fitted.ranker.outputs[0])
    )
    with pytest.raises(ValueError, match=r"`model` must end in one logit \(batch, 1\)"):
        export.save(two, fitted.spec, tmp_path)
    with pytest.raises(TypeError):
        export.save(fitted.ranker, fitted.spec, tmp_path, nonsense=1)


@pytest.mark.slow
def test_columns_made_of_others(tmp_path):
    log = pd.DataFrame(
        {
            "city": ["a", "b", None, "c"],
            "hour": [1.0, 7.0, 13.0, np.nan],
            "history": [["x", "y", "", "z", "x"], [], ["q", None], ["x"]],
            "actions": [["c", "b", "c", "", "b"], [], ["c", "c"], [None]],
            "gaps": [[1.0, 2, 3, 4, 5], [], [1.0, None], [7.0]],
            "action": ["c", "b", "c", "d"],
            "item": ["x", "y", "z", "x"],
            "tags": [["t", "u"], ["t"], [], ["u", ""]],
            "shares": [[1.0, 2.0], [0.5], [], [2.0, None]],
        }
    )
    spec = FeatureSpec(
        [
            Categorical("city", side="user"),
            Bucketized("hour", side="context", boundaries=(6, 12)),
            Crossed("cross", of=("city", "hour"), side="user", hash_buckets=50),
            Categorical("item", side="item", trainable=False),
            Sequence("history", of="item", max_length=3),
            Categorical("action", side="context", serve=False),
            Sequence("actions", of="action", along="history", max_length=3),
            NumericSequence("gaps", along="history", scaling="log1p", fill=0),
            MultiCategorical("tags", side="item", weights="shares"),
            NumericSequence("shares", along="tags", side="item", fill=1),
        ]
    ).adapt(log, tmp_path / "vocabularies")
    two_tower = models.dssm(spec, item_id="item", hidden_units=(4,), seed=0)
    export.save(two_tower, spec, tmp_path / "m")
    ranker = models.deepfm(spec, hidden_units=(4,), seed=0)
    export.save(ranker, spec, tmp_path / "m", examples=log)
    _, serve = signature(tmp_path / "m" / "ranker" / "1")
    names = set(serve.structured_input_signature[1])
    assert names == set(spec.raw_names()) - {"action"}
    found = ask(serve, wire(spec, log, names))["logit"]
    rows = data.from_pandas(
        log.assign(action=None),
        spec,
        columns=[tensor.name for tensor in ranker.inputs],
    )
    local = ranker.predict(rows, verbose=0)[:, 0]
    np.testing.assert_allclose(found, local, atol=1e-5)
