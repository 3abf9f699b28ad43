"""Tests that tables grow table by table, and that nothing else moves."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops

import tfrec
from tfrec import export
from tfrec.data import from_pandas
from tfrec.datasets import movietweetings as tweets
from tfrec.embeddings import Embeddings, EmbeddingTable, inputs_of
from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    Sequence,
)
from tfrec.growth import Assigned, assign_rows
from tfrec.losses import InBatchSoftmax
from tfrec.models import TwoTower, deepfm, dssm
from tfrec.optimizers import (
    RowSparseAdagrad,
    RowSparseAdam,
    RowSparseFtrl,
    RowSparseLossScale,
    RowSparseSGD,
    RowWiseAdagrad,
)
from tfrec.testing.layers import quiet_saving

pytestmark = pytest.mark.slow

DIM = {"embedding_dim": 4}
SPEC = FeatureSpec(
    [
        Categorical("user", side="user", dtype="int64", **DIM),
        Sequence("history", of="movie", max_length=4),
        Bucketized("age", side="user", boundaries=(20.0, 40.0), **DIM),
        Categorical("city", side="context", hash_buckets=5, **DIM),
        Numeric("hour", side="context", scaling="standard"),
        Categorical("movie", side="item", **DIM),
        MultiCategorical("genres", side="item", separator="|", **DIM),
        Bucketized("year", side="item", boundaries=(1990.0, 2000.0), **DIM),
        Categorical("maker", side="item", min_count=2, **DIM),
    ],
    labels=["click"],
)


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


def make_rows(seed, rows, users, movies):
    random = np.random.default_rng(seed)
    names = [f"m{number}" for number in range(*movies)]
    return pd.DataFrame(
        {
            "user": random.integers(*users, rows),
            "history": [
                list(random.choice(names, random.integers(0, 6))) for _ in range(rows)
            ],
            "age": random.uniform(10, 60, rows),
            "city": random.choice(["Rome", "Oslo", "Lima"], rows),
            "hour": random.uniform(0, 24, rows),
            "movie": random.choice(names, rows),
            "genres": random.choice([f"g{movies[0]}", "new|old", "old", ""], rows),
            "year": random.uniform(1980, 2010, rows),
            "maker": [f"k{n}" for n in random.integers(*movies, rows)],
            "click": random.integers(0, 2, rows).astype("float32"),
        }
    )


@pytest.fixture(scope="module")
def days():
    """The second knows old and new people and films."""
    one = make_rows(0, 96, (0, 15), (0, 12))
    return one, make_rows(1, 96, (8, 30), (6, 24))


@pytest.fixture(scope="module")
def specs(days, tmp_path_factory):
    folder = tmp_path_factory.mktemp("specs")
    old = SPEC.adapt(days[0], folder / "1")
    return old, old.extend(days[1], folder / "2")


def batches(rows, spec):
    return from_pandas(rows, spec, batch_size=32)


def ranker(spec, optimizer=None, **options):
    options = {"hidden_units": (6,), "unknown_rate": 0.1, "seed": 3, **options}
    model = deepfm(spec, **options)
    logloss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer or RowSparseAdagrad(0.1), logloss, metrics=["AUC"])
    return model


def towers(spec, optimizer=None, **options):
    options = {"hidden_units": (6,), "unknown_rate": 0.1, "seed": 3, **options}
    model = dssm(spec, item_id="movie", dropout=0.1, **options)
    model.compile(optimizer or RowSparseAdagrad(0.1), InBatchSoftmax())
    return model


def fit(model, rows, spec, epochs=2):
    return model.fit(batches(rows, spec), epochs=epochs, shuffle=False, verbose=0)


def fill(model, seed=0):
    """Every weight, state and slot is some number of its own."""
    model.optimizer.build(model.trainable_variables)
    random = np.random.default_rng(seed)
    for variable in (*model.variables, *model.optimizer.variables):
        if "int" in variable.dtype:
            values = random.integers(0, 1000, variable.shape)
        else:
            values = random.normal(size=variable.shape)
        variable.assign(np.asarray(values).astype(variable.dtype))


def tables_of(model):
    graph = model.towers if isinstance(model, TwoTower) else model
    return [layer for layer in graph.layers if isinstance(layer, EmbeddingTable)]


def kept_rows(old, new, layer):
    """By the layer's name and the specs alone: for each row of the new table the
    row that it had, or -1; and the unknown row of its logical table."""
    sides = tuple(layer.name.split("_")[1:-1])
    kept, unknown, start = [], [], 0
    for table in old.tables.values():
        if table.sides != sides:
            continue
        more = new.tables[table.name].rows - table.rows
        kept += [*range(start, start + table.rows), *[-1] * more]
        unknown += [start + 1] * (table.rows + more)
        start += table.rows
    return np.array(kept), np.array(unknown)


def others(model):
    """All weights and states but the tables and log q, in order."""
    tables = {id(layer.table) for layer in tables_of(model)}
    found = [v for v in model.variables if id(v) not in tables]
    return [v.numpy() for v in found if not v.path.endswith("log_q")]


def assert_equal(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


OPTIMIZERS = {
    "row_sparse_adagrad": lambda: RowSparseAdagrad(0.1, 0.3),
    "row_sparse_adam": lambda: RowSparseAdam(0.1, weight_decay=0.1),
    "row_sparse_ftrl": lambda: RowSparseFtrl(0.1),
    "row_sparse_sgd": lambda: RowSparseSGD(0.1),
    "row_wise_adagrad": lambda: RowWiseAdagrad(0.1, 0.3),
    "scaled": lambda: RowSparseLossScale(RowSparseAdam(0.1)),
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "ftrl": lambda: keras.optimizers.Ftrl(0.1),
    "adafactor": lambda: keras.optimizers.Adafactor(0.01),
    "accumulating": lambda: keras.optimizers.Adam(gradient_accumulation_steps=2),
}


@pytest.mark.parametrize("make", [ranker, towers])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_and_slots(specs, make, name):
    old, new = specs
    model = make(old, OPTIMIZERS[name]())
    fill(model)
    before = [w.numpy() for w in (*model.variables, *model.optimizer.variables)]
    # A slot says where it came from: which table, which row.
    length_of, slots = {}, {}
    for number, layer in enumerate(tables_of(model)):
        path = layer.table.path.replace("/", "_")
        length_of[number] = sum(layer.rows)
        for slot in model.optimizer.variables:
            rows = slot.shape[:1] == (sum(layer.rows),)
            if rows and (slot.name.startswith(path) or name == "adafactor"):
                row = np.arange(sum(layer.rows), dtype="float32")
                wide = row.reshape(-1, *[1] * (len(slot.shape) - 1))
                slot.assign(np.broadcast_to(1000 * number + wide, slot.shape))
                slots.setdefault(number, []).append(slot.name)
    # Adafactor: other tables are of the same length; SGD has no slots.
    if name not in ("adafactor", "row_sparse_sgd"):
        assert [len(found) for found in slots.values()] == [
            *[len(slots[0])] * len(tables_of(model))
        ]
    values = [v.numpy() for v in model.optimizer.variables]

    grown = tfrec.extend(model, old, new)
    assert type(grown) is type(model) and grown.name == model.name
    fresh = make(new, OPTIMIZERS[name]())
    fresh.optimizer.build(fresh.trainable_variables)
    layers = [tables_of(one) for one in (model, grown, fresh)]
    assert any(a.rows != b.rows for a, b, _ in zip(*layers, strict=True))
    for was, now, wanted in zip(*layers, strict=True):
        assert now.rows == wanted.rows and now.name == was.name
        kept, unknown = kept_rows(old, new, was)
        source = np.where(kept >= 0, kept, unknown)
        np.testing.assert_array_equal(now.table.numpy(), was.table.numpy()[source])
    assert_equal(others(model), others(grown))
    moved = {name for names in slots.values() for name in names}
    triples = zip(
        *(one.optimizer.variables for one in (model, grown, fresh)), strict=True
    )
    for (was, now, start), value in zip(triples, values, strict=True):
        assert was.name == now.name and now.shape == start.shape
        if was.shape == now.shape:
            np.testing.assert_array_equal(now.numpy(), value)
            continue
        assert was.name in moved
        layer = tables_of(model)[int(value.reshape(-1)[0]) // 1000]
        kept, _ = kept_rows(old, new, layer)
        np.testing.assert_array_equal(now.numpy()[kept >= 0], value[kept[kept >= 0]])
        np.testing.assert_array_equal(now.numpy()[kept < 0], start.numpy()[kept < 0])
    # The old model is left alone, but for what the test wrote.
    assert_equal([v.numpy() for v in model.variables], before[: len(model.variables)])


@pytest.mark.parametrize("make", [ranker, towers])
def test_predictions(days, specs, make):
    """Bit-equal for old values, and for new ones until they are trained."""
    old, new = specs
    model = make(old)
    fill(model)
    grown = tfrec.extend(model, old, new)
    for rows in days:
        np.testing.assert_array_equal(
            grown.predict(batches(rows, new), verbose=0),
            model.predict(batches(rows, old), verbose=0),
        )


@pytest.mark.parametrize("make", [ranker, towers])
def test_training_goes_on_as_if_nothing_had_happened(days, specs, make):
    """On rows that hold no new value: same draws, same steps, same weights."""
    old, new = specs
    options = {} if make is ranker else {"log_q": False}
    model = make(old, **options)
    fit(model, days[0], old)
    grown = tfrec.extend(model, old, new)
    assert int(grown.optimizer.iterations) == int(model.optimizer.iterations) == 6
    losses = [
        fit(one, days[0], spec).history["loss"]
        for one, spec in ((model, old), (grown, new))
    ]
    assert losses[0] == losses[1]
    assert_equal(others(model), others(grown))
    for was, now in zip(tables_of(model), tables_of(grown), strict=True):
        kept, _ = kept_rows(old, new, was)
        np.testing.assert_array_equal(
            now.table.numpy()[kept >= 0], was.table.numpy()[kept[kept >= 0]]
        )


@pytest.mark.parametrize("make", [ranker, towers])
def test_new_rows_are_trained(days, specs, make):
    old, new = specs
    model = make(old)
    grown = tfrec.extend(model, old, new)
    fitted = fit(grown, days[1], new)
    assert np.isfinite(fitted.history["loss"]).all()
    for was, layer in zip(tables_of(model), tables_of(grown), strict=True):
        kept, unknown = kept_rows(old, new, was)
        rows = layer.table.numpy()[kept < 0]
        start = was.table.numpy()[unknown[kept < 0]]
        assert (rows != start).any(axis=1).all()


def test_log_q_is_of_the_new_counts(days, specs):
    old, new = specs
    model = towers(old)
    grown = tfrec.extend(model, old, new)
    rows = pd.concat(days)["movie"].value_counts()
    values = new.vocabulary("movie").values()
    wanted = [rows[value] / 192 for value in values]
    np.testing.assert_allclose(np.exp(grown.log_q.numpy()[2:]), wanted, rtol=0.01)
    np.testing.assert_array_equal(grown.log_q.numpy(), towers(new).log_q.numpy())
    assert grown.num_items == len(values) + 2
    assert tfrec.extend(towers(old, log_q=False), old, new).num_items is None


def test_day_after_day_and_nothing_new(days, specs, tmp_path):
    old, new = specs
    third = make_rows(2, 64, (20, 40), (20, 30))
    last = new.extend(third, tmp_path / "3")
    model = ranker(old)
    fill(model)
    twice = tfrec.extend(tfrec.extend(model, old, new), new, last)
    once = tfrec.extend(model, old, last)
    assert_equal(
        [v.numpy() for v in (*once.variables, *once.optimizer.variables)],
        [v.numpy() for v in (*twice.variables, *twice.optimizer.variables)],
    )
    same = old.extend(days[0], tmp_path / "same")
    again = tfrec.extend(model, old, same)
    assert same == old and again is not model
    assert_equal(
        [v.numpy() for v in (*model.variables, *model.optimizer.variables)],
        [v.numpy() for v in (*again.variables, *again.optimizer.variables)],
    )


def test_a_moving_average_starts_at_that_of_the_unknown_row(specs):
    old, new = specs
    model = ranker(old, keras.optimizers.Adam(0.01, use_ema=True))
    fill(model)
    grown = tfrec.extend(model, old, new)
    (was, now) = (
        {v.name: v.numpy() for v in one.optimizer.variables} for one in (model, grown)
    )
    for layer in tables_of(model):
        kept, unknown = kept_rows(old, new, layer)
        name = f"{layer.name}_table_average"
        source = np.where(kept >= 0, kept, unknown)
        np.testing.assert_array_equal(now[name], was[name][source])


def test_what_compile_was_given(days, specs):
    old, new = specs
    model = deepfm(old, hidden_units=(6,))
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        loss_weights=0.5,
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
        weighted_metrics=[keras.metrics.BinaryAccuracy(threshold=0.0, name="right")],
        steps_per_execution=2,
        run_eagerly=True,
    )
    fit(model, days[0], old, epochs=1)
    model.optimizer.learning_rate = 0.003
    grown = tfrec.extend(model, old, new)
    assert float(grown.optimizer.learning_rate) == np.float32(0.003)
    assert grown.run_eagerly is True and grown.steps_per_execution == 2
    wanted = model.evaluate(batches(days[1], old), return_dict=True, verbose=0)
    found = grown.evaluate(batches(days[1], new), return_dict=True, verbose=0)
    assert found == wanted and set(found) == {"loss", "auc", "right"}


def test_a_schedule_goes_on(days, specs):
    old, new = specs
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    model = ranker(old, keras.optimizers.SGD(schedule, momentum=0.9))
    fit(model, days[0], old)
    grown = tfrec.extend(model, old, new)
    rates = [float(one.optimizer.learning_rate) for one in (model, grown)]
    assert rates[0] == rates[1] == pytest.approx(0.1 * 0.5**3)


def test_not_compiled_and_not_fitted(days, specs):
    old, new = specs
    grown = tfrec.extend(deepfm(old), old, new)
    assert not grown.compiled
    grown = tfrec.extend(ranker(old), old, new)
    assert grown.compiled and int(grown.optimizer.iterations) == 0
    fit(grown, days[1], new)


@pytest.mark.parametrize("scaled", [True, False])
def test_mixed_float16(days, specs, scaled):
    old, new = specs
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = deepfm(old, hidden_units=(6,), seed=1)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss, auto_scale_loss=scaled)
        model.optimizer.build(model.trainable_variables)
    finally:
        keras.config.set_dtype_policy("float32")
    grown = tfrec.extend(model, old, new)
    assert type(grown.optimizer) is type(model.optimizer)
    assert grown.dtype_policy.name == "mixed_float16"
    was, now = model.optimizer.variables, grown.optimizer.variables
    for one, other in zip(was, now, strict=True):
        assert one.name == other.name
        if one.shape == other.shape:
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    np.testing.assert_array_equal(
        grown.predict(batches(days[1], new), verbose=0),
        model.predict(batches(days[1], old), verbose=0),
    )
    fit(grown, days[1], new)


def test_what_is_frozen_stays_frozen(days, specs):
    old, new = specs
    model = ranker(old)
    for layer in (*tables_of(model)[:1], model.get_layer("deepfm_deep")):
        layer.trainable = False
    model.compile(RowSparseAdagrad(0.1), model.loss)
    model.optimizer.build(model.trainable_variables)
    grown = tfrec.extend(model, old, new)
    paths = [v.path for v in model.trainable_variables]
    assert [v.path for v in grown.trainable_variables] == paths
    before = tables_of(grown)[0].table.numpy()
    fit(grown, days[1], new)
    np.testing.assert_array_equal(tables_of(grown)[0].table.numpy(), before)


def test_a_model_in_a_model(days, specs):
    """Parts that nothing reads stay; a ranker inside another model grows too."""
    old, new = specs
    embeddings = Embeddings(old, seed=1)
    item = inputs_of(old, "item")[:2]  # year and maker are in the table, unread
    fields = embeddings(item)
    x = keras.layers.Concatenate()(list(fields.vectors.values()))
    inner = keras.Model(item, keras.layers.Dense(1)(x), name="inner")
    inputs = inputs_of(old, "item")[:2]
    outer = keras.Model(inputs, 2 * inner(inputs))
    grown = tfrec.extend(outer, old, new)
    rows = [
        one.get_layer("inner").get_layer("embeddings_item_4").rows
        for one in (outer, grown)
    ]
    assert rows[1] == (new.tables["genres"].rows, *rows[0][1:])
    np.testing.assert_array_equal(
        grown.predict(batches(days[1], new), verbose=0),
        outer.predict(batches(days[1], old), verbose=0),
    )


@pytest.mark.parametrize("make", [ranker, towers])
def test_saved_loaded_and_exported(days, specs, make, tmp_path):
    old, new = specs
    model = make(old)
    export.save(model, old, tmp_path / "out", examples=days[0])
    grown = tfrec.extend(model, old, new)
    fit(grown, days[1], new)
    places = export.save(grown, new, tmp_path / "out", version=2, examples=days[1])
    for place in places.values():
        assert sorted(p.name for p in place.parent.iterdir()) == ["1", "2"]
        assets = {f.name: f.read_text() for f in (place / "assets").iterdir()}
        for name, text in assets.items():
            before = (place.parent / "1" / "assets" / name).read_text()
            assert text.startswith(before)
        longer = [
            name
            for name in assets
            if assets[name] != (place.parent / "1" / "assets" / name).read_text()
        ]
        assert longer
    with quiet_saving():
        grown.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    rows = batches(days[1], new)
    np.testing.assert_array_equal(
        loaded.predict(rows, verbose=0), grown.predict(rows, verbose=0)
    )


def test_specs_that_do_not_fit(days, specs, tmp_path):
    old, new = specs
    model = ranker(old)
    with raises("extend: `model` must be a TwoTower or a functional", TypeError):
        tfrec.extend("model", old, new)
    with raises("extend: `model` must be a TwoTower or a functional", TypeError):
        tfrec.extend(keras.Model(), old, new)
    with raises("extend: `new_spec` must be a FeatureSpec", TypeError):
        tfrec.extend(model, old, "new")
    with raises('table "user" has no vocabulary yet'):
        tfrec.extend(model, old, SPEC)
    with raises('extend: `new_spec` must have the columns of `old_spec`, "user", '):
        tfrec.extend(model, old, new.without("hour"))
    hours = SPEC.adapt(days[1], tmp_path / "hours")
    with raises('extend: column "hour" must be the same in `old_spec` and `new_spec`'):
        tfrec.extend(model, old, hours)
    with raises(
        'extend: column "user" must have 17 rows in the model, as in the spec. '
        'Received: 15 in "embeddings_user_4". Pass the spec that the model was made'
    ):
        small = SPEC.adapt(days[0].query("user < 13"), tmp_path / "small")
        tfrec.extend(ranker(small), old, new)
    with raises("must have the values of `old_spec`, in their order, before others"):
        tfrec.extend(model, new, old)


def test_another_order_is_not_an_extension(tmp_path):
    spec = FeatureSpec([Categorical("a", side="user")])
    old = spec.adapt({"a": ["x", "x", "y"]}, tmp_path / "1")
    new = spec.adapt({"a": ["x", "y", "y", "z"]}, tmp_path / "2")
    with raises(
        'extend: column "a" must have the values of `old_spec`, in their order, before '
        "others. Received: 'y' where `old_spec` has 'x'. Make it with `new_spec = "
    ):
        tfrec.extend(deepfm(old), old, new)


def test_models_that_cannot_grow(specs):
    old, new = specs
    user = keras.Input((), name="user", dtype="int32")
    plain = keras.layers.Embedding(old.tables["user"].rows, 1)
    with raises('column "user" must be looked up in an EmbeddingTable, else it cannot'):
        tfrec.extend(keras.Model([user], plain(user)), old, new)
    table = EmbeddingTable(rows=(old.tables["user"].rows,), embedding_dim=1)
    other = keras.Model([user], table([user % 3], tables=[0])[0])
    with raises("must be a column of the spec that looks up its table"):
        tfrec.extend(other, old, new)
    movie = keras.Input((), name="movie", dtype="int32")
    two = EmbeddingTable(rows=(old.tables["user"].rows,), embedding_dim=1)
    both = two([user, movie], tables=[0, 0])
    wrong = keras.Model([user, movie], keras.layers.Add()(both))
    with raises('extend: column "movie" must be a column of the spec that looks up'):
        tfrec.extend(wrong, old, new)
    frozen = ranker(old)
    fill(frozen)
    frozen.get_layer("deepfm_deep").trainable = False
    with raises("`model` must have an optimizer of its own trainable weights"):
        tfrec.extend(frozen, old, new)


def test_gradients_that_wait_are_not_lost(specs):
    old, new = specs
    model = ranker(old, RowSparseAdagrad(0.1, gradient_accumulation_steps=2))
    model.optimizer.build(model.trainable_variables)
    tfrec.extend(model, old, new)
    ids, rows = next(iter(model.optimizer.waiting.values()))
    ids.assign([3])
    rows.assign(np.ones((1, rows.shape[1]), "float32"))
    with raises("extend: `model` must not be in the middle of an accumulation"):
        tfrec.extend(model, old, new)


VECTOR = np.arange(4, dtype="float32")


def test_assign_rows(specs, tmp_path):
    old, _ = specs
    model = ranker(old)
    before = {layer.name: layer.table.numpy() for layer in tables_of(model)}
    values = old.vocabulary("movie").values()
    chosen = [values[5], "nowhere", values[0]]
    vectors = {value: VECTOR + n for n, value in enumerate(chosen)}
    left = [value for value in values if value not in chosen]
    found = assign_rows(model, old, "movie", vectors)
    assert found == Assigned(missing=left, unknown=["nowhere"])
    layer = model.get_layer("embeddings_user_item_4")
    (rows,) = layer([ops.arange(old.tables["movie"].rows)], tables=[0])
    np.testing.assert_array_equal(rows[2], [*(VECTOR + 2), 0])
    np.testing.assert_array_equal(rows[7], [*VECTOR, 0])
    for one in tables_of(model):
        changed = (one.table.numpy() != before[one.name]).any(axis=1)
        assert changed.sum() == (2 if one is layer else 0)

    # A table that does not stand first, of integers, from files.
    users = old.vocabulary("user").values()
    matrix = np.random.default_rng(0).normal(size=(len(users), 4)).astype("float32")
    order = np.random.default_rng(1).permutation(len(users))
    np.savez(tmp_path / "v.npz", values=np.array(users)[order], vectors=matrix[order])
    pd.DataFrame(
        {"id": np.array(users)[order], "vector": list(matrix[order])}
    ).to_parquet(tmp_path / "v.parquet")
    for name in ("v.npz", "v.parquet"):
        model = ranker(old)
        assert assign_rows(model, old, "user", tmp_path / name) == ([], [])
        (rows,) = model.get_layer("embeddings_user_4")(
            [ops.arange(2, len(users) + 2)], tables=[0]
        )
        np.testing.assert_array_equal(rows[:, :4], matrix)
    genres = {"new": VECTOR, "old": -VECTOR}
    for make in (ranker, towers):
        model = make(old)
        assign_rows(model, old, "genres", genres)
        ids = [old.vocabulary("genres").values().index(g) + 2 for g in genres]
        layer = next(t for t in tables_of(model) if t.name == "embeddings_item_4")
        (rows,) = layer([np.array(ids)], tables=[0])
        np.testing.assert_array_equal(rows[:, :4], [VECTOR, -VECTOR])
        assign_rows(model, old, "genres", {"nothing of it": VECTOR})


@pytest.mark.parametrize(
    "vectors, message",
    [
        ({}, "assign_rows: `vectors` must not be empty"),
        ({"m0": [1.0, 2.0]}, '`vectors` must be as wide as table "movie" in the model'),
        (
            {"m0": VECTOR, "m1": VECTOR[:3]},
            "`vectors['m1']` must be a vector of numbers",
        ),
        ({"m0": [1, 2, None, 4]}, "`vectors['m0']` must hold finite float32 numbers"),
        ({"m0": [1, 2, 1e300, 4]}, "`vectors['m0']` must hold finite float32 numbers"),
        ({"m0": ["a"] * 4}, "`vectors['m0']` must be a vector of numbers"),
        ({"m0": 3.0}, "`vectors['m0']` must be a vector of numbers"),
        ({7: VECTOR}, "`vectors` must have string values, each once. Received: vect"),
        ("v.txt", "`vectors` must be a .npz or .parquet file"),
    ],
)
def test_bad_vectors(specs, vectors, message):
    old, _ = specs
    model = ranker(old)
    before = model.get_weights()
    with raises(message):
        assign_rows(model, old, "movie", vectors)
    assert_equal(model.get_weights(), before)


def test_bad_vector_files(specs, tmp_path):
    old, _ = specs
    model = ranker(old)

    def check(message, **arrays):
        np.savez(tmp_path / "v.npz", **arrays)
        with raises(message):
            assign_rows(model, old, "movie", str(tmp_path / "v.npz"))

    check("must hold plain arrays `values` and `vectors`", values=np.array(["m0"]))
    check(
        "must hold plain arrays `values` and `vectors`",
        values=np.array(["m0", None]),
        vectors=np.zeros((2, 4)),
    )
    check(
        'must hold `values` (n,) and `vectors` (n, dim). Received: vectors="(1,) and',
        values=np.array(["m0"]),
        vectors=np.zeros((2, 4)),
    )
    check(
        "`vectors` must have string values, each once. Received: vectors='m0'",
        values=np.array(["m0", "m0"]),
        vectors=np.zeros((2, 4)),
    )
    frame = pd.DataFrame({"id": ["m0"], "more": [1], "vector": [[1.0] * 4]})
    frame.to_parquet(tmp_path / "v.parquet")
    with raises("must have one column of values and one of lists. Received: vectors=["):
        assign_rows(model, old, "movie", tmp_path / "v.parquet")
    with pytest.raises(FileNotFoundError):
        assign_rows(model, old, "movie", tmp_path / "none.npz")


def test_bad_tables(specs):
    old, new = specs
    model = ranker(old)
    rows = {"m0": VECTOR}
    with raises(
        "assign_rows: `table` must be in the spec. Received: table='movy' (str"
    ):
        assign_rows(model, old, "movy", rows)
    for table in ("city", "year"):
        with raises(
            "`table` must have a vocabulary: hashed values and buckets have no"
        ):
            assign_rows(model, old, table, rows)
    with raises(
        'assign_rows: column "history" must have 26 rows in the model, as in the spec. '
        'Received: 14 in "embeddings_user_item_4". Pass the spec that the model was'
    ):
        assign_rows(model, new, "movie", rows)
    with raises("assign_rows: `vectors` must be a {value: vector} mapping", TypeError):
        assign_rows(model, old, "movie", [VECTOR])
    with raises("assign_rows: `spec` must be a FeatureSpec", TypeError):
        assign_rows(model, "spec", "movie", rows)
    with raises("assign_rows: `model` must be a TwoTower", TypeError):
        assign_rows("model", old, "movie", rows)


def make_day_model(name, spec):
    if name == "deepfm":
        model = deepfm(spec, hidden_units=(16,), dropout=0.2, seed=1)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    else:
        model = dssm(spec, item_id="movie_id", hidden_units=(16,), dropout=0.2, seed=1)
        loss = InBatchSoftmax()
    model.compile(RowSparseAdagrad(0.1), loss)
    return model


def first_day(name, rows, folder):
    """Fits on day 1; saves model and spec, and exports version 1."""
    make = tweets.spec if name == "deepfm" else tweets.retrieval_spec
    spec = make(embedding_dim=8).adapt(rows, folder / "spec" / "1")
    model = make_day_model(name, spec)
    fit_day(model, spec, rows)
    export.save(model, spec, folder / "servables", version=1, examples=rows[:5])
    spec.save(folder / "spec" / "1" / "spec.json")
    with quiet_saving():
        model.save(folder / "model_1.keras")
    return model, spec


def fit_day(model, spec, rows):
    batches = from_pandas(rows, spec, batch_size=256, shuffle=True, seed=7)
    model.fit(batches, epochs=2, shuffle=False, verbose=0)


SECOND_DAY = """
import sys
import keras
import numpy as np
import pandas as pd
import tfrec

rows, folder, out = pd.read_pickle(sys.argv[1]), sys.argv[2], sys.argv[3]
model = keras.models.load_model(f"{folder}/model_1.keras")
spec = tfrec.FeatureSpec.load(f"{folder}/spec/1/spec.json")
new_spec = spec.extend(rows, f"{folder}/spec/2")
model = tfrec.extend(model, spec, new_spec)
started = {f"started:{w.path}": w.numpy() for w in model.weights}
batches = tfrec.data.from_pandas(
    rows, new_spec, batch_size=256, shuffle=True, seed=7
)
model.fit(batches, epochs=2, shuffle=False, verbose=0)
tfrec.export.save(model, new_spec, f"{folder}/servables", version=2, examples=rows[:5])
new_spec.save(f"{folder}/spec/2/spec.json")
plain = tfrec.data.from_pandas(rows, new_spec, batch_size=256)
np.savez(
    out,
    prediction=model.predict(plain, verbose=0),
    **started,
    **{f"weight:{n}": w.numpy() for n, w in enumerate(model.weights)},
    **{f"slot:{n}": v.numpy() for n, v in enumerate(model.optimizer.variables)},
)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deepfm", "dssm"])
def test_day_by_day(name, tmp_path):
    """Day 2 in a new process gives the numbers of one process for both days."""
    import tensorflow as tf

    events = tweets.events()
    one, two = events[:3000], events[3000:6000]
    two.to_pickle(tmp_path / "two.pkl")
    model, spec = first_day(name, one, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SECOND_DAY]
        + [str(tmp_path / part) for part in ("two.pkl", "", "answer.npz")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer = np.load(tmp_path / "answer.npz")

    new_spec = spec.extend(two, tmp_path / "spec" / "here")
    assert new_spec == FeatureSpec.load(tmp_path / "spec" / "2" / "spec.json")
    assert new_spec.tables["movie_id"].rows > spec.tables["movie_id"].rows
    grown = tfrec.extend(model, spec, new_spec)
    fit_day(grown, new_spec, two)
    plain = from_pandas(two, new_spec, batch_size=256)
    found = {
        "prediction": grown.predict(plain, verbose=0),
        **{f"weight:{n}": w.numpy() for n, w in enumerate(grown.weights)},
        **{f"slot:{n}": v.numpy() for n, v in enumerate(grown.optimizer.variables)},
    }
    for key, value in found.items():
        np.testing.assert_array_equal(answer[key], value, err_msg=key)

    # What version 1 holds of the films is what day 2 started from.
    servable = "ranker" if name == "deepfm" else "item_tower"
    loaded = tf.saved_model.load(str(tmp_path / "servables" / servable / "1"))
    held = [weight.numpy() for weight in loaded.held]
    films = spec.tables["movie_id"].rows
    layer = next(t for t in tables_of(model) if t.name == "embeddings_user_item_8")
    kept, _ = kept_rows(spec, new_spec, layer)
    started = answer[f"started:{layer.table.path}"]
    version_1 = next(w for w in held if w.shape == layer.table.shape)
    assert films == version_1.shape[0]
    np.testing.assert_array_equal(started[kept >= 0], version_1[kept[kept >= 0]])
    for version in ("1", "2"):
        place = tmp_path / "servables" / servable / version
        lines = (place / "assets" / "movie_id.txt").read_text().splitlines()
        assert (
            len(lines) + 2 == (spec, new_spec)[version == "2"].tables["movie_id"].rows
        )
