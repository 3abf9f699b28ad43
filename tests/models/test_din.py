import dataclasses

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tfrec.data import from_pandas
from tfrec.features import Categorical, FeatureSpec, Numeric, Sequence
from tfrec.models import deepfm, din
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model, planted
from tfrec.testing.layers import quiet_saving

ITEM = ("item_id", "shop", "price")
COLUMNS = [
    Categorical("city", side="context", embedding_dim=3),
    Numeric("age", side="user"),
    Sequence("history", of="item_id", max_length=5),
    Sequence("shops", of="shop", along="history", max_length=5),
    Sequence("actions", of="action", along="history", max_length=5),
    Categorical("action", side="user", embedding_dim=2),
    Categorical("item_id", side="item", embedding_dim=6),
    Categorical("shop", side="item", embedding_dim=4),
    Numeric("price", side="item"),
]


def attributes(history, words):
    return tuple(f"{words}{int(item[1:]) % 4}" for item in history)


@pytest.fixture(scope="module")
def rows(frame):
    log = frame.assign(action="a1", shop=attributes(frame["item_id"], "s"))
    log["shops"] = [attributes(history, "s") for history in log["history"]]
    log["actions"] = [attributes(history, "a") for history in log["history"]]
    return log


@pytest.fixture(scope="module")
def wide(rows, tmp_path_factory):
    """Aligned sequences, one of which has no column of the item."""
    spec = FeatureSpec(COLUMNS, labels=["click"])
    return spec.adapt(rows, tmp_path_factory.mktemp("spec"))


def make(spec, **options):
    options = {"hidden_units": (8,), "attention_units": (6, 4), "seed": 1, **options}
    model = din(spec, **options)
    loss = keras.losses.BinaryCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    model.compile(RowSparseAdagrad(0.1), loss)
    return model


def arrays(rows, spec):
    columns, _ = next(iter(from_pandas(rows, spec, batch_size=len(rows))))
    return {name: value.numpy() for name, value in columns.items()}


@pytest.fixture(scope="module")
def x(rows, wide):
    return arrays(rows, wide)


@pytest.fixture(scope="module")
def fitted(wide, rows):
    model = make(wide)
    batches = from_pandas(rows, wide, batch_size=32)
    model.fit(batches, epochs=3, shuffle=False, verbose=0)
    return model


def looked_up(model, spec, x):
    """The vectors of all columns with a table, by name, in float64."""
    weights = {w.path: w.numpy().astype(float) for w in model.weights}
    found, starts = {}, {}
    for table in spec.tables.values():
        path = f"embeddings_{'_'.join(table.sides)}_{table.embedding_dim}/table"
        start = starts.get(path, 0)
        starts[path] = start + table.rows
        vectors = weights[path][start : start + table.rows]
        vectors[0] = 0
        found.update({column: vectors[x[column]] for column in table.columns})
    return found


def weights_of(model, part):
    return [w.numpy().astype(float) for w in model.weights if part in w.path]


def dense(x, weights, act):
    for start in range(0, len(weights), 2):
        x = x @ weights[start] + weights[start + 1]
        x = act(x) if start + 2 < len(weights) else x
    return x


def by_hand(model, spec, x):
    v = looked_up(model, spec, x)
    q = np.concatenate([v["item_id"], v["shop"]], axis=1)
    k = np.concatenate([v["history"], v["shops"]], axis=2)
    attention = weights_of(model, "din_history_attention")
    u = np.zeros(q.shape)
    for row in range(len(q)):
        for t in np.flatnonzero(x["history"][row]):
            step = np.concatenate([q[row], k[row, t], q[row] - k[row, t]])
            step = np.concatenate([step, q[row] * k[row, t]])
            u[row] += dense(step, attention, lambda z: 1 / (1 + np.exp(-z))) * k[row, t]
    count = np.maximum((x["actions"] != 0).sum(axis=1), 1)[:, None]
    user = [v["city"], v["action"], v["actions"].sum(axis=1) / count]
    parts = [*user, x["age"][:, None], q, x["price"][:, None], u]
    relu = [lambda z: np.maximum(z, 0)]
    return u, dense(np.concatenate(parts, axis=1), weights_of(model, "deep"), *relu)


def test_matches_the_paper(fitted, wide, x):
    u, logit = by_hand(fitted, wide, x)
    assert np.abs(u).max() > 1e-3 and logit.std() > 1e-3
    found = fitted.predict(x, verbose=0)
    np.testing.assert_allclose(found, logit, rtol=1e-5, atol=1e-5)


def test_one_user_row_meets_many_items(fitted, x):
    one = {n: v[:20] if n in ITEM else v[60:61] for n, v in x.items()}
    assert one["history"].any()
    tiled = {n: v if n in ITEM else np.repeat(v, 20, axis=0) for n, v in one.items()}
    np.testing.assert_allclose(fitted(one), fitted(tiled), rtol=0, atol=1e-6)
    none = {n: v[:0] if n in ITEM else v for n, v in one.items()}
    assert fitted(none).shape == (0, 1)


def test_attention_can_be_looked_at(fitted, x):
    layer = fitted.get_layer("din_history_attention")
    found = keras.Model(fitted.inputs, layer.output).predict(x, verbose=0)
    empty = (x["history"] == 0).all(axis=1)
    assert empty.any() and not found[empty].any() and found[~empty].any(axis=1).all()


@pytest.mark.parametrize(
    "names",
    [("history", "item_id"), ("history", "item_id", "price"), ("shops", "shop", "age")],
)
def test_parts_of_a_spec(wide, rows, names):
    """A history alone; without the sequence that it goes along."""
    columns = [c for c in wide if c.name in names]
    columns = [
        dataclasses.replace(c, along=None) if isinstance(c, Sequence) else c
        for c in columns
    ]
    tables = {c.table_name for c in columns if isinstance(c, Categorical)}
    kept = tuple(v for v in wide.vocabularies if v.table in tables)
    part = FeatureSpec(columns, labels=["click"], vocabularies=kept)
    model = make(part, normalization="softmax")
    x = arrays(rows, part)
    assert np.isfinite(model.predict(x, verbose=0)).all()
    one = {n: v if n in ITEM else v[60:61] for n, v in x.items()}
    tiled = {
        n: np.repeat(v, len(rows), axis=0) for n, v in one.items() if n not in ITEM
    }
    np.testing.assert_allclose(model(one), model({**one, **tiled}), atol=1e-6)


def test_saving(fitted, x, tmp_path):
    with quiet_saving():
        fitted.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(x), fitted(x))


@pytest.mark.slow
def test_contract(wide, rows):
    weighted = dataclasses.replace(wide, weight="weight")
    check_model(lambda: make(weighted, dropout=0.2, unknown_rate=0.1), weighted, rows)


@pytest.mark.slow
def test_dice_trains(wide, rows):
    model = make(wide, activation="dice")
    batches = from_pandas(rows, wide, batch_size=32)
    losses = model.fit(batches, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_what_the_mean_of_a_history_does_not_tell(tmp_path):
    frame = planted.repeats().frame
    train, test = frame[:3000], frame[3000:]
    columns = [
        Sequence("history", of="item_id", max_length=6),
        Categorical("item_id", side="item", embedding_dim=3),
    ]
    spec = FeatureSpec(columns, labels=["click"]).adapt(train, tmp_path)
    options = {"hidden_units": (32,), "unknown_rate": 0.0, "seed": 1}
    found = {}
    for name, model in {
        "din": din(spec, attention_units=(32,), **options),
        "mean": deepfm(spec, **options),
    }.items():
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.02), loss)
        batches = from_pandas(train, spec, batch_size=200, shuffle=True)
        model.fit(batches, epochs=20, shuffle=False, verbose=0)
        logits = model.predict(from_pandas(test, spec, batch_size=500), verbose=0)
        found[name] = roc_auc_score(test["click"], logits[:, 0])
    assert found["din"] > 0.97 and found["mean"] < 0.92, found


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"hidden_units": 8}, "din: `hidden_units` must be a tuple of ints >= 1"),
        ({"attention_units": 8}, "din: `attention_units` must be a tuple of ints >= 1"),
        ({"activation": "relo"}, "`activation` must be the name of a Keras activation"),
        ({"normalization": "max"}, "`normalization` must be one of None, 'softmax'"),
        ({"dropout": 1}, r"din: `dropout` must be a number in \[0, 1\)"),
        ({"unknown_rate": -1}, r"din: `unknown_rate` must be a number in \[0, 1\)"),
        ({"l2": -1}, "din: `l2` must be a number >= 0"),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
    ],
)
def test_bad_arguments(wide, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(wide, **arguments)


def test_bad_specs(wide):
    with pytest.raises(TypeError, match="din: `spec` must be a FeatureSpec"):
        din(["user_id"])
    with pytest.raises(TypeError, match="nonsense"):
        din(wide, nonsense=1)
    message = (
        "din: `spec` must have a Sequence `of` a column of the item, on the user's "
        r"side. Received: spec=\[\] \(list\). Add "
        r"Sequence\(\"history\", of=\"item_id\"\)"
    )
    with pytest.raises(ValueError, match=message):
        din(wide.without("history", "shops", "actions"))
    with pytest.raises(
        ValueError, match="din: `spec` must have a column of side 'item"
    ):
        din(wide.select(["age", "city"]))
