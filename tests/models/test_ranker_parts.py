import keras
import numpy as np
import pytest

from tfrec.data import from_pandas
from tfrec.features import Categorical, FeatureSpec, Numeric
from tfrec.models.ranker_parts import ranker_parts

ITEM = ("item_id", "tags", "price", "picture")


@pytest.fixture(scope="module")
def x(frame, spec):
    columns, _ = next(iter(from_pandas(frame, spec, batch_size=64)))
    return {name: value.numpy() for name, value in columns.items()}


def outputs(parts, x):
    """What the parts give for rows, by name."""
    named = {
        name: getattr(parts, name)
        for name in ("fields", "linear", "numbers")
        if getattr(parts, name) is not None
    }
    model = keras.Model(parts.inputs, named)
    return model, model.predict(x, verbose=0)


def test_the_parts_are_what_they_say(spec, x):
    parts = ranker_parts("test", spec, unknown_rate=0.0, seed=1)
    assert parts.names == [
        *("user_id", "city", "history"),
        *("item_id", "price", "tags"),
        *("age", "picture[0]", "picture[1]", "picture[2]"),
    ]
    model, found = outputs(parts, x)
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(size=weight.shape))
    found = model.predict(x, verbose=0)
    assert found["fields"].shape == (64, 10, 8)
    numbers = np.concatenate([x["age"][:, None], x["picture"]], axis=1)
    np.testing.assert_allclose(found["numbers"], numbers, atol=1e-6)
    weights = {w.path: w.numpy() for w in model.weights}
    vectors = weights["test_number_fields/vectors"]
    np.testing.assert_allclose(
        found["fields"][:, 6:], numbers[:, :, None] * vectors, atol=1e-5
    )
    table = weights["embeddings_user_8/table"]
    np.testing.assert_allclose(
        found["fields"][:, 0], table[x["user_id"]][:, :8], atol=1e-6
    )
    # The last number of a row is its first-order weight.
    linear = np.zeros(64)
    for name in parts.names[:6]:
        sides = "_".join(spec.tables[spec.table_of(spec[name])].sides)
        table = weights[f"embeddings_{sides}_8/table"]
        start = 0
        for other in spec.tables.values():
            if "_".join(other.sides) == sides:
                if other.name == spec.table_of(spec[name]):
                    break
                start += other.rows
        first = np.where(x[name] == 0, 0, table[start + x[name], 8])
        if first.ndim == 2:
            first = first.sum(axis=1) / np.maximum((x[name] != 0).sum(axis=1), 1)
        linear += first
    linear += (numbers @ weights["test_linear/number_weights"])[:, 0]
    linear += weights["test_linear/bias"]
    np.testing.assert_allclose(found["linear"][:, 0], linear, atol=1e-4)


def test_one_gather_a_physical_table(spec):
    parts = ranker_parts("test", spec)
    model = keras.Model(parts.inputs, [parts.fields, parts.linear])
    tables = [layer.name for layer in model.layers if "EmbeddingTable" in str(layer)]
    assert len(tables) == len(set(tables))
    assert not [name for name in tables if "weights" in name]


def test_first_order_weights_start_at_zero(spec, x):
    _, found = outputs(ranker_parts("test", spec), x)
    assert not found["linear"].any()
    assert found["fields"].any()


def test_without_a_linear_part(spec, x):
    parts = ranker_parts("test", spec, linear=False, seed=1)
    assert parts.linear is None
    model, found = outputs(parts, x)
    assert found["fields"].shape == (64, 10, 8)
    assert {w.shape[1] for w in model.weights} == {8}


def test_one_user_row_meets_many_items(spec, x):
    """Also where only one side has numbers, and only one has ids."""
    one = {n: v if n in ITEM else v[:1] for n, v in x.items()}
    tiled = {n: v if n in ITEM else np.repeat(v, 64, axis=0) for n, v in one.items()}
    for names in (
        spec.names,
        ["user_id", "age", "item_id"],
        ["user_id", "picture"],
        ["age", "item_id"],
        ["age", "picture"],
    ):
        part = spec.select(names) if list(names) != list(spec.names) else spec
        parts = ranker_parts("test", part, seed=3)
        model = keras.Model(parts.inputs, [parts.fields, parts.linear, parts.numbers])
        inputs = [tensor.name for tensor in model.inputs]
        many = model([tiled[name] for name in inputs])
        single = model([one[name] for name in inputs])
        for wanted, found in zip(many, single, strict=True):
            shape = (64, *found.shape[1:])
            np.testing.assert_allclose(np.broadcast_to(found, shape), wanted, atol=1e-6)
        assert single[0].shape[0] == 64 and single[2].shape[0] == 64


def test_frozen_rows_have_trained_weights(tmp_path):
    columns = [
        Categorical("a", side="user", embedding_dim=4, trainable=False),
        Categorical("b", side="user", embedding_dim=4),
    ]
    rows = {"a": ["x", "y"], "b": ["u", "v"]}
    spec = FeatureSpec(columns).adapt(rows, tmp_path)
    parts = ranker_parts("test", spec, unknown_rate=0.0, seed=1)
    assert parts.names == ["a", "b"]
    model = keras.Model(parts.inputs, [parts.fields, parts.linear])
    trained = {w.path: tuple(w.shape) for w in model.trainable_weights}
    assert trained == {
        "embeddings_user_weights/table": (4, 1),
        "embeddings_user_4/table": (4, 5),
        "test_linear/bias": (1,),
    }
    layer = model.get_layer("embeddings_user_weights")
    layer.table.assign([[0.0], [0.0], [3.0], [5.0]])
    fields, linear = model([np.array([2, 3]), np.array([2, 2])])
    np.testing.assert_allclose(linear[:, 0], [3.0, 5.0])
    frozen = model.get_layer("embeddings_user_4_frozen").table.numpy()
    np.testing.assert_allclose(fields[:, 0], frozen[[2, 3]])


def test_bad_arguments(spec):
    with pytest.raises(TypeError, match="mine: `spec` must be a FeatureSpec"):
        ranker_parts("mine", "spec")
    with pytest.raises(ValueError, match="mine: `unknown_rate` must be a number in"):
        ranker_parts("mine", spec, unknown_rate=1.0)
    with pytest.raises(ValueError, match="mine: `l2` must be a number >= 0"):
        ranker_parts("mine", spec, l2=-1)


def test_numbers_alone():
    spec = FeatureSpec([Numeric("age", side="user")])
    parts = ranker_parts("test", spec)
    _, found = outputs(parts, {"age": np.ones(3, "float32")})
    assert found["fields"].shape == (3, 1, 16) and found["linear"].shape == (3, 1)
