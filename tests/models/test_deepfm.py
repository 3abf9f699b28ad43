import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tfrec.data import from_pandas
from tfrec.features import Categorical, FeatureSpec, Numeric
from tfrec.models import deepfm
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model, planted
from tfrec.testing.layers import quiet_saving

ITEM = ("item_id", "tags", "price", "picture")


def make(spec, compiled=None, **options):
    model = deepfm(spec, **{"hidden_units": (8, 4), "seed": 1, **options})
    loss = keras.losses.BinaryCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    model.compile(RowSparseAdagrad(0.1), loss, **(compiled or {}))
    return model


@pytest.fixture(scope="module")
def batches(frame, spec):
    return from_pandas(frame, spec, batch_size=32)


def arrays(frame, spec):
    columns, _ = next(iter(from_pandas(frame, spec, batch_size=len(frame))))
    return {name: value.numpy() for name, value in columns.items()}


@pytest.fixture(scope="module")
def x(frame, spec):
    return arrays(frame, spec)


@pytest.fixture(scope="module")
def fitted(spec, batches):
    model = make(spec)
    model.fit(batches, epochs=5, shuffle=False, verbose=0)
    return model


def looked_up(model, spec, x):
    """Vectors and first-order weights by column, in float64."""
    tables = {w.path: w.numpy().astype(float) for w in model.weights}
    found, starts = {}, {}
    for table in spec.tables.values():
        path = f"embeddings_{'_'.join(table.sides)}_8/table"
        start = starts.get(path, 0)
        starts[path] = start + table.rows
        rows = tables[path][start : start + table.rows]
        assert rows.shape[1] == 9
        rows[0] = 0
        for column in table.columns:
            vectors = rows[x[column]]
            if vectors.ndim == 3:  # lists: the mean of what is real
                count = np.maximum((x[column] != 0).sum(axis=1), 1)
                vectors = vectors.sum(axis=1) / count[:, None]
            found[column] = vectors[:, :8], vectors[:, 8:]
    return found


def dense(x, weights):
    """Layers of weights and biases, ReLU between them."""
    for start in range(0, len(weights), 2):
        x = x @ weights[start] + weights[start + 1]
        x = np.maximum(x, 0) if start + 2 < len(weights) else x
    return x


def weights_of(model, part):
    return [w.numpy().astype(float) for w in model.weights if part in w.path]


def matrix(x, names):
    """Numeric columns side by side."""
    parts = [x[name].reshape(len(x[name]), -1) for name in names]
    return np.concatenate(parts, axis=1).astype(float)


def by_hand(model, spec, x):
    """Linear term, pairs of fields and deep part, from the model's weights."""
    w, b = weights_of(model, "deepfm_linear/")
    numbers = matrix(x, [c.name for c in spec if isinstance(c, Numeric)])
    found = looked_up(model, spec, x)
    linear = sum(weight for _, weight in found.values()) + numbers @ w + b
    # A side's single values in one block, then its lists; numbers last.
    names = ["user_id", "city", "history", "item_id", "price", "tags"]
    fields = [found[name][0] for name in names if name in found]
    (vectors,) = weights_of(model, "deepfm_number_fields")
    fields += [numbers[:, [k]] * row for k, row in enumerate(vectors)]
    pairs = np.zeros((len(fields[0]), 1))
    for i in range(len(fields)):
        for j in range(i + 1, len(fields)):
            pairs += np.sum(fields[i] * fields[j], axis=1, keepdims=True)
    deep = dense(np.concatenate(fields, axis=1), weights_of(model, "deepfm_deep"))
    return linear, pairs, deep


def test_matches_the_paper(fitted, spec, x):
    linear, pairs, deep = by_hand(fitted, spec, x)
    assert min(np.abs(part).max() for part in (linear, pairs, deep)) > 1e-3
    found = fitted.predict(x, verbose=0)
    np.testing.assert_allclose(found, linear + pairs + deep, atol=1e-5)


def test_without_its_deep_part_it_is_a_factorisation_machine(fitted, spec, x):
    model = make(spec)
    model.set_weights(fitted.get_weights())
    for weight in model.weights:
        if "deepfm_deep" in weight.path:
            weight.assign(0 * weight)
    linear, pairs, _ = by_hand(fitted, spec, x)
    np.testing.assert_allclose(model.predict(x, verbose=0), linear + pairs, atol=1e-5)


def test_one_user_row_meets_many_items(fitted, x):
    one = {n: v[:20] if n in ITEM else v[:1] for n, v in x.items()}
    tiled = {n: v if n in ITEM else np.repeat(v, 20, axis=0) for n, v in one.items()}
    many = fitted(tiled)
    np.testing.assert_allclose(fitted(one), many, rtol=0, atol=1e-6)
    assert fitted({n: v[:0] if n in ITEM else v for n, v in one.items()}).shape == (
        0,
        1,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        ("age", "picture"),
        ("age",),
        ("user_id", "item_id"),
        ("item_id", "tags", "price"),
        ("user_id", "picture"),
        ("age", "item_id"),
    ],
)
def test_parts_of_a_spec(spec, frame, names):
    """Numbers only, vocabularies only, one side only."""
    part = spec.select(names)
    model = make(part)
    rows = from_pandas(frame, part, batch_size=32)
    losses = model.fit(rows, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    x = arrays(frame, part)
    if names == ("age", "picture"):
        wanted = sum(by_hand(model, part, x))
        np.testing.assert_allclose(model.predict(x, verbose=0), wanted, atol=1e-5)
    of_item = [name for name in names if name in ITEM]
    if of_item and len(of_item) < len(names):
        one = {n: v if n in ITEM else v[:1] for n, v in x.items()}
        rows = len(x[of_item[0]])
        tiled = {
            n: v if n in ITEM else np.repeat(v, rows, axis=0) for n, v in one.items()
        }
        np.testing.assert_allclose(model(one), model(tiled), rtol=0, atol=1e-6)


def test_columns_may_be_called_like_layers(frame, tmp_path):
    names = ["x", "l", "deep", "linear", "logit", "fields", "pairs", "user_numbers"]
    columns = [Categorical(name, side="user") for name in names]
    columns += [Numeric("numbers", side="user"), Categorical("weights", side="item")]
    rows = frame.assign(numbers=1.0, **dict.fromkeys(names, frame["city"]))
    rows["weights"] = rows["city"]
    model = make(FeatureSpec(columns).adapt(rows, tmp_path))
    assert [tensor.name for tensor in model.inputs] == [*names, "numbers", "weights"]


def test_strings_and_other_keys_in_the_rows_are_ignored(fitted, frame, spec):
    rows = from_pandas(frame, spec, batch_size=32).map(
        lambda x, y: ({**x, "title": tf.fill(tf.shape(y), "a film"), "0": y}, y)
    )
    wanted = fitted.predict(from_pandas(frame, spec, batch_size=32), verbose=0)
    np.testing.assert_array_equal(fitted.predict(rows, verbose=0), wanted)


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
    assert model.predict(x, verbose=0).dtype == np.float32
    assert {w.dtype for w in model.trainable_weights} == {"float32"}


def test_saving(fitted, batches, x, tmp_path):
    with quiet_saving():
        fitted.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(x), fitted(x))
    evaluated = [m.evaluate(batches, verbose=0) for m in (loaded, fitted)]
    np.testing.assert_allclose(*evaluated, rtol=1e-6)


@pytest.mark.slow
def test_contract(spec, frame):
    weighted = dataclasses.replace(spec, weight="weight")
    check_model(lambda: make(weighted, dropout=0.2, unknown_rate=0.1), weighted, frame)


@pytest.mark.slow
def test_planted_interactions_are_found(tmp_path):
    log = planted.interactions()
    columns = [
        Categorical("user_group", side="user", embedding_dim=8),
        Numeric("age", side="user"),
        Categorical("item_group", side="item", embedding_dim=8),
        Numeric("price", side="item"),
    ]
    train, test = log.frame[:3000], log.frame[3000:]
    spec = FeatureSpec(columns, labels=["click"]).adapt(train, tmp_path)
    oracle = roc_auc_score(test["click"], log.probability[3000:])

    def one_hot(rows):
        parts = pd.get_dummies(rows[["user_group", "item_group"]])
        return parts.to_numpy(float)

    alone = LogisticRegression().fit(one_hot(train), train["click"])
    alone = roc_auc_score(test["click"], alone.decision_function(one_hot(test)))
    model = make(spec, hidden_units=(16,))
    rows = from_pandas(train, spec, batch_size=100, shuffle=True)
    model.fit(rows, epochs=20, shuffle=False, verbose=0)
    score = model.predict(from_pandas(test, spec, batch_size=500), verbose=0)
    found = roc_auc_score(test["click"], score[:, 0])
    assert oracle > 0.85 and alone < 0.6
    assert found > oracle - 0.02, (found, oracle, alone)


def test_columns_of_different_width(frame, tmp_path):
    columns = [
        Categorical("user_id", side="user", embedding_dim=4),
        Categorical("city", side="user", embedding_dim=16),
    ]
    message = (
        r'deepfm: columns "user_id" \(4\) and "city" \(16\) must share `embedding_dim`'
        ".* Give all columns the same `embedding_dim`."
    )
    with pytest.raises(ValueError, match=message):
        deepfm(FeatureSpec(columns).adapt(frame, tmp_path))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"hidden_units": 8}, "deepfm: `hidden_units` must be a tuple of ints >= 1"),
        ({"activation": "relo"}, "`activation` must be the name of a Keras activation"),
        ({"dropout": 1}, r"deepfm: `dropout` must be a number in \[0, 1\)"),
        ({"unknown_rate": -1}, r"deepfm: `unknown_rate` must be a number in \[0, 1\)"),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(spec, **arguments)


def test_bad_specs(spec):
    with pytest.raises(TypeError, match="deepfm: `spec` must be a FeatureSpec"):
        deepfm(["user_id"])
    with pytest.raises(TypeError, match="nonsense"):
        deepfm(spec, nonsense=1)
