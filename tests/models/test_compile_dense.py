import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec import models
from tfrec.data import from_pandas
from tfrec.embeddings import EmbeddingTable
from tfrec.models import compile_dense, deepfm
from tfrec.models.compile_dense import DenseCompiled
from tfrec.optimizers import RowSparseAdagrad, RowSparseAdam
from tfrec.testing import check_replicas
from tfrec.testing.layers import quiet_saving

OPTIONS = {"hidden_units": (8, 4), "dropout": 0.0, "l2": 0.01, "seed": 1}


def compiled(model, optimizer=None):
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(
        optimizer or RowSparseAdagrad(0.1),
        loss,
        metrics=[keras.metrics.MeanAbsoluteError(name="mae")],
        weighted_metrics=[keras.metrics.BinaryAccuracy(name="accuracy")],
    )
    return model


def weighted(frame, spec):
    """Batches of one size, with sample weights, some 0."""
    batches = from_pandas(frame, spec, batch_size=64, drop_remainder=True)
    return batches.map(lambda x, y: (x, y, tf.cast(x["user_id"] % 3, tf.float32)))


@pytest.mark.slow
def test_trains_to_the_same_weights(spec, frame, tmp_path):
    """Same start, draws and batches: the same weights; saved and fitted on too."""
    batches = weighted(frame, spec)
    plain, dense = deepfm(spec, **OPTIONS), compile_dense(deepfm(spec, **OPTIONS))
    assert dense.name == plain.name
    assert [x.name for x in dense.inputs] == [x.name for x in plain.inputs]
    logs = [
        compiled(model).fit(batches, epochs=2, shuffle=False, verbose=0).history
        for model in (plain, dense)
    ]
    assert set(logs[0]) == set(logs[1]) == {"loss", "mae", "accuracy"}
    for name, values in logs[0].items():
        np.testing.assert_allclose(logs[1][name], values, rtol=1e-4, err_msg=name)
    before = {w.path: w.numpy() for w in plain.weights}
    after = {w.path: w.numpy() for w in dense.weights}
    assert set(before) == set(after)
    for path, value in before.items():
        np.testing.assert_allclose(after[path], value, atol=1e-5, err_msg=path)
    with quiet_saving():
        dense.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert type(loaded) is type(dense) and isinstance(loaded, DenseCompiled)
    np.testing.assert_array_equal(
        loaded.predict(batches, verbose=0), dense.predict(batches, verbose=0)
    )
    for model in (loaded, dense):
        model.fit(batches, shuffle=False, verbose=0)
    for found, wanted in zip(loaded.weights, dense.weights, strict=True):
        np.testing.assert_array_equal(found, wanted)


def small():
    """Two tables, one of which is looked up twice, and a number."""
    a = keras.Input((), dtype="int32", name="a")
    b = keras.Input((3,), dtype="int32", name="b")
    x = keras.Input((), name="x")
    shared = EmbeddingTable((9,), 4, scale=0.5, seed=1, name="shared")
    (one,), (many,) = shared([a], tables=[0]), shared([b], tables=[0])
    (own,) = EmbeddingTable((9,), 4, scale=0.5, seed=2, name="own")([a], tables=[0])
    kernel = keras.initializers.GlorotUniform(seed=3)
    flat = keras.layers.Concatenate()(
        [one, keras.layers.Flatten()(many), own, keras.layers.Reshape((1,))(x)]
    )
    logit = keras.layers.Dense(1, kernel_initializer=kernel)(flat)
    return keras.Model([a, b, x], logit)


def rows(batch=8):
    random = np.random.default_rng(0)
    x = {
        "a": random.integers(0, 9, batch).astype("int32"),
        "b": random.integers(0, 9, (batch, 3)).astype("int32"),
        "x": random.normal(size=batch).astype("float32"),
    }
    return x, random.integers(0, 2, (batch, 1)).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: RowSparseAdam(0.1, global_clipnorm=0.1),
        lambda: RowSparseAdagrad(0.1, gradient_accumulation_steps=2),
        lambda: keras.optimizers.SGD(0.5),
    ],
    ids=["clipped", "accumulating", "of Keras"],
)
def test_with_every_optimizer(make):
    x, y = rows()
    plain, dense = compiled(small(), make()), compiled(compile_dense(small()), make())
    for model in (plain, dense):
        model.fit(x, y, batch_size=8, epochs=4, verbose=0)
    start = small().get_weights()
    for found, wanted, first in zip(
        dense.get_weights(), plain.get_weights(), start, strict=True
    ):
        assert np.abs(wanted - first).max() > 1e-3
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.slow
def test_predictions_and_exports_have_no_xla():
    model = compiled(compile_dense(small()))
    names = [tensor.name for tensor in model.inputs]

    def must_compile(function, *args):
        graph = function.get_concrete_function(*args).graph
        graph_def = graph.as_graph_def()
        nodes = [*graph_def.node]
        nodes += [n for f in graph_def.library.function for n in f.node_def]
        return any(node.attr["_XlaMustCompile"].b for node in nodes)

    x, y = rows()
    predict = tf.function(lambda x: model([x[n] for n in names], training=False))
    assert not must_compile(predict, x)
    model.optimizer.build(model.trainable_variables)
    assert must_compile(tf.function(lambda x, y: model.train_step((x, y))), x, y)


def test_a_missing_column():
    x, y = rows()
    model = compiled(compile_dense(small()))
    del x["x"]
    with pytest.raises(ValueError, match='column "x" must be one of the row'):
        model.train_step((x, y))


def test_ids_that_are_computed():
    a = keras.Input((), dtype="int32", name="a")
    (own,) = EmbeddingTable((9,), 4)([a % 9], tables=[0])
    model = compiled(compile_dense(keras.Model([a], keras.layers.Dense(1)(own))))
    message = "compile_dense: `model` must look up its own inputs, not what is"
    with pytest.raises(ValueError, match=message):
        model.train_step(({"a": np.array([3])}, np.zeros((1, 1))))


def test_bad_arguments():
    message = "compile_dense: `model` must be a functional keras.Model that looks up"
    x = keras.Input((2,))
    for wrong in ("model", keras.Model(x, keras.layers.Dense(1)(x))):
        with pytest.raises(TypeError, match=message):
            compile_dense(wrong)
    assert models.compile_dense is compile_dense


def first_loss(model, batches):
    return model.fit(batches, shuffle=False, verbose=0).history["loss"][0]


@pytest.mark.slow
def test_another_loss_and_other_trained_layers(spec, frame):
    """What `compile` is told later holds, as for a plain model."""
    batches = weighted(frame, spec)
    options = {"hidden_units": (8,), "seed": 1, "unknown_rate": 0.0}
    plain, dense = deepfm(spec, **options), compile_dense(deepfm(spec, **options))
    for model in (plain, dense):
        compiled(model).fit(batches, shuffle=False, verbose=0)
    found = []
    for model in (plain, dense):
        model.get_layer("deepfm_deep").trainable = False
        kernels = [w.numpy() for w in model.get_layer("deepfm_deep").weights]
        model.compile(RowSparseAdagrad(0.1), keras.losses.MeanSquaredError())
        found.append(first_loss(model, batches))
        for before, after in zip(
            kernels, model.get_layer("deepfm_deep").weights, strict=True
        ):
            np.testing.assert_array_equal(before, after)
    np.testing.assert_allclose(*found, rtol=1e-4)
    for one, other in zip(plain.weights, dense.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_two_replicas_are_one_device(spec, frame):
    """The penalty counts once, and the loss that is reported is the whole."""
    options = {"hidden_units": (8,), "seed": 1, "unknown_rate": 0.0, "l2": 0.1}
    check_replicas(
        lambda: compiled(compile_dense(deepfm(spec, **options))), spec, frame[:128]
    )
