import dataclasses

import keras
import numpy as np
import pytest

from tfrec.models import fm, xdeepfm
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model

SMALL = {"cin_units": (4, 3), "hidden_units": (6,), "seed": 1}


@pytest.mark.parametrize("split_half", [False, True])
def test_matches_the_paper(
    split_half, spec, frame, ids_of, shaken, layer_outputs, deep_part
):
    model = shaken(xdeepfm(spec, split_half=split_half, **SMALL))
    x = ids_of(frame, spec)
    e, linear = layer_outputs(model, x, "xdeepfm_fields", "xdeepfm_linear")
    assert e.shape == (len(frame), 10, 8)
    first, second = (
        k.astype(float) for k in model.get_layer("xdeepfm_cin").get_weights()
    )
    maps = np.einsum("hij,bid,bjd->bhd", first, e, e)
    half = 2 if split_half else 0
    out, on = maps[:, half:], maps[:, : half or 4]
    last = np.einsum("hij,bid,bjd->bhd", second, on, e)
    p = np.concatenate([out.sum(axis=2), last.sum(axis=2)], axis=1)
    (w,) = model.get_layer("xdeepfm_product").get_weights()
    wanted = linear + p @ w + deep_part(model, "xdeepfm_deep", e)
    assert np.ptp(p @ w) > 0.1
    np.testing.assert_allclose(model(x), wanted, rtol=1e-4, atol=1e-3)


def test_a_triangular_map_alone_is_a_factorisation_machine(spec, frame, ids_of, shaken):
    model = shaken(xdeepfm(spec, cin_units=(1,), hidden_units=(), seed=1))
    other = fm(spec)
    mine = {w.path.replace("xdeepfm_", "fm_"): w for w in model.weights}
    for weight in other.weights:
        weight.assign(mine[weight.path].value)
    model.get_layer("xdeepfm_cin").set_weights([np.triu(np.ones((1, 10, 10)), 1)])
    model.get_layer("xdeepfm_product").set_weights([np.ones((1, 1))])
    deep = model.get_layer("xdeepfm_deep")
    deep.set_weights([0 * w for w in deep.get_weights()])
    x = ids_of(frame, spec)
    np.testing.assert_allclose(model(x), other(x), rtol=1e-4, atol=1e-4)


def test_hyper_parameters_reach_the_layer(spec):
    model = xdeepfm(spec, cin_activation="tanh", split_half=True, **SMALL)
    cin = model.get_layer("xdeepfm_cin")
    assert cin.activation == "tanh" and cin.split_half and cin.hidden_units == (4, 3)


def test_parts_of_a_spec(check_specs):
    rows = ("user_id", "age"), ("age", "picture"), ("age", "item_id"), ("user_id",)
    check_specs(lambda spec: xdeepfm(spec, **SMALL), *rows)


@pytest.mark.slow
@pytest.mark.parametrize("layers, low, high", [(1, 0.0, 0.6), (2, 0.9, 1.0)])
def test_two_layers_find_products_of_three(learn, three_way, layers, low, high):
    def make(spec):
        return xdeepfm(spec, cin_units=(8,) * layers, hidden_units=(), seed=1)

    assert low <= learn(make, *three_way)[0] <= high


@pytest.mark.slow
def test_fm_does_not(learn, three_way):
    assert learn(lambda spec: fm(spec, seed=1), *three_way)[0] < 0.6


@pytest.mark.slow
def test_contract(spec, frame):
    weighted = dataclasses.replace(spec, weight="weight")

    def make():
        model = xdeepfm(weighted, dropout=0.2, unknown_rate=0.1, **SMALL)
        loss = keras.losses.BinaryCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )
        model.compile(RowSparseAdagrad(0.1), loss)
        return model

    check_model(make, weighted, frame)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"cin_units": ()}, "xdeepfm: `cin_units` must have at least one layer"),
        ({"cin_units": (3, 2), "split_half": True}, "`cin_units` must be even but"),
        ({"cin_activation": "x"}, "xdeepfm: `cin_activation` must be the name of"),
        ({"hidden_units": 8}, "xdeepfm: `hidden_units` must be a tuple of ints >= 1"),
        ({"activation": "relo"}, "`activation` must be the name of a Keras activation"),
        ({"dropout": 1}, r"xdeepfm: `dropout` must be a number in \[0, 1\)"),
        ({"unknown_rate": 1}, r"xdeepfm: `unknown_rate` must be a number in \[0, 1\)"),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        xdeepfm(spec, **arguments)


def test_bad_specs(spec):
    with pytest.raises(TypeError, match="xdeepfm: `spec` must be a FeatureSpec"):
        xdeepfm(["user_id"])
    with pytest.raises(TypeError, match="nonsense"):
        xdeepfm(spec, nonsense=1)
