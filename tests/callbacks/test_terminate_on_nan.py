import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.callbacks import TerminateOnNaN
from tfrec.embeddings import EmbeddingTable

ROWS = 12


def parts(place=None, value=np.nan):
    """Columns, labels and weights with one bad value in row 7."""
    random = np.random.default_rng(0)
    columns = {
        "id": random.integers(1, 5, ROWS).astype("int32"),
        "age": random.normal(size=ROWS).astype("float32"),
        "picture": random.normal(size=(ROWS, 3)).astype("float32"),
    }
    labels, weights = np.ones(ROWS, "float32"), np.ones(ROWS, "float32")
    named = {"label": labels, "weight": weights, **columns}
    if place == "picture":
        named[place][7, 2] = value
    elif place is not None:
        named[place][7] = value
    return columns, labels, weights


def data_of(*place):
    return tf.data.Dataset.from_tensor_slices(parts(*place)).batch(5)


def model_of(rate=0.01):
    ids = keras.Input((), dtype="int32", name="id")
    age, picture = keras.Input((1,), name="age"), keras.Input((3,), name="picture")
    (row,) = EmbeddingTable((5,), 2, name="table")([ids], tables=[0])
    joined = keras.layers.Concatenate()([row, age, picture])
    logit = keras.layers.Dense(1, name="dense")(joined)
    model = keras.Model([ids, age, picture], logit)
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


@pytest.mark.parametrize(
    "place, value, text",
    [
        ("age", np.inf, 'column "age" of the data is inf in row 7.'),
        ("picture", np.nan, 'column "picture" of the data is nan in row 7 at (2,).'),
        ("label", np.nan, "label of the data is nan in row 7."),
        ("weight", -np.inf, "weight of the data is -inf in row 7."),
    ],
)
def test_the_value_is_named(place, value, text, capsys):
    data, model = data_of(place, value), model_of()
    callback = TerminateOnNaN(data)
    fitted = model.fit(data, epochs=5, callbacks=[callback], verbose=0)
    assert len(fitted.history["loss"]) == 1
    assert callback.reason.endswith(text) and "in batch 1. " in callback.reason
    assert f"TerminateOnNaN: {callback.reason}" in capsys.readouterr().out


def test_several_labels_are_named():
    columns, labels, weights = parts("label")
    named = {"click": weights, "buy": labels}
    data = tf.data.Dataset.from_tensor_slices((columns, named)).batch(5)
    model = model_of()
    model.compile("sgd", "mse")
    callback = TerminateOnNaN(data)
    callback.set_model(model)
    callback.on_train_batch_end(3, {"loss": np.nan})
    assert model.stop_training
    assert callback.reason == (
        'the loss is nan in batch 3. label "buy" of the data is nan in row 7.'
    )


@pytest.mark.parametrize("known", [True, False])
def test_a_weight_is_named_where_the_data_is_clean(known):
    data, model = data_of(), model_of()
    table = model.get_layer("table").table
    rows = table.numpy()
    rows[3, 1] = np.inf
    table.assign(rows)
    callback = TerminateOnNaN(data if known else None)
    model.fit(data, callbacks=[callback], verbose=0)
    clean = "The data is finite, and " if known else ""
    text = f'{clean}weight "table/table" is '
    assert re.search(text + r"(nan|-?inf) in row 3: learning", callback.reason)


def test_a_learning_rate_that_is_too_high():
    data, model = data_of(), model_of(rate=1e30)
    callback = TerminateOnNaN(data)
    fitted = model.fit(data, epochs=9, callbacks=[callback], verbose=0)
    assert len(fitted.history["loss"]) < 9
    assert re.search(r"finite, and weight \".*\" is (nan|-?inf) in ", callback.reason)


def test_a_good_loss_goes_on():
    callback = TerminateOnNaN(data_of())
    fitted = model_of().fit(data_of(), epochs=3, callbacks=[callback], verbose=0)
    assert len(fitted.history["loss"]) == 3 and callback.reason is None
    callback.set_model(model_of())
    callback.on_train_batch_end(0, {"loss": np.nan})
    assert callback.reason.endswith(
        "The data is finite, and all weights are finite: learning rate or loss are to "
        "blame."
    )


def test_bad_arguments():
    text = "TerminateOnNaN: `data` must be a tf.data.Dataset. Received: data=3"
    with pytest.raises(ValueError, match=re.escape(text)):
        TerminateOnNaN(3)
