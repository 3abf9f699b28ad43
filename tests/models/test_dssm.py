import dataclasses
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tfrec.data import from_pandas
from tfrec.features import Categorical, FeatureSpec, Sequence
from tfrec.losses import InBatchSoftmax
from tfrec.models import dssm
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model, planted
from tfrec.testing.layers import quiet_saving

USER = ("user_id", "history", "age", "city")
ITEM = ("item_id", "tags", "price", "picture")


def make(spec, compiled=None, **options):
    options = {"item_id": "item_id", "hidden_units": (8, 4), "seed": 1, **options}
    model = dssm(spec, **options)
    model.compile(RowSparseAdagrad(0.2), InBatchSoftmax(), **(compiled or {}))
    return model


@pytest.fixture(scope="module")
def batches(frame, spec):
    return from_pandas(frame, spec, batch_size=32)


@pytest.fixture(scope="module")
def x(frame, spec):
    columns, _ = next(iter(from_pandas(frame, spec, batch_size=len(frame))))
    return {name: value.numpy() for name, value in columns.items()}


@pytest.fixture(scope="module")
def fitted(spec, batches):
    model = make(spec, dropout=0.1)
    model.fit(batches, epochs=2, shuffle=False, verbose=0)
    return model


def weights_of(model, *parts):
    return [w.numpy() for w in model.weights if any(part in w.path for part in parts)]


def test_matches_the_paper(fitted, x):
    """The item tower by hand: fields side by side, dense layers, unit length."""
    tower = fitted.item_tower
    (own,) = weights_of(tower, "embeddings_item_8")
    (shared,) = weights_of(tower, "embeddings_user_item_8")
    tags, price = own[: own.shape[0] - 5], own[own.shape[0] - 5 :]
    mask = (x["tags"] != 0)[:, :, None]
    pooled = (tags[x["tags"]] * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    h = np.concatenate(
        [shared[x["item_id"]], pooled, price[x["price"]], x["picture"]], axis=1
    )
    w1, b1, w2, b2 = weights_of(tower, "mlp")
    h = np.maximum(h @ w1 + b1, 0) @ w2 + b2
    wanted = h / np.linalg.norm(h, axis=1, keepdims=True)
    found = tower.predict(x, verbose=0)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_vectors_have_length_1(fitted, x):
    for tower in (fitted.user_tower, fitted.item_tower):
        norm = np.linalg.norm(tower.predict(x, verbose=0), axis=1)
        np.testing.assert_allclose(norm, 1, atol=1e-5)


def test_a_zero_last_layer_gives_zero_and_not_nan(spec, x, policy):
    for name in ("float32", "mixed_float16"):
        policy(name)
        model = make(spec)
        for weight in model.weights:
            if "mlp" in weight.path:
                weight.assign(0 * weight)
        assert not model.user_tower.predict(x, verbose=0).any()
        assert not model.predict(x, verbose=0).any()


def test_scaling_the_last_layer_changes_nothing(spec, x):
    model = make(spec)
    before = model.user_tower.predict(x, verbose=0)
    for weight in [w for w in model.weights if "user_mlp" in w.path][-2:]:
        weight.assign(7 * weight)
    after = model.user_tower.predict(x, verbose=0)
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_towers_hold_their_own_tables_only(fitted):
    def tables(tower):
        names = {weight.path.split("/")[0] for weight in tower.weights}
        return {name for name in names if name.startswith("embeddings")}

    shared = "embeddings_user_item_8"
    assert tables(fitted.user_tower) == {"embeddings_user_8", shared}
    assert tables(fitted.item_tower) == {"embeddings_item_8", shared}
    assert [t.name for t in fitted.user_tower.inputs] == list(USER)
    assert [t.name for t in fitted.item_tower.inputs] == list(ITEM)


def test_a_tower_reads_its_own_side_only(fitted, x):
    other = {n: v[::-1] if n in ITEM else v for n, v in x.items()}
    np.testing.assert_array_equal(
        fitted.user_tower.predict(other, verbose=0),
        fitted.user_tower.predict(x, verbose=0),
    )
    assert not np.array_equal(
        fitted.item_tower.predict(other, verbose=0),
        fitted.item_tower.predict(x, verbose=0),
    )


def test_predict_is_the_product_of_the_towers(fitted, x):
    users = fitted.user_tower.predict(x, verbose=0)
    items = fitted.item_tower.predict(x, verbose=0)
    wanted = np.sum(users * items, axis=1, keepdims=True)
    for size in (7, 64):  # 160 rows: the last batch of 7 has another size
        found = fitted.predict(x, batch_size=size, verbose=0)
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_log_q_is_the_log_of_the_share_of_rows(spec, frame):
    log_q = make(spec).log_q.numpy()
    rows = frame["item_id"].value_counts()
    wanted = [rows[value] / len(frame) for value in spec.vocabulary("item_id").values()]
    np.testing.assert_allclose(np.exp(log_q[2:]), wanted, rtol=0.01)
    assert np.isfinite(log_q).all() and log_q[:2].max() < log_q[2:].min()
    assert make(spec, log_q=False).num_items is None


def test_saving_keeps_what_is_shared(fitted, batches, x, tmp_path):
    with quiet_saving():
        fitted.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(x), fitted(x))
    evaluated = [m.evaluate(batches, verbose=0) for m in (loaded, fitted)]
    np.testing.assert_allclose(*evaluated, rtol=1e-6)
    towers = (loaded.user_tower, loaded.item_tower)
    tables = [
        next(w for w in tower.weights if "user_item" in w.path) for tower in towers
    ]
    assert tables[0] is tables[1]
    assert len(loaded.trainable_weights) == len(fitted.trainable_weights)
    assert [w.path for w in loaded.weights] == [w.path for w in fitted.weights]


def test_a_model_is_saved_before_it_was_called(spec, x, tmp_path):
    model = dssm(spec, item_id="item_id")
    with quiet_saving():
        model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.slow
def test_ways_to_run_a_step(spec, batches):
    losses = []
    for compiled in ({}, {"run_eagerly": True}, {"steps_per_execution": 3}):
        model = make(spec, compiled, dropout=0.1)
        fitted = model.fit(batches, epochs=1, shuffle=False, verbose=0)
        losses += fitted.history["loss"]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(spec, batches, x, policy, name):
    policy(name)
    model = make(spec)
    losses = model.fit(batches, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    assert model.user_tower.predict(x, verbose=0).dtype == np.float32
    assert {w.dtype for w in model.trainable_weights} == {"float32"}


def test_columns_may_be_called_like_layers(frame, tmp_path):
    names = ["user_embedding", "user_mlp", "x", "towers", "dssm", "item_concat"]
    columns = [Categorical(name, side="user") for name in names]
    columns.append(Categorical("item_id", side="item"))
    rows = frame.assign(**dict.fromkeys(names, frame["city"]))
    model = make(FeatureSpec(columns).adapt(rows, tmp_path))
    assert [tensor.name for tensor in model.user_tower.inputs] == names


@pytest.mark.slow
def test_contract(spec, frame):
    weighted = dataclasses.replace(spec, weight="weight")
    check_model(lambda: make(weighted, dropout=0.2, unknown_rate=0.1), weighted, frame)


def recall(model, log, spec, users=None, known=10):
    """Share of each user's relevant items among the `known` best."""
    users = log.users if users is None else users
    columns = {
        "user_tower": (users.assign(item_id="i0", colour=""), model.user_tower),
        "item_tower": (
            log.items.assign(user_id="", city="", history=[()] * len(log.items)),
            model.item_tower,
        ),
    }
    vectors = {
        name: tower.predict(from_pandas(rows, spec, batch_size=500), verbose=0)
        for name, (rows, tower) in columns.items()
    }
    scores = vectors["user_tower"] @ vectors["item_tower"].T
    best = np.argsort(-scores, axis=1)[:, :known]
    return np.take_along_axis(log.relevant, best, axis=1).mean()


@pytest.mark.slow
def test_planted_clusters_are_found(tmp_path):
    log = planted.taste_clusters()
    columns = [
        Categorical("user_id", side="user"),
        Categorical("city", side="user"),
        Sequence("history", of="item_id", max_length=12),
        Categorical("item_id", side="item"),
        Categorical("colour", side="item"),
    ]
    spec = FeatureSpec(columns).adapt(log.frame, tmp_path)
    model = make(spec, hidden_units=(16,), temperature=0.2, unknown_rate=0.1)
    assert recall(model, log, spec) < 0.3
    rows = from_pandas(log.frame, spec, batch_size=128, shuffle=True)
    model.fit(rows, epochs=12, shuffle=False, verbose=0)
    assert recall(model, log, spec) > 0.9
    strangers = log.users.assign(user_id="stranger", city="")
    assert recall(model, log, spec, strangers) > 0.8


REPLICAS = """
import sys
import keras, numpy as np, pandas as pd, tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [one, one])
from tfrec.data import from_pandas
from tfrec.features import FeatureSpec
from tfrec.losses import InBatchSoftmax
from tfrec.models import deepfm, dssm
from tfrec.optimizers import RowSparseAdagrad

spec = FeatureSpec.load(sys.argv[1])
frame = pd.read_pickle(sys.argv[2])
rows = from_pandas(frame, spec, batch_size=32)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
logloss = keras.losses.BinaryCrossentropy(from_logits=True)
found = {}
for name, scope in (("one", tf.distribute.get_strategy()), ("two", strategy)):
    with scope.scope():
        ranker = deepfm(spec, hidden_units=(8,), unknown_rate=0.0, seed=1)
        ranker.compile(RowSparseAdagrad(0.1), logloss)
    ranker.fit(rows, epochs=2, shuffle=False, verbose=0)
    found[name] = ranker.get_weights()
for one, two in zip(found["one"], found["two"], strict=True):
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)
with strategy.scope():
    model = dssm(spec, item_id="item_id", hidden_units=(8,), dropout=0.1, seed=1)
    model.compile(RowSparseAdagrad(0.2), InBatchSoftmax())
losses = model.fit(rows, epochs=4, shuffle=False, verbose=0).history["loss"]
assert np.isfinite(losses).all() and losses[-1] < losses[0], losses
assert np.isfinite(model.evaluate(rows, verbose=0))
assert model.predict(rows, verbose=0).shape == (len(frame), 1)
"""


@pytest.mark.slow
def test_two_replicas(spec, frame, tmp_path):
    """Both models under MirroredStrategy; DeepFM as on one device."""
    spec.save(tmp_path / "spec.json")
    frame.to_pickle(tmp_path / "frame.pkl")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            REPLICAS,
            tmp_path / "spec.json",
            tmp_path / "frame.pkl",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"hidden_units": 8}, "dssm: `hidden_units` must be a tuple of ints >= 1"),
        ({"hidden_units": ()}, "`hidden_units` must name at least the width of the"),
        ({"poolings": ()}, "dssm: `poolings` must be a non-empty tuple of names"),
        ({"poolings": "mean"}, "`poolings` must be a non-empty tuple of names"),
        ({"poolings": ("avg",)}, "`poolings` must be one of 'mean', 'sum'"),
        ({"temperature": 0}, "dssm: `temperature` must be a number > 0"),
        ({"log_q": 1}, "dssm: `log_q` must be True or False"),
        ({"activation": "relo"}, "`activation` must be the name of a Keras activation"),
        ({"dropout": 1}, r"dssm: `dropout` must be a number in \[0, 1\)"),
        ({"unknown_rate": -1}, r"dssm: `unknown_rate` must be a number in \[0, 1\)"),
        (
            {"item_id": "user_id"},
            'dssm: `item_id` must name a Categorical of side "item". Received: '
            r"item_id='user_id' \(str\). The spec has \"item_id\".",
        ),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(spec, **arguments)


def test_bad_specs(spec, tmp_path):
    with pytest.raises(TypeError, match="dssm: `spec` must be a FeatureSpec"):
        dssm("spec", item_id="item_id")
    with pytest.raises(TypeError, match="nonsense"):
        dssm(spec, item_id="item_id", nonsense=1)
    no_user = spec.select(ITEM)
    with pytest.raises(ValueError, match="dssm: `spec` must have a column of side 'us"):
        dssm(no_user, item_id="item_id")
    hashed = FeatureSpec(
        [
            Categorical("user_id", side="user", hash_buckets=9),
            Categorical("item_id", side="item", hash_buckets=9),
        ]
    )
    message = "`item_id` must have a vocabulary, whose counts give log q.* log_q=False"
    with pytest.raises(ValueError, match=message):
        dssm(hashed, item_id="item_id")
    assert dssm(hashed, item_id="item_id", log_q=False).num_items is None
