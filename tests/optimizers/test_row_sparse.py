"""What all row-sparse optimizers share; the rule of each has a file of its own."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.embeddings import EmbeddingTable
from tfrec.optimizers import (
    RowSparseAdagrad,
    RowSparseAdam,
    RowSparseFtrl,
    RowSparseLossScale,
    RowSparseOptimizer,
    RowSparseSGD,
    RowWiseAdagrad,
)
from tfrec.testing.layers import quiet_saving

ROWS, DIMS, BATCH = (40, 20), (3, 2), 16
RANDOM = np.random.default_rng(0)
TABLES = [RANDOM.normal(size=s).astype("float32") for s in zip(ROWS, DIMS, strict=True)]
DENSE = [RANDOM.normal(size=s).astype("float32") for s in ((5, 2), (2,))]
# Of the name's two optimizers, with the start values the same.
PAIRS = {
    "sgd": (lambda rate, **o: RowSparseSGD(rate, **o), keras.optimizers.SGD),
    "adagrad": (RowSparseAdagrad, keras.optimizers.Adagrad),
    "ftrl": (RowSparseFtrl, keras.optimizers.Ftrl),
    "adam": (RowSparseAdam, keras.optimizers.Adam),
}
OPTIONS = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.2},
    "clipvalue": {"clipvalue": 0.05},
    "global_clipnorm": {"global_clipnorm": 0.2},
    "decay": {"weight_decay": 0.02},
    "accumulation": {"gradient_accumulation_steps": 4},
    "accumulation_clipnorm": {"gradient_accumulation_steps": 3, "clipnorm": 0.1},
}
EVERY = {
    "adagrad": RowSparseAdagrad,
    "adam": RowSparseAdam,
    "ftrl": RowSparseFtrl,
    "sgd": RowSparseSGD,
    "row_wise": RowWiseAdagrad,
}


def schedule():
    return keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.97)


def batches(steps, every_row=False):
    """Ids of both tables with many repeats, and targets.

    Rows 30 and up of the first and 10 and up of the second never, or each once more.
    """
    random = np.random.default_rng(1)
    for _ in range(steps):
        one = random.integers(0, 30, BATCH) ** 2 // 29
        two = random.integers(0, 10, BATCH)
        if every_row:
            one = np.concatenate([one, np.arange(ROWS[0])])
            two = np.concatenate([two, np.arange(40) % ROWS[1]])
        targets = random.normal(size=(len(one), 2)).astype("float32")
        yield tf.constant(one), tf.constant(two), tf.constant(targets)


def train(optimizer, steps, sparse, every_row=False, zeros=False):
    """Tables, kernel and bias after `steps` of least squares."""
    start = [*TABLES, *DENSE]
    if zeros:
        start = [np.zeros_like(w) for w in TABLES] + DENSE
    weights = [keras.Variable(w) for w in start]
    for table in weights[:2]:
        table.row_sparse = sparse

    @tf.function(reduce_retracing=True)
    def step(*ids_and_targets):
        *ids, targets = ids_and_targets
        values = [w.value for w in weights]
        with tf.GradientTape() as tape:
            rows = [
                tf.gather(table, i)
                if sparse
                else tf.matmul(tf.one_hot(i, table.shape[0]), table)
                for table, i in zip(values[:2], ids, strict=True)
            ]
            found = tf.concat(rows, axis=1) @ values[2] + values[3]
            loss = tf.reduce_mean((found - targets) ** 2)
        gradients = tape.gradient(loss, values)
        for gradient in gradients[:2]:
            assert isinstance(gradient, tf.IndexedSlices) == sparse
        optimizer.apply(gradients, weights)

    optimizer.build(weights)
    for batch in batches(steps, every_row):
        step(*batch)
    return [w.numpy() for w in weights]


def assert_like(found, wanted, start):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert max(np.abs(w - s).max() for w, s in zip(found, start, strict=True)) > 0.1


@pytest.mark.parametrize(
    "options",
    [
        "plain",
        *(pytest.param(o, marks=pytest.mark.slow) for o in OPTIONS if OPTIONS[o]),
    ],
)
@pytest.mark.parametrize("name", PAIRS)
def test_equals_keras_on_the_dense_gradient(name, options):
    """Adam where every batch has every row: so does decay, which Keras gives all."""
    ours, theirs = PAIRS[name]
    options = OPTIONS[options]
    how = {"every_row": name == "adam" or "weight_decay" in options}
    how["zeros"] = name == "ftrl"  # where a row of zeros stays one without gradient
    rate = 0.02 if name == "adam" else 0.1
    found = train(ours(rate, **options), 100, True, **how)
    wanted = train(theirs(rate, **options), 100, False, **how)
    start = [np.zeros_like(w) for w in TABLES] if how["zeros"] else TABLES
    assert_like(found, wanted, [*start, *DENSE])
    if not how["every_row"]:
        np.testing.assert_array_equal(found[0][30:], start[0][30:])
        np.testing.assert_array_equal(found[1][10:], start[1][10:])


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_a_schedule_is_followed(name):
    ours, theirs = PAIRS[name]
    # Dense FTRL makes all rows anew from each learning rate.
    how = {"every_row": name in ("adam", "ftrl"), "zeros": name == "ftrl"}
    found = train(ours(schedule()), 20, True, **how)
    assert_like(found, train(theirs(schedule()), 20, False, **how), [*TABLES, *DENSE])
    still = train(ours(0.1), 20, True, **how)
    assert np.abs(found[0] - still[0]).max() > 1e-3


@pytest.mark.parametrize("options", ["plain", "decay", "accumulation"])
@pytest.mark.parametrize("name", EVERY)
def test_rows_that_no_batch_has_are_not_touched(name, options):
    optimizer = EVERY[name](0.1, **OPTIONS[options])
    weights = train(optimizer, 8, True)
    for found, start, rows in zip(weights[:2], TABLES, (30, 10), strict=True):
        np.testing.assert_array_equal(found[rows:], start[rows:])
        assert (found[:rows] != start[:rows]).any()
    for kind, slots in optimizer.slots.items():
        for slot, rows in zip(slots[:2], (30, 10), strict=True):
            assert (slot.numpy()[rows:] == np.float32(optimizer.start_of(kind))).all()
            assert (slot.numpy()[:rows] != np.float32(optimizer.start_of(kind))).any()


def updated(optimizer, steps=12):
    """Dense variables after the same gradients for any optimizer."""
    random = np.random.default_rng(4)
    weights = [keras.Variable(w) for w in DENSE]
    for _ in range(steps):
        parts = [random.normal(size=w.shape).astype("float32") for w in DENSE]
        optimizer.apply([tf.constant(part) for part in parts], weights)
    return [w.numpy() for w in weights]


@pytest.mark.parametrize("options", [*OPTIONS, "schedule"])
@pytest.mark.parametrize("name", PAIRS)
def test_dense_variables_are_updated_as_by_keras(name, options):
    ours, theirs = PAIRS[name]
    rate = schedule() if options == "schedule" else 0.1
    options = OPTIONS.get(options, {})
    found = updated(ours(rate, **options))
    wanted = updated(theirs(rate, **options))
    for one, other in zip(found, wanted, strict=True):
        if name == "ftrl":  # sqrt here, power(., 0.5) in Keras
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
        else:
            np.testing.assert_array_equal(one, other)


def two_sides(rows, dim=4):
    """One table that two inputs look up, and a dense layer."""
    table = EmbeddingTable((rows,), dim, scale=0.5, seed=1, name="shared")
    user = keras.Input((5,), dtype="int32", name="user")
    item = keras.Input((), dtype="int32", name="item")
    (steps,), (own,) = table([user], tables=[0]), table([item], tables=[0])
    mean = keras.layers.GlobalAveragePooling1D()(steps)
    kernel = keras.initializers.GlorotUniform(seed=2)
    mean = keras.layers.Dense(dim, kernel_initializer=kernel, name="dense")(mean)
    score = keras.layers.Dot(axes=1, dtype="float32")([mean, own])
    return keras.Model([user, item], score)


def rows_of(rows, batch=32, seed=3):
    random = np.random.default_rng(seed)
    x = {
        "user": random.integers(1, rows, (batch, 5)).astype("int32"),
        "item": random.integers(1, rows, batch).astype("int32"),
    }
    return x, random.normal(size=batch).astype("float32")


def fit(model, rows, epochs=2):
    x, y = rows
    model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)


def state_of(model):
    state = [v.numpy() for v in (*model.weights, *model.optimizer.variables)]
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for held in getattr(inner, "waiting", {}).values():
        state += [variable.numpy() for variable in held]
    return state


def assert_same_bits(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@contextlib.contextmanager
def policy(name):
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


def test_one_table_looked_up_twice():
    x, y = rows_of(12)
    model = two_sides(12)
    table, kernel, bias = (w.numpy() for w in model.trainable_weights)
    model.compile(RowSparseAdagrad(0.2), "mse")
    fit(model, (x, y), epochs=5)

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


LONG = 100_003


def large_tensors(optimizer, rows=LONG):
    """Names of all tensors of a train step that are as long as the table."""
    model = two_sides(rows)
    model.compile(optimizer, "mse", jit_compile=False, auto_scale_loss=False)
    optimizer.build(model.trainable_variables)
    step = tf.function(lambda x, y: model.train_step((x, y)))
    graph = step.get_concrete_function(*rows_of(rows)).graph.as_graph_def(
        add_shapes=True
    )
    nodes = [*graph.node]
    for function in graph.library.function:  # the branches of conditions are here
        nodes += function.node_def
    assert any(node.op == "ResourceGather" for node in nodes)
    large = []
    for node in nodes:
        for shape in node.attr["_output_shapes"].list.shape:
            if any(axis.size >= rows for axis in shape.dim):
                large.append(f"{node.op} {node.name}")
    return large


def test_the_walk_finds_large_tensors():
    assert large_tensors(keras.optimizers.Adagrad())
    # Within the branches of a condition too: nowhere else does this one update.
    assert large_tensors(keras.optimizers.SGD(gradient_accumulation_steps=2))


@pytest.mark.slow
def test_the_walk_finds_those_of_keras_loss_scale():
    with policy("mixed_float16"):
        assert large_tensors(keras.optimizers.LossScaleOptimizer(RowSparseAdagrad()))


def test_a_step_makes_no_tensor_as_long_as_the_table():
    assert large_tensors(RowSparseAdagrad()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_no_optimizer_makes_one_whatever_the_options(name):
    """Options that do not exclude one another at once."""
    make = EVERY[name]
    decay = {"weight_decay": 0.1, "loss_scale_factor": 8.0}
    assert large_tensors(make(schedule(), clipnorm=1.0, **decay)) == []
    assert large_tensors(make(0.1, global_clipnorm=1.0)) == []
    accumulated = {"gradient_accumulation_steps": 2, "clipvalue": 1.0}
    assert large_tensors(make(0.1, **accumulated, **decay)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_none_in_mixed_precision(name):
    make = EVERY[name]
    with policy("mixed_bfloat16"):
        assert large_tensors(make(0.1)) == []
    with policy("mixed_float16"):
        assert large_tensors(RowSparseLossScale(make(0.1, clipnorm=1.0))) == []
    accumulated = make(0.1, gradient_accumulation_steps=2)
    with policy("mixed_float16"):
        assert large_tensors(RowSparseLossScale(accumulated)) == []


SAVED = {
    **{name: lambda make=make: make(0.2) for name, make in EVERY.items()},
    # the last two of the first 8 steps wait in the file
    "accumulation": lambda: RowSparseAdam(0.01, gradient_accumulation_steps=3),
    "scaled": lambda: RowSparseLossScale(RowSparseAdam(0.01), dynamic_growth_steps=3),
    "scaled_accumulation": lambda: RowSparseLossScale(
        RowSparseAdagrad(0.1, gradient_accumulation_steps=3, weight_decay=0.1)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAVED)
def test_training_goes_on_after_saving_bit_by_bit(name, tmp_path):
    rows = rows_of(30)
    whole, broken, third = two_sides(30), two_sides(30), two_sides(30)
    for model in (whole, broken, third):
        model.compile(SAVED[name](), "mse", auto_scale_loss=False)
    fit(whole, rows, 4)
    fit(broken, rows, 2)
    with quiet_saving():
        broken.save(tmp_path / "m.keras")
        broken.save_weights(tmp_path / "m.weights.h5")
        loaded = keras.models.load_model(tmp_path / "m.keras")
    third.optimizer.build(third.trainable_variables)
    third.load_weights(tmp_path / "m.weights.h5")
    assert type(loaded.optimizer) is type(broken.optimizer)
    assert loaded.optimizer.get_config() == broken.optimizer.get_config()
    for model in (loaded, third):
        assert_same_bits(state_of(model), state_of(broken))
        fit(model, rows, 2)
        assert_same_bits(state_of(model), state_of(whole))


FRESH = """
import sys
import keras, numpy as np
import tfrec
model = keras.models.load_model(sys.argv[1])
inner = model.optimizer.inner_optimizer
print(type(model.optimizer).__name__, type(inner).__name__, int(inner.iterations))
x = {"user": np.ones((8, 5), "int32"), "item": np.ones(8, "int32")}
model.fit(x, np.ones(8, "float32"), verbose=0)
print(int(inner.iterations))
"""


@pytest.mark.slow
def test_a_fresh_process_needs_only_the_import(tmp_path):
    model = two_sides(30)
    model.compile(RowSparseLossScale(RowSparseFtrl()), "mse")
    fit(model, rows_of(30))
    with quiet_saving():
        model.save(tmp_path / "m.keras")
    done = python(FRESH, tmp_path / "m.keras")
    assert done.stdout.split() == ["RowSparseLossScale", "RowSparseFtrl", "8", "9"]


def python(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adam", "accumulation"])
def test_steps_per_execution(name):
    rows = rows_of(30)
    found = []
    for steps in (1, 3):
        model = two_sides(30)
        model.compile(SAVED[name](), "mse", steps_per_execution=steps)
        fit(model, rows)
        found.append(state_of(model))
    assert_same_bits(*found)


REPLICAS = """
import sys
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [one, one])
sys.path.insert(0, sys.argv[1])
from test_row_sparse import EVERY, fit, rows_of, two_sides
from tfrec.optimizers import RowSparseLossScale

rows = rows_of(12)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
cases = {name: (lambda make=make: make(0.1)) for name, make in EVERY.items()}
cases["decay"] = lambda: EVERY["adam"](0.1, weight_decay=0.1)
cases["scaled"] = lambda: RowSparseLossScale(EVERY["row_wise"](0.1))
for name, make in cases.items():
    found = []
    for scope in (tf.distribute.get_strategy(), strategy):
        with scope.scope():
            model = two_sides(12)
            model.compile(make(), "mse", auto_scale_loss=False)
        start = model.get_weights()
        fit(model, rows)
        slots = [v.numpy() for v in model.optimizer.variables]
        found.append([*model.get_weights(), *slots])
    assert np.abs(found[0][0] - start[0]).max() > 0.01
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6, err_msg=name)
with strategy.scope():
    model = two_sides(12)
    model.compile(EVERY["sgd"](gradient_accumulation_steps=2), "mse")
    try:
        fit(model, rows)
    except ValueError as error:
        print(error)
"""


@pytest.mark.slow
def test_two_replicas():
    said = python(REPLICAS, Path(__file__).parent).stdout
    assert "RowSparseSGD: `gradient_accumulation_steps` is not supported on" in said
    assert "several replicas" in said and "Train with a larger batch." in said


PLACES = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [one, one])
import keras
from tfrec import optimizers

with tf.device("CPU:1"):
    table = keras.Variable(tf.ones([5, 2]))
optimizer = optimizers.RowSparseAdagrad(0.1)

@tf.function
def step():
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.gather(table.value, [1, 3]))
    optimizer.apply(tape.gradient(loss, [table.value]), [table])

step()
print(table.value.device[-5:], optimizer.slots["accumulator"][0].value.device[-5:])
"""


@pytest.mark.slow
def test_slots_stand_where_their_variable_stands():
    assert python(PLACES).stdout.split() == ["CPU:1", "CPU:1"]


def raises(text):
    return pytest.raises(ValueError, match=re.escape(text))


@pytest.mark.parametrize("make", EVERY.values())
@pytest.mark.parametrize(
    "arguments, text",
    [
        (
            {"clipnorm": 1.0, "clipvalue": 2.0},
            ": `clipvalue` must be given alone, without other clipping. Received: "
            "clipvalue={'clipnorm': 1.0, 'clipvalue': 2.0} (dict).",
        ),
        ({"clipnorm": 0}, ": `clipnorm` must be a number > 0. Received: clipnorm=0"),
        ({"global_clipnorm": "1"}, ": `global_clipnorm` must be a number > 0"),
        ({"clipvalue": -1.0}, ": `clipvalue` must be a number > 0"),
        ({"weight_decay": -0.1}, ": `weight_decay` must be a number >= 0"),
        ({"loss_scale_factor": 0}, ": `loss_scale_factor` must be a number > 0"),
        (
            {"gradient_accumulation_steps": 1},
            ": `gradient_accumulation_steps` must be an int >= 2",
        ),
        (
            {"use_ema": True},
            ": `use_ema` would read whole tables and is not supported. Received: "
            "use_ema=True (bool). Leave it out, or train with a Keras optimizer.",
        ),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(make, arguments, text):
    named = make.__name__ + text if text.startswith(":") else text
    with raises(named):
        make(**arguments)


def test_a_constraint_is_refused():
    table = keras.Variable(TABLES[0], name="table")
    table.constraint = keras.constraints.NonNeg()
    with raises("RowSparseSGD: `variables` must have no constraint: it would rewrite"):
        RowSparseSGD().build([table])


def test_a_loss_that_was_not_scaled_is_refused():
    optimizer = RowSparseSGD(1.0, loss_scale_factor=4.0)
    weight = keras.Variable(np.ones(2, "float32"))
    text = "RowSparseSGD: `loss_scale_factor` needs a loss that went through"
    with raises(text):
        optimizer.apply([tf.ones(2)], [weight])
    assert float(optimizer.scale_loss(tf.constant(2.0))) == 8.0
    optimizer.apply([tf.ones(2)], [weight])
    np.testing.assert_array_equal(weight, [0.75, 0.75])


def test_a_subclass_gives_slots_and_the_rule():
    class Signs(RowSparseOptimizer):
        slot_names = ("seen",)

        def step(self, gradient, weight, slots, learning_rate):
            return weight - learning_rate * tf.sign(gradient), [slots[0] + 1]

    optimizer = Signs(0.5)
    table = keras.Variable(np.zeros((4, 2), "float32"))
    gradient = tf.IndexedSlices(tf.constant([[1.0, -3], [2, 1], [1, 1]]), [2, 0, 2])
    optimizer.apply([gradient], [table])
    np.testing.assert_array_equal(table, [[-0.5, -0.5], [0, 0], [-0.5, 0.5], [0, 0]])
    np.testing.assert_array_equal(
        optimizer.slots["seen"][0].numpy()[:, 0], [1, 0, 1, 0]
    )


@pytest.mark.parametrize("make", EVERY.values())
def test_contract(make):
    given = {
        "learning_rate": 0.2,
        "weight_decay": 0.1,
        "global_clipnorm": 2.0,
        "loss_scale_factor": 4.0,
        "gradient_accumulation_steps": 3,
        "name": "mine",
    }
    optimizer = make(**given)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is make
    assert again.get_config() == optimizer.get_config()
    assert (
        given.items()
        <= {
            **again.get_config(),
            "learning_rate": round(float(again.learning_rate), 6),
        }.items()
    )
