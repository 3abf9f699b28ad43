import dataclasses

import keras
import numpy as np
import pytest

from tfrec.features import Categorical
from tfrec.models import autoint
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model

SMALL = {"num_layers": 2, "num_heads": 2, "units": 3, "seed": 1}


@pytest.mark.parametrize("hidden_units", [(), (6,)])
def test_matches_the_paper(
    hidden_units, spec, frame, ids_of, shaken, layer_outputs, deep_part
):
    model = shaken(autoint(spec, hidden_units=hidden_units, **SMALL))
    x = ids_of(frame, spec)
    (e0,) = layer_outputs(model, x, "autoint_fields")
    assert e0.shape == (len(frame), 10, 8)
    e = e0
    for layer in range(2):
        kernels = model.get_layer(f"autoint_{layer}").get_weights()
        wq, wk, wv, wr = (kernel.astype(float) for kernel in kernels)
        heads = []
        for head in (slice(0, 3), slice(3, 6)):
            scores = (e @ wq[:, head]) @ (e @ wk[:, head]).swapaxes(1, 2)
            shares = np.exp(scores)
            shares /= shares.sum(axis=2, keepdims=True)
            heads.append(shares @ (e @ wv[:, head]))
        e = np.maximum(np.concatenate(heads, axis=2) + e @ wr, 0)
    w, b = model.get_layer("autoint_product").get_weights()
    wanted = e.reshape(len(e), -1) @ w + b
    assert np.ptp(wanted) > 0.1
    if hidden_units:
        wanted = wanted + deep_part(model, "autoint_deep", e0)
    np.testing.assert_allclose(model(x), wanted, rtol=1e-4, atol=1e-4)


def test_parts_of_a_spec(check_specs):
    rows = (
        ("user_id", "age"),
        ("age", "picture"),
        ("age", "item_id"),
        ("user_id", "city"),
    )
    check_specs(lambda spec: autoint(spec, **SMALL), *rows)


def test_layers_do_not_start_alike(spec):
    model = autoint(spec, num_layers=2, num_heads=1, units=8, seed=1)
    first, second = (model.get_layer(f"autoint_{n}").get_weights() for n in range(2))
    for one in first:
        for other in second:
            assert np.abs(one - other).max() > 0.1


@pytest.mark.slow
def test_what_belongs_together_attends_to_each_other(learn, pairs):
    log, (user, _, item, _) = pairs
    random = np.random.default_rng(5)
    noise = random.integers(0, 10, size=(2, len(log.frame))).astype(str)
    frame = log.frame.assign(of_user=noise[0], of_item=noise[1])
    columns = [
        user,
        Categorical("of_user", side="user", embedding_dim=8),
        item,
        Categorical("of_item", side="item", embedding_dim=8),
    ]

    def make(spec):
        return autoint(spec, num_layers=1, num_heads=1, units=8, seed=1)

    found, model, x = learn(make, log._replace(frame=frame), columns)
    assert found > 0.85
    layer = model.get_layer("autoint_0")
    e = keras.Model(model.inputs, layer.input)(x)
    shares = np.asarray(layer.attention(e))[:, 0]
    mean, spread = shares.mean(axis=0), shares.std(axis=0)
    for one, other in ((0, 2), (2, 0)):  # of four fields, the two that interact
        assert mean[one].argmax() == other and spread[one].argmax() == other
        rest = [1, 3]
        assert mean[one, other] > 1.15 * mean[one, rest].max(), mean
        assert spread[one, other] > 1.3 * spread[one, rest].max(), spread


@pytest.mark.slow
def test_contract(spec, frame):
    weighted = dataclasses.replace(spec, weight="weight")

    def make():
        model = autoint(weighted, hidden_units=(4,), unknown_rate=0.1, **SMALL)
        loss = keras.losses.BinaryCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )
        model.compile(RowSparseAdagrad(0.1), loss)
        return model

    check_model(make, weighted, frame)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_layers": 0}, "autoint: `num_layers` must be an int >= 1"),
        ({"num_heads": 0}, "`num_heads` must be an int >= 1"),
        ({"units": 0}, "`units` must be an int >= 1"),
        ({"scale": 1}, "`scale` must be True or False"),
        ({"hidden_units": 8}, "autoint: `hidden_units` must be a tuple of ints >= 1"),
        (
            {"hidden_units": (2,), "activation": "relo"},
            "`activation` must be the name of a",
        ),
        (
            {"hidden_units": (2,), "dropout": 1},
            r"autoint: `dropout` must be a number in \[0, 1\)",
        ),
        ({"unknown_rate": 1}, r"autoint: `unknown_rate` must be a number in \[0, 1\)"),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        autoint(spec, **arguments)


def test_bad_specs(spec):
    with pytest.raises(TypeError, match="autoint: `spec` must be a FeatureSpec"):
        autoint(["user_id"])
    with pytest.raises(TypeError, match="nonsense"):
        autoint(spec, nonsense=1)
