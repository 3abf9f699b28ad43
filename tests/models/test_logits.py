import keras
import numpy as np
import pytest

from tfrec.models.logits import deep_part, summed, weighted

X = np.random.default_rng(0).normal(size=(5, 3, 2)).astype("float32")


def test_the_deep_part_ends_in_one_linear_unit():
    inputs = keras.Input((3, 2))
    deep = deep_part("m", hidden_units=(4,), batch_norm=True, seed=1)
    model = keras.Model(inputs, deep(inputs))
    mlp = model.get_layer("m_deep")
    assert mlp.hidden_units == (4, 1) and mlp.last_activation == "linear"
    assert mlp.batch_norm and mlp.seed == 1
    np.testing.assert_allclose(model(X), mlp(X.reshape(5, 6)), atol=1e-6)


@pytest.mark.parametrize("bias", [False, True])
def test_weights_are_one_product(bias):
    inputs = keras.Input((3, 2))
    model = keras.Model(inputs, weighted("m", inputs, seed=1, bias=bias))
    w, *b = model.get_weights()
    assert len(b) == bias
    wanted = X.reshape(5, 6).astype(float) @ w + sum(b)
    np.testing.assert_allclose(model(X), wanted, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_terms_add_up_in_float32(count):
    terms = [keras.Input((1,), dtype="float16") for _ in range(count)]
    model = keras.Model(terms, summed("m", *terms))
    values = [np.full((2, 1), 0.1, "float16")] * count
    found = model(values)
    assert found.dtype == "float32" and model.layers[-1].name == "m_logit"
    wanted = np.full((2, 1), count * float(np.float16(0.1)))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"hidden_units": 8}, "m: `hidden_units` must be a tuple of ints >= 1"),
        ({"dropout": 1}, r"m: `dropout` must be a number in \[0, 1\). Received: drop"),
        ({"activation": "relo"}, "`activation` must be the name of a Keras activation"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        deep_part("m", **{"hidden_units": (2,), **arguments})
