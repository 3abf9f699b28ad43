import keras
import numpy as np
import pytest

from tfrec.layers import TargetAttention
from tfrec.plots import layer_inputs


@pytest.fixture(scope="module")
def model():
    query, keys = keras.Input((3,), name="query"), keras.Input((4, 3), name="keys")
    mask = keras.Input((4,), dtype="bool", name="mask")
    attention = TargetAttention((4,), seed=1, name="attention")
    return keras.Model([query, keys, mask], attention([2 * query, keys], mask=mask))


def test_inputs_then_the_mask(model):
    random = np.random.default_rng(0)
    x = {
        "other": np.zeros(5),
        "mask": random.uniform(size=(5, 4)) > 0.5,
        "keys": random.normal(size=(5, 4, 3)).astype("float32"),
        "query": random.normal(size=(5, 3)).astype("float32"),
    }
    query, keys, mask = layer_inputs(model, "attention", x)
    np.testing.assert_array_equal(query, 2 * x["query"])
    np.testing.assert_array_equal(keys, x["keys"])
    np.testing.assert_array_equal(mask, x["mask"])
    layer = model.get_layer("attention")
    weights = np.asarray(layer.attention([query, keys], mask))
    assert (weights[~mask] == 0).all() and (weights[mask] != 0).all()
    pooled = np.einsum("bt,btd->bd", weights, keys)
    np.testing.assert_allclose(model(x), pooled, atol=1e-5)


def test_bad_arguments(model):
    with pytest.raises(
        ValueError, match='`layer` must name a layer of the model.*"atte'
    ):
        layer_inputs(model, "attend", {})
    with pytest.raises(TypeError, match="`model` must be a functional keras.Model"):
        layer_inputs(keras.Sequential, "attention", {})
