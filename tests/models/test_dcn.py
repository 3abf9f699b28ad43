import dataclasses

import keras
import numpy as np
import pytest

from tfrec.models import dcn
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model

SMALL = {"hidden_units": (6,), "num_layers": 2, "seed": 1}
FORMS = [
    {"form": "vector"},
    {"form": "full"},
    {"form": "low_rank", "rank": 4},
    {"form": "mixture", "rank": 4, "num_experts": 2},
]


@pytest.mark.parametrize("structure", ["parallel", "stacked"])
def test_matches_the_paper(
    structure, spec, frame, ids_of, shaken, layer_outputs, deep_part
):
    model = shaken(dcn(spec, structure=structure, **SMALL), 0.1)
    x = ids_of(frame, spec)
    (x0,) = layer_outputs(model, x, "dcn_flat")
    assert x0.shape == (len(frame), 6 * 8 + 4)
    crossed = x0
    weights = {
        w.name: w.numpy().astype(float) for w in model.get_layer("dcn_cross").weights
    }
    for layer in range(2):
        kernel, bias = weights[f"kernel_{layer}"], weights[f"bias_{layer}"]
        crossed = x0 * (crossed @ kernel + bias) + crossed
    if structure == "stacked":
        wanted = deep_part(model, "dcn_deep", crossed)
    else:
        (w,) = model.get_layer("dcn_product").get_weights()
        wanted = crossed @ w + deep_part(model, "dcn_deep", x0)
    assert np.ptp(wanted) > 0.1
    np.testing.assert_allclose(model(x), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("options", FORMS)
def test_forms_are_those_of_the_layer(options, spec, frame, ids_of, layer_outputs):
    model = dcn(spec, **SMALL, **options)
    layer = model.get_layer("dcn_cross")
    assert (layer.num_layers, layer.form) == (2, options["form"])
    assert layer.rank == options.get("rank")
    assert layer.num_experts == options.get("num_experts")
    assert np.isfinite(model(ids_of(frame[:4], spec))).all()


def test_batch_norm_stands_in_the_deep_part(spec):
    model = dcn(spec, batch_norm=True, dropout=0.2, activation="dice", **SMALL)
    deep = model.get_layer("dcn_deep")
    assert deep.batch_norm and deep.dropout == 0.2 and deep.activation == "dice"


def test_parts_of_a_spec(check_specs):
    rows = ("user_id", "age"), ("age", "picture"), ("age", "item_id"), ("user_id",)
    check_specs(lambda spec: dcn(spec, **SMALL), *rows)


@pytest.mark.slow
@pytest.mark.parametrize("options", FORMS)
def test_two_crosses_find_products_of_three(learn, three_way, options):
    def make(spec, layers=2):
        return dcn(spec, num_layers=layers, hidden_units=(), seed=1, **options)

    assert learn(make, *three_way)[0] > 0.9


@pytest.mark.slow
def test_one_cross_does_not(learn, three_way):
    found = learn(lambda s: dcn(s, num_layers=1, hidden_units=(), seed=1), *three_way)
    assert found[0] < 0.6


@pytest.mark.slow
def test_contract(spec, frame):
    weighted = dataclasses.replace(spec, weight="weight")

    def make():
        model = dcn(weighted, dropout=0.2, unknown_rate=0.1, **SMALL)
        loss = keras.losses.BinaryCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )
        model.compile(RowSparseAdagrad(0.1), loss)
        return model

    check_model(make, weighted, frame)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"form": "v2"}, "CrossNetwork: `form` must be one of 'vector', 'full', "),
        ({"num_layers": 0}, "`num_layers` must be an int >= 1"),
        ({"form": "low_rank"}, "`rank` must be an int >= 1. Received: rank=None"),
        (
            {"structure": "both"},
            "dcn: `structure` must be one of 'parallel', 'stacked'",
        ),
        ({"batch_norm": 1}, "`batch_norm` must be True or False"),
        ({"hidden_units": 8}, "dcn: `hidden_units` must be a tuple of ints >= 1"),
        ({"activation": "relo"}, "`activation` must be the name of a Keras activation"),
        ({"dropout": 1}, r"dcn: `dropout` must be a number in \[0, 1\)"),
        ({"unknown_rate": 1}, r"dcn: `unknown_rate` must be a number in \[0, 1\)"),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        dcn(spec, **arguments)


def test_bad_specs(spec):
    with pytest.raises(TypeError, match="dcn: `spec` must be a FeatureSpec"):
        dcn(["user_id"])
    with pytest.raises(TypeError, match="nonsense"):
        dcn(spec, nonsense=1)
