import dataclasses
import itertools

import keras
import numpy as np
import pytest

from tfrec.models import fibinet, lr
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model

SMALL = {"hidden_units": (6,), "seed": 1}


@pytest.mark.parametrize("kernels", ["all", "each", "interaction"])
def test_matches_the_paper(
    kernels, spec, frame, ids_of, shaken, layer_outputs, deep_part
):
    model = shaken(fibinet(spec, kernels=kernels, **SMALL))
    x = ids_of(frame, spec)
    e, linear = layer_outputs(model, x, "fibinet_fields", "fibinet_linear")
    w1, w2 = model.get_layer("fibinet_senet").get_weights()
    assert w1.shape == (10, 3)
    gates = np.maximum(np.maximum(e.mean(axis=2) @ w1, 0) @ w2, 0)
    products = []
    for name, fields in (("p", e), ("q", gates[:, :, None] * e)):
        (kernel,) = model.get_layer(f"fibinet_{name}").get_weights()
        for pair, (i, j) in enumerate(itertools.combinations(range(10), 2)):
            place = {"all": (), "each": i, "interaction": pair}[kernels]
            products.append((fields[:, i] @ kernel[place].astype(float)) * fields[:, j])
    c = np.concatenate(products, axis=1)
    wanted = linear + deep_part(model, "fibinet_deep", c)
    assert np.ptp(wanted - linear) > 0.1
    np.testing.assert_allclose(model(x), wanted, rtol=1e-4, atol=1e-4)


def test_hyper_parameters_reach_the_layers(spec):
    options = {"reduction": 2, "squeeze": "max", "gate": "sigmoid"}
    senet = fibinet(spec, **options, **SMALL).get_layer("fibinet_senet")
    found = (senet.reduction, senet.squeeze, senet.activation, senet.skip)
    assert found == (2, "max", "sigmoid", False)


def test_parts_of_a_spec(check_specs):
    rows = (
        ("user_id", "age"),
        ("age", "picture"),
        ("age", "item_id"),
        ("user_id", "city"),
    )
    check_specs(lambda spec: fibinet(spec, **SMALL), *rows)


def test_one_field_has_no_pair(spec):
    message = (
        "fibinet: `spec` must have two fields or more, to make pairs of. Received: "
        r"spec=\['user_id'\] \(list\). Add a column of either side."
    )
    with pytest.raises(ValueError, match=message):
        fibinet(spec.select(["user_id"]))


@pytest.mark.slow
def test_pairs_that_lr_cannot_find(learn, pairs):
    found = learn(lambda spec: fibinet(spec, hidden_units=(), seed=1), *pairs)[0]
    assert found > 0.85 and learn(lr, *pairs)[0] < 0.6


@pytest.mark.slow
def test_contract(spec, frame):
    weighted = dataclasses.replace(spec, weight="weight")

    def make():
        model = fibinet(weighted, dropout=0.2, unknown_rate=0.1, **SMALL)
        loss = keras.losses.BinaryCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )
        model.compile(RowSparseAdagrad(0.1), loss)
        return model

    check_model(make, weighted, frame)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"kernels": "pair"}, "`kernels` must be one of 'all', 'each', 'interaction'"),
        ({"reduction": 0}, "SENet: `reduction` must be an int >= 1"),
        ({"squeeze": "sum"}, "SENet: `squeeze` must be one of 'mean', 'max'"),
        ({"gate": "tanh"}, "fibinet: `gate` must be one of 'relu', 'sigmoid'"),
        ({"hidden_units": 8}, "fibinet: `hidden_units` must be a tuple of ints >= 1"),
        ({"activation": "relo"}, "`activation` must be the name of a Keras activation"),
        ({"dropout": 1}, r"fibinet: `dropout` must be a number in \[0, 1\)"),
        ({"unknown_rate": 1}, r"fibinet: `unknown_rate` must be a number in \[0, 1\)"),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        fibinet(spec, **arguments)


def test_bad_specs(spec):
    with pytest.raises(TypeError, match="fibinet: `spec` must be a FeatureSpec"):
        fibinet(["user_id"])
    with pytest.raises(TypeError, match="nonsense"):
        fibinet(spec, nonsense=1)
