import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.embeddings import EmbeddingTable
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing.layers import quiet_saving

ROWS, DIM, BATCH = 40, 3, 16
RANDOM = np.random.default_rng(0)
START = RANDOM.normal(size=(ROWS, DIM)).astype("float32")
PULL = tf.constant(RANDOM.normal(size=(DIM, 2)).astype("float32"))


def batches(steps):
    """Ids with many repeats, rows 30 and up never, and targets."""
    random = np.random.default_rng(1)
    for _ in range(steps):
        ids = random.integers(0, 30, BATCH) ** 2 // 29
        yield tf.constant(ids), tf.constant(random.normal(size=(BATCH, 2)), tf.float32)


def train(optimizer, steps, sparse):
    """Weights and accumulator of a table after `steps` of least squares."""
    table = keras.Variable(START, name="table")

    @tf.function(reduce_retracing=True)
    def step(ids, targets):
        with tf.GradientTape() as tape:
            if sparse:
                rows = tf.gather(table.value, ids)
            else:
                rows = tf.matmul(tf.one_hot(ids, ROWS), table.value)
            loss = tf.reduce_mean((rows @ PULL - targets) ** 2)
        gradient = tape.gradient(loss, table.value)
        assert isinstance(gradient, tf.IndexedSlices) == sparse
        optimizer.apply([gradient], [table])

    optimizer.build([table])
    for ids, targets in batches(steps):
        step(ids, targets)
    slot = next(v for v in optimizer.variables if "accumulator" in v.path)
    return table.numpy(), slot.numpy()


def test_matches_the_paper():
    ids = np.array([3, 7, 3, 3])
    parts = RANDOM.normal(size=(4, DIM)).astype("float32")
    optimizer = RowSparseAdagrad(0.5, initial_accumulator_value=0.2, epsilon=1e-3)
    table = keras.Variable(START)
    w, a = START.astype(float), np.full((ROWS, DIM), 0.2)
    for _ in range(3):
        optimizer.apply([tf.IndexedSlices(parts, ids, [ROWS, DIM])], [table])
        g = np.zeros((ROWS, DIM))
        np.add.at(g, ids, parts)
        a += g**2
        w -= 0.5 * g / np.sqrt(a + 1e-3)
    np.testing.assert_allclose(table, w, atol=1e-5)


def test_equals_adagrad_on_the_dense_gradient():
    weights, slot = train(RowSparseAdagrad(0.3), 100, sparse=True)
    for dense in (RowSparseAdagrad(0.3), keras.optimizers.Adagrad(0.3)):
        other, other_slot = train(dense, 100, sparse=False)
        np.testing.assert_allclose(weights, other, rtol=0, atol=1e-6)
        np.testing.assert_allclose(slot, other_slot, rtol=1e-6, atol=1e-6)
    assert np.abs(weights[:30] - START[:30]).max() > 0.5


def test_rows_that_no_batch_has_are_not_touched():
    weights, slot = train(RowSparseAdagrad(0.3), 20, sparse=True)
    np.testing.assert_array_equal(weights[30:], START[30:])
    np.testing.assert_array_equal(slot[30:], np.full((ROWS - 30, DIM), np.float32(0.1)))


def test_a_schedule_is_followed():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    weights, _ = train(RowSparseAdagrad(schedule), 10, sparse=True)
    other, _ = train(keras.optimizers.Adagrad(schedule), 10, sparse=False)
    np.testing.assert_allclose(weights, other, rtol=0, atol=1e-6)


def two_sides(rows, dim=4):
    """One table that two inputs look up, and a dense layer."""
    table = EmbeddingTable((rows,), dim, scale=0.5, seed=1, name="shared")
    user = keras.Input((5,), dtype="int32", name="user")
    item = keras.Input((), dtype="int32", name="item")
    (steps,), (own,) = table([user], tables=[0]), table([item], tables=[0])
    mean = keras.layers.GlobalAveragePooling1D()(steps)
    kernel = keras.initializers.GlorotUniform(seed=2)
    mean = keras.layers.Dense(dim, kernel_initializer=kernel)(mean)
    return keras.Model([user, item], keras.layers.Dot(axes=1)([mean, own]))


def rows_of(rows, batch=32, seed=3):
    random = np.random.default_rng(seed)
    x = {
        "user": random.integers(1, rows, (batch, 5)).astype("int32"),
        "item": random.integers(1, rows, batch).astype("int32"),
    }
    return x, random.normal(size=batch).astype("float32")


def test_one_table_looked_up_twice():
    x, y = rows_of(12)
    model = two_sides(12)
    table, kernel, bias = (w.numpy() for w in model.trainable_weights)
    model.compile(RowSparseAdagrad(0.2), "mse")
    model.fit(x, y, batch_size=8, epochs=5, shuffle=False, verbose=0)

    weights = [keras.Variable(w) for w in (table, kernel, bias)]
    dense = keras.optimizers.Adagrad(0.2)
    for _ in range(5):
        for start in range(0, 32, 8):
            part = slice(start, start + 8)
            with tf.GradientTape() as tape:
                w, k, b = (variable.value + 0.0 for variable in weights)
                tape.watch([w, k, b])
                mean = tf.reduce_mean(tf.one_hot(x["user"][part], 12) @ w, axis=1)
                own = tf.one_hot(x["item"][part], 12) @ w
                score = tf.reduce_sum((mean @ k + b) * own, axis=1)
                loss = tf.reduce_mean((score - y[part]) ** 2)
            dense.apply(tape.gradient(loss, [w, k, b]), weights)
    for found, wanted in zip(model.trainable_weights, weights, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def large_tensors(optimizer, rows):
    """Names of all tensors of a train step that are as long as the table."""
    model = two_sides(rows)
    model.compile(optimizer, "mse", jit_compile=False)
    optimizer.build(model.trainable_variables)
    step = tf.function(lambda x, y: model.train_step((x, y)))
    graph = step.get_concrete_function(*rows_of(rows)).graph.as_graph_def(
        add_shapes=True
    )
    nodes = [*graph.node]
    for function in graph.library.function:
        nodes += function.node_def
    assert any(node.op == "ResourceGather" for node in nodes)
    large = []
    for node in nodes:
        for shape in node.attr["_output_shapes"].list.shape:
            if any(axis.size >= rows for axis in shape.dim):
                large.append(f"{node.op} {node.name}")
    return large


def test_a_step_makes_no_tensor_as_long_as_the_table():
    assert large_tensors(RowSparseAdagrad(), 100_003) == []
    assert large_tensors(keras.optimizers.Adagrad(), 100_003)  # the walk finds them


def test_a_step_in_bfloat16_neither():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert large_tensors(RowSparseAdagrad(), 100_003) == []
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.slow
def test_training_goes_on_after_saving_bit_by_bit(tmp_path):
    x, y = rows_of(30)

    def fit(model, epochs):
        model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)

    whole, broken = two_sides(30), two_sides(30)
    for model in (whole, broken):
        model.compile(RowSparseAdagrad(0.2, epsilon=1e-5), "mse")
    fit(whole, 4)
    fit(broken, 2)
    with quiet_saving():
        broken.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert type(loaded.optimizer) is RowSparseAdagrad
    assert loaded.optimizer.get_config() == broken.optimizer.get_config()
    fit(loaded, 2)
    for found, wanted in zip(loaded.weights, whole.weights, strict=True):
        np.testing.assert_array_equal(found, wanted)
    slots = zip(loaded.optimizer.variables, whole.optimizer.variables, strict=True)
    for found, wanted in slots:
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"initial_accumulator_value": -0.1},
            "RowSparseAdagrad: `initial_accumulator_value` must be a number >= 0. "
            r"Received: initial_accumulator_value=-0.1 \(float\).",
        ),
        ({"epsilon": 0}, "`epsilon` must be a number > 0"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RowSparseAdagrad(**arguments)


def test_contract():
    optimizer = RowSparseAdagrad(0.2, initial_accumulator_value=0.3, epsilon=1e-4)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is RowSparseAdagrad
    assert again.get_config() == optimizer.get_config()
    assert again.initial_accumulator_value == 0.3
