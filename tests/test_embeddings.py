import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.embeddings import Embeddings, EmbeddingTable, inputs_of
from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    NumericSequence,
    Sequence,
)
from tfrec.testing import check_layer

A = np.array([3, 1, 0, 2], "int32")
B = np.array([[1, 2], [0, 0], [4, 0], [2, 2]], "int32")


def look_up(table, weights, ids, offset, rows):
    ids = np.where((ids >= 0) & (ids < rows), ids, 1)
    return np.where((ids != 0)[..., None], weights[offset + ids], 0)


def test_matches_the_definition():
    table = EmbeddingTable((4, 6), 3)
    table([A, B], tables=[0, 1])
    (weights,) = table.get_weights()
    assert weights.shape == (10, 3)
    a, b, c = table([A, B, A], tables=[0, 1, 1])
    np.testing.assert_array_equal(a, look_up(table, weights, A, 0, 4))
    np.testing.assert_array_equal(b, look_up(table, weights, B, 4, 6))
    np.testing.assert_array_equal(c, look_up(table, weights, A, 4, 6))


def gradient(table, ids, training=False):
    """Of the sum of all vectors, dense."""
    with tf.GradientTape() as tape:
        vectors = table([ids], tables=[1], training=training)
        total = tf.reduce_sum(vectors[0])
    found = tape.gradient(total, table.table.value)
    assert isinstance(found, tf.IndexedSlices)
    return tf.convert_to_tensor(found).numpy()


def test_padding_is_zero_and_has_no_gradient():
    table = EmbeddingTable((4, 6), 3, unknown_rate=0.9, seed=1)
    ids = np.zeros((5, 7), "int32")
    for training in (False, True):
        (vectors,) = table([ids], tables=[1], training=training)
        assert not np.any(vectors)
        assert not gradient(table, ids, training).any()


def test_strange_ids_read_the_unknown_row():
    table = EmbeddingTable((4, 6), 3)
    ids = np.array([1, 6, 7, -1, 2**31 - 1, -(2**31)], "int32")
    (vectors,) = table([ids], tables=[1])
    (weights,) = table.get_weights()
    np.testing.assert_array_equal(vectors, np.repeat(weights[[5]], 6, axis=0))
    wide = np.array([2**40, -(2**40), 3], "int64")
    (vectors,) = table([wide], tables=[1])
    np.testing.assert_array_equal(vectors, weights[[5, 5, 7]])
    found = gradient(table, ids)
    np.testing.assert_array_equal(found[5], [6, 6, 6])
    assert not np.delete(found, 5, axis=0).any()


def test_stacked_is_the_same_in_one_tensor():
    table = EmbeddingTable((4, 6), 3, seed=1)
    single = table([A, B, A, B], tables=[0, 1, 1, 0])
    block, first, second = table([A, B, A, B], tables=[0, 1, 1, 0], stacked=True)
    np.testing.assert_array_equal(block[:, 0], single[0])
    np.testing.assert_array_equal(block[:, 1], single[2])
    np.testing.assert_array_equal(first, single[1])
    np.testing.assert_array_equal(second, single[3])
    (block,) = table([A, A], tables=[0, 1], stacked=True)
    assert block.shape == (4, 2, 3)
    (alone,) = table([B], tables=[1], stacked=True)
    np.testing.assert_array_equal(alone, single[1])


def test_stacked_with_lists_of_unknown_length():
    table = EmbeddingTable((4, 6), 3, seed=1)
    a = keras.Input((), dtype="int32", name="a")
    b = keras.Input((None,), dtype="int32", name="b")
    found = table([b, a, b], tables=[1, 0, 0], stacked=True)
    assert [x.shape for x in found] == [(None, 1, 3)] + [(None, None, 3)] * 2
    model = keras.Model([a, b], found)
    for width in (2, 5):
        ids = np.resize(B, (4, width))
        wanted = table([A, ids, ids], tables=[0, 1, 0])
        got = model([A, ids])
        np.testing.assert_array_equal(got[0][:, 0], wanted[0])
        for one, other in zip(got[1:], wanted[1:], strict=True):
            np.testing.assert_array_equal(one, other)


def test_first_order_weights_stand_last_and_start_at_zero():
    table = EmbeddingTable((4, 6), 3, linear=True, seed=1)
    (vectors,) = table([np.arange(6, dtype="int32")], tables=[1])
    assert vectors.shape == (6, 4)
    assert not np.any(vectors[:, 3]) and np.all(vectors[1:, :3])


def test_l2_reaches_looked_up_rows_only():
    table = EmbeddingTable((4, 6), 3, l2=0.5, seed=1)
    ids = np.array([2, 2, 3, 0], "int32")
    with tf.GradientTape() as tape:
        table([ids], tables=[1])
        (loss,) = table.losses
    (weights,) = table.get_weights()
    wanted = 0.5 * (weights[[6, 6, 7]] ** 2).sum() / 4
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    found = tape.gradient(loss, table.table.value)
    assert isinstance(found, tf.IndexedSlices)
    dense = np.zeros_like(weights)
    dense[6], dense[7] = weights[6] * 2 * 0.25, weights[7] * 0.25
    np.testing.assert_allclose(tf.convert_to_tensor(found), dense, rtol=1e-5)
    plain = EmbeddingTable((4, 6), 3)
    plain([ids], tables=[1])
    assert not plain.losses


def test_a_gpu_does_not_compile_the_step_as_a_whole():
    """XLA has no `unique`: Keras must not take a model with tables for it."""
    assert EmbeddingTable((4,), 3).supports_jit is False


def test_tables_do_not_mix():
    table = EmbeddingTable((4, 6), 3)
    table([A], tables=[0])
    found = gradient(table, np.arange(6, dtype="int32"))
    assert not found[:5].any() and found[5:].all()


def test_the_unknown_row_is_trained():
    table = EmbeddingTable((1002,), 2, unknown_rate=0.25, seed=3)
    ids = np.tile(np.arange(2, 1002, dtype="int32"), (10, 1))
    (served,) = table([ids], tables=[0])
    (weights,) = table.get_weights()
    np.testing.assert_array_equal(served[0], weights[2:])
    (first,) = table([ids], tables=[0], training=True)
    (second,) = table([ids], tables=[0], training=True)
    drawn = np.all(first.numpy() == weights[1], axis=-1)
    assert abs(drawn.mean() - 0.25) < 0.02
    np.testing.assert_array_equal(first.numpy()[~drawn], served.numpy()[~drawn])
    assert not np.array_equal(first, second)
    plain = EmbeddingTable((1002,), 2, seed=3)
    (trained,) = plain([ids], tables=[0], training=True)
    np.testing.assert_array_equal(trained, plain([ids], tables=[0])[0])


def test_start_values():
    def weights(**options):
        table = EmbeddingTable((300,), 8, **options)
        table([A], tables=[0])
        return table.get_weights()[0]

    found = weights(scale=0.2, seed=1)
    assert 0.19 < np.abs(found).max() <= 0.2
    np.testing.assert_array_equal(found, weights(scale=0.2, seed=1))
    assert not weights(scale=0).any()


def test_the_table_is_never_cast_as_a_whole():
    table = EmbeddingTable((50_000,), 4, dtype="mixed_bfloat16")
    serve = tf.function(lambda ids: table([ids], tables=[0])[0])
    graph = serve.get_concrete_function(A).graph
    assert serve(A).dtype == tf.bfloat16
    assert table.table.dtype == "float32"
    sizes = [t.shape for op in graph.get_operations() for t in op.outputs]
    assert not [shape for shape in sizes if 50_000 in (shape.as_list() or ())]
    assert [op for op in graph.get_operations() if op.type == "ResourceGather"]


def test_contract():
    table = EmbeddingTable((4, np.int64(6)), 3, unknown_rate=0.2, seed=1)
    check_layer(table, [A, B], call_arguments={"tables": [0, 1]})
    check_layer(EmbeddingTable([5], 1), [B], call_arguments={"tables": [0]})


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"rows": (4, 1)},
            "EmbeddingTable: `rows` must be a non-empty tuple of ints >= 2. "
            r"Received: rows=\(4, 1\) \(tuple\).",
        ),
        ({"rows": ()}, "`rows` must be a non-empty tuple of ints >= 2"),
        ({"rows": 4}, "`rows` must be a non-empty tuple of ints >= 2"),
        ({"embedding_dim": 0}, "`embedding_dim` must be an int >= 1"),
        ({"unknown_rate": 1.0}, r"`unknown_rate` must be a number in \[0, 1\)"),
        ({"scale": -1}, "`scale` must be a number >= 0"),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingTable(**{"rows": (4,), "embedding_dim": 2, **arguments})


@pytest.mark.parametrize("tables", [[2], [-1], [0, 1], []])
def test_bad_tables(tables):
    message = "EmbeddingTable: `tables` must name one of 2 logical tables for each"
    with pytest.raises(ValueError, match=message):
        EmbeddingTable((4, 6), 2)([A], tables=tables)
    with pytest.raises(ValueError, match=message):
        EmbeddingTable((4, 6), 2)([keras.Input((), dtype="int32")], tables=tables)


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    frame = pd.DataFrame(
        {
            "user_id": ["u1", "u2", "u3"],
            "city": ["a", "b", "a"],
            "item_id": ["i1", "i2", "i3"],
            "genres": ["x|y", "", "x"],
        }
    )
    columns = [
        Categorical("user_id", side="user", embedding_dim=4),
        Categorical("city", side="context", embedding_dim=8),
        Sequence("history", of="item_id", max_length=3),
        Numeric("age", side="user"),
        Categorical("item_id", side="item", embedding_dim=4),
        MultiCategorical("genres", side="item", embedding_dim=4, separator="|"),
        Bucketized("price", side="item", boundaries=(1.0, 2.0), embedding_dim=4),
        Numeric("vector", side="item", shape=(3,)),
    ]
    frame["history"] = [["i1"], [], ["i2", "i3"]]
    frame["age"] = frame["price"] = [1.0, 2.0, 3.0]
    frame["vector"] = [[1.0, 2.0, 3.0]] * 3
    return FeatureSpec(columns).adapt(frame, tmp_path_factory.mktemp("spec"))


def test_inputs_are_named_after_the_columns(spec):
    tensors = inputs_of(spec, "user", "context")
    assert [tensor.name for tensor in tensors] == ["user_id", "city", "history", "age"]
    assert [tensor.dtype for tensor in tensors] == ["int32"] * 3 + ["float32"]
    assert [tensor.shape for tensor in tensors] == [(None,)] * 2 + [
        (None, None),
        (None,),
    ]
    assert inputs_of(spec, "item")[-1].shape == (None, 3)
    message = "inputs_of: `sides` must be one of 'user', 'item', 'context'. Received: "
    with pytest.raises(ValueError, match=message):
        inputs_of(spec, "usr")


def test_fields_stand_in_the_order_of_the_spec(spec):
    embeddings = Embeddings(spec)
    user = embeddings(inputs_of(spec, "user", "context"))
    assert list(user.vectors) == ["user_id", "city"]
    assert list(user.sequences) == list(user.masks) == ["history"]
    assert list(user.numbers) == ["age"]
    assert user.vectors["city"].shape == (None, 8)
    assert user.sequences["history"].shape == (None, None, 4)
    assert user.masks["history"].dtype == "bool"
    item = embeddings(inputs_of(spec, "item"))
    assert list(item.vectors) == ["item_id", "genres", "price"]
    assert all(vector.shape == (None, 4) for vector in item.vectors.values())
    assert item.numbers["vector"].shape == (None, 3)


def tables_of(model):
    return {weight.path.split("/")[0] for weight in model.weights}


def test_a_tower_holds_its_own_tables_and_the_shared_ones(spec):
    embeddings = Embeddings(spec)
    towers = {}
    for name, sides in {"user": ("user", "context"), "item": ("item",)}.items():
        inputs = inputs_of(spec, *sides)
        fields = embeddings(inputs)
        outputs = [*fields.vectors.values(), *fields.sequences.values()]
        towers[name] = keras.Model(inputs, outputs)
    shared = "embeddings_user_item_4"
    user = {"embeddings_user_4", "embeddings_user_8", shared}
    assert tables_of(towers["user"]) == user
    assert tables_of(towers["item"]) == {"embeddings_item_4", shared}
    (item_ids,) = (w for w in towers["item"].weights if shared in w.path)
    (of_user,) = (w for w in towers["user"].weights if shared in w.path)
    assert item_ids is of_user


def test_a_pooled_set_ignores_padding(spec):
    inputs = inputs_of(spec, "item")
    fields = Embeddings(spec, seed=1)(inputs)
    model = keras.Model(inputs, fields.vectors["genres"])
    row = {
        "item_id": np.array([2]),
        "genres": np.array([[2, 3, 0, 0]]),
        "price": np.array([2]),
        "vector": np.zeros((1, 3)),
    }
    (weights,) = (w.numpy() for w in model.weights)
    found = model.predict(row, verbose=0)
    wanted = (weights[2] + weights[3]) / 2
    np.testing.assert_allclose(found[0], wanted, atol=1e-6)
    row["genres"] = np.zeros((1, 9), "int32")
    assert not model.predict(row, verbose=0).any()


def test_one_width_for_all(spec):
    fields = Embeddings(spec, embedding_dim=1)(inputs_of(spec, "user", "context"))
    assert [v.shape for v in fields.vectors.values()] == [(None, 1)] * 2


def test_bad_arguments_of_embeddings(spec):
    with pytest.raises(TypeError, match="Embeddings: `spec` must be a FeatureSpec"):
        Embeddings("spec")
    with pytest.raises(ValueError, match="`embedding_dim` must be an int >= 1"):
        Embeddings(spec, embedding_dim=0)
    with pytest.raises(ValueError, match="`unknown_rate` must be a number in"):
        Embeddings(spec, unknown_rate=2)
    with pytest.raises(TypeError, match="nonsense"):
        Embeddings(spec, nonsense=1)
    with pytest.raises(ValueError, match="Embeddings: `seed` must be an int >= 0"):
        Embeddings(spec, seed="a")
    strange = keras.Input((), name="height", dtype="int32")
    with pytest.raises(ValueError, match='column "height" must be in the spec'):
        Embeddings(spec)([strange])
    bare = FeatureSpec([Categorical("city", side="user")])
    with pytest.raises(ValueError, match='table "city" has no vocabulary yet'):
        Embeddings(bare)


def test_weights_numbers_along_lists_and_frozen_tables(tmp_path):
    columns = [
        Categorical("item", side="item", embedding_dim=2, trainable=False),
        MultiCategorical("tags", side="item", embedding_dim=2, weights="shares"),
        NumericSequence("shares", along="tags", side="item"),
        Sequence("history", of="item", side="item"),
        NumericSequence("gaps", along="history", side="item"),
    ]
    rows = {
        "item": ["a"],
        "tags": [["t"]],
        "shares": [[1.0]],
        "history": [[]],
        "gaps": [[]],
    }
    spec = FeatureSpec(columns).adapt(rows, tmp_path)
    embeddings = Embeddings(spec, unknown_rate=0.0, seed=0)
    inputs = inputs_of(spec, "item")
    fields = embeddings(inputs)
    assert list(fields.numbers) == ["gaps"], "weights are no feature of their own"
    model = keras.Model(inputs, [fields.vectors["tags"], fields.numbers["gaps"]])
    ids = {
        "item": np.array([2]),
        "tags": np.array([[2, 1, 0]]),
        "shares": np.array([[3.0, 1.0, 9.0]], "float32"),
        "history": np.array([[2, 1, 0]]),
        "gaps": np.array([[4.0, 8.0, 99.0]], "float32"),
    }
    pooled, mean = model(ids)
    layers = {layer.name: layer for layer in model.layers}
    rows_of_tags = layers["embeddings_item_2"].table.numpy()
    wanted = (3 * rows_of_tags[2] + rows_of_tags[1]) / 4
    np.testing.assert_allclose(pooled[0], wanted, rtol=1e-5)
    assert float(mean[0, 0]) == 6.0
    everything = keras.Model(
        inputs, [*fields.vectors.values(), *fields.sequences.values()]
    )
    frozen = [layer for layer in everything.layers if "frozen" in layer.name]
    assert len(frozen) == 1 and frozen[0].trainable_weights == []
