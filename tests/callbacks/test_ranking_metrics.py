import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss, roc_auc_score

from tfrec import evaluation
from tfrec.callbacks import RankingMetrics

ROWS = 50
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, 3)).astype("float32")
USER = RANDOM.integers(0, 6, ROWS)
Y = (RANDOM.random(ROWS) < 0.4).astype("float32")
BUY = (RANDOM.random(ROWS) < 0.3).astype("float32")
WEIGHT = RANDOM.uniform(0, 2, ROWS).astype("float32")
COLUMNS = {"x": X, "user": USER}


def data_of(*parts):
    return tf.data.Dataset.from_tensor_slices(parts).batch(8)


def model_of(*names):
    x, user = keras.Input((3,), name="x"), keras.Input((), dtype="int64", name="user")
    outputs = {name: keras.layers.Dense(1)(x) for name in names}
    model = keras.Model([x, user], outputs or keras.layers.Dense(1)(x))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile("sgd", dict.fromkeys(names, loss) if names else loss)
    return model


def sigmoid(z):
    return 1 / (1 + np.exp(-z.astype(float)))


@pytest.mark.parametrize("weighted", [False, True])
def test_they_are_those_of_sklearn(weighted):
    weight = (WEIGHT,) if weighted else ()
    data, model = data_of(COLUMNS, Y, *weight), model_of()
    callback = RankingMetrics(data, group="user")
    history = model.fit(data, epochs=2, callbacks=[callback], verbose=0).history
    logits = model.predict(COLUMNS, verbose=0)[:, 0]
    w = WEIGHT if weighted else None
    wanted = {
        "val_auc": roc_auc_score(Y, logits, sample_weight=w),
        "val_gauc": evaluation.gauc(Y, logits, USER, weight=w).value,
        "val_log_loss": log_loss(Y, sigmoid(logits), sample_weight=w),
    }
    for name, value in wanted.items():
        assert len(history[name]) == 2
        np.testing.assert_allclose(history[name][-1], value, rtol=1e-6, err_msg=name)
    assert len(callback.scores[None]) == ROWS


def test_several_outputs():
    labels, model = {"click": Y, "buy": BUY}, model_of("click", "buy")
    weights = {"click": WEIGHT, "buy": np.ones_like(WEIGHT)}
    data = data_of(COLUMNS, labels, weights)
    callbacks = [RankingMetrics(data, metrics=("auc",), prefix="test_")]
    history = model.fit(data, callbacks=callbacks, verbose=0).history
    logits = model.predict(COLUMNS, verbose=0)
    for name, y in labels.items():
        wanted = roc_auc_score(y, logits[name][:, 0], sample_weight=weights[name])
        np.testing.assert_allclose(history[f"test_{name}_auc"], [wanted], rtol=1e-6)


def test_early_stopping_watches_them():
    data, model = data_of(COLUMNS, Y), model_of()
    model.optimizer.learning_rate = 0.0  # so that nothing gets better
    judged = RankingMetrics(data, metrics=("auc",))
    stop = keras.callbacks.EarlyStopping(monitor="val_auc", mode="max", patience=2)
    history = model.fit(data, epochs=9, callbacks=[judged, stop], verbose=0).history
    assert len(history["val_auc"]) == 3


def test_a_bar_where_fit_shows_one(capsys):
    data = data_of(COLUMNS, Y)
    model_of().fit(data, callbacks=[RankingMetrics(data)], verbose=1)
    said = capsys.readouterr().out
    assert "7/7" in said and "val_auc" in said
    model_of().fit(data, callbacks=[RankingMetrics(data)], verbose=2)
    assert "7/7" not in capsys.readouterr().out.replace("7/7 -", "")


def raises(text):
    return pytest.raises(ValueError, match=re.escape(text))


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"metrics": ("ndcg",)}, "RankingMetrics: `metrics` must be one of 'auc', "),
        ({"metrics": "auc"}, "`metrics` must be a non-empty tuple of names"),
        ({"metrics": ()}, "`metrics` must be a non-empty tuple of names"),
        (
            {"metrics": ("gauc",)},
            'RankingMetrics: `group` must name a column: "gauc" is asked for.',
        ),
        (
            {"group": "item"},
            "RankingMetrics: `group` must be a column of `data`. Received: "
            'group=\'item\' (str). It has "x", "user".',
        ),
        ({"prefix": None}, "RankingMetrics: `prefix` must be a string"),
        ({"data": 3}, "`data` must be a tf.data.Dataset of (columns, labels[, wei"),
        ({"data": tf.data.Dataset.range(3)}, "`data` must be a tf.data.Dataset of"),
        ({"data": data_of(COLUMNS, Y).repeat()}, "`data` must have an end."),
        ({"data": data_of(X, X, X, X)}, "`data` must be of (columns, labels[, weigh"),
    ],
)
def test_bad_arguments(arguments, text):
    with raises(text):
        RankingMetrics(**{"data": data_of(COLUMNS, Y), **arguments})


def test_outputs_that_do_not_fit():
    data = data_of(COLUMNS, Y)
    callback = RankingMetrics(data)
    callback.set_model(model_of("click", "buy"))
    callback.set_params({})
    with raises('`data` must have a label called "click", as the model\'s output'):
        callback.on_epoch_end(0, {})
    callback = RankingMetrics(data_of(COLUMNS, {"click": Y}))
    callback.set_model(model_of("click", "buy"))
    callback.set_params({})
    with raises("must have the labels that the model's outputs are called"):
        callback.on_epoch_end(0, {})
    x = keras.Input((3,))
    several = [keras.layers.Dense(1)(x), keras.layers.Dense(1)(x)]
    for outputs in (keras.layers.Dense(2)(x), several):
        callback = RankingMetrics(data_of(X, Y))
        callback.set_model(keras.Model(x, outputs))
        callback.set_params({})
        with raises("RankingMetrics: `model` must give one logit per row, or a dict"):
            callback.on_epoch_end(0, {})
