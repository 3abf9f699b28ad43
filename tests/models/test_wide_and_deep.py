import dataclasses

import keras
import numpy as np
import pytest

from tfrec.features import Categorical, Crossed, FeatureSpec
from tfrec.models import wide_and_deep
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model
from tfrec.testing.layers import quiet_saving

SMALL = {"hidden_units": (6,), "seed": 1}


def test_matches_the_paper(spec, frame, ids_of, shaken, table_rows, deep_part):
    model, x = shaken(wide_and_deep(spec, **SMALL)), ids_of(frame, spec)
    first = table_rows(model, spec, x, "weights", width=1)
    vectors = table_rows(model, spec, x, "embeddings")
    age, picture = x["age"][:, None].astype(float), x["picture"].astype(float)
    w, b = model.get_layer("wide_and_deep_linear").get_weights()
    wide = b + sum(first.values()) + np.concatenate([age, picture], axis=1) @ w
    user = [vectors["user_id"], vectors["city"], vectors["history"], age]
    item = [vectors["item_id"], vectors["tags"], vectors["price"], picture]
    flat = np.concatenate([*user, *item], axis=1)
    deep = deep_part(model, "wide_and_deep_deep", flat)
    assert np.ptp(wide) > 0.1 and np.ptp(deep) > 0.1
    np.testing.assert_allclose(model(x), wide + deep, rtol=1e-5, atol=1e-5)


def test_only_the_wide_part_sees_crosses(frame, ids_of, tmp_path):
    columns = [
        Categorical("user_id", side="user", embedding_dim=4),
        Categorical("city", side="user", embedding_dim=6),
        Crossed("both", of=("user_id", "city"), side="user", hash_buckets=50),
    ]
    spec = FeatureSpec(columns).adapt(frame, tmp_path)
    model = wide_and_deep(spec, **SMALL)
    shapes = {w.path: tuple(w.shape) for w in model.weights if "table" in w.path}
    rows = {name: table.rows for name, table in spec.tables.items()}
    assert shapes == {
        "weights_user_1/table": (sum(rows.values()), 1),
        "embeddings_user_4/table": (rows["user_id"], 4),
        "embeddings_user_6/table": (rows["city"], 6),
    }
    x = ids_of(frame[:3], spec)
    assert set(x) == {"user_id", "city", "both"}
    before = np.asarray(model(x))
    table = next(w for w in model.weights if w.path == "weights_user_1/table")
    ids = x["both"] + rows["user_id"] + rows["city"]
    values = table.numpy()
    values[ids] = 5.0
    table.assign(values)
    np.testing.assert_allclose(model(x), before + 5, atol=1e-5)


def test_parts_of_a_spec(check_specs):
    rows = ("user_id", "age"), ("age", "picture"), ("age", "item_id"), ("user_id",)
    check_specs(lambda spec: wide_and_deep(spec, **SMALL), *rows)


def test_saved_and_loaded(spec, frame, ids_of, tmp_path):
    model, x = wide_and_deep(spec, dropout=0.1, **SMALL), ids_of(frame, spec)
    with quiet_saving():
        model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.slow
def test_the_deep_part_finds_what_the_wide_part_cannot(learn, pairs):
    found = learn(lambda spec: wide_and_deep(spec, hidden_units=(16,), seed=1), *pairs)
    wide = learn(lambda spec: wide_and_deep(spec, hidden_units=(), seed=1), *pairs)
    assert found[0] > 0.8 and wide[0] < 0.6


@pytest.mark.slow
def test_contract(spec, frame):
    weighted = dataclasses.replace(spec, weight="weight")

    def make():
        model = wide_and_deep(weighted, dropout=0.2, **SMALL, unknown_rate=0.1)
        loss = keras.losses.BinaryCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )
        model.compile(RowSparseAdagrad(0.1), loss)
        return model

    check_model(make, weighted, frame)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"l2": -1}, "wide_and_deep: `l2` must be a number >= 0"),
        (
            {"hidden_units": 8},
            "wide_and_deep: `hidden_units` must be a tuple of ints >= 1",
        ),
        ({"activation": "relo"}, "`activation` must be the name of a Keras activation"),
        ({"dropout": 1}, r"wide_and_deep: `dropout` must be a number in \[0, 1\)"),
        (
            {"unknown_rate": 1},
            r"wide_and_deep: `unknown_rate` must be a number in \[0, 1\)",
        ),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        wide_and_deep(spec, **arguments)


def test_bad_specs(spec):
    with pytest.raises(TypeError, match="wide_and_deep: `spec` must be a FeatureSpec"):
        wide_and_deep(["user_id"])
    with pytest.raises(TypeError, match="nonsense"):
        wide_and_deep(spec, nonsense=1)
