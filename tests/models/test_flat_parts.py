import keras
import numpy as np
import pytest

from tfrec.features import Categorical, FeatureSpec, Numeric
from tfrec.models.flat_parts import first_order, listed, ranker_inputs, side_by_side

NONE = {"unknown_rate": 0.0, "l2": 0.0}


def test_side_by_side(spec, frame, ids_of, table_rows):
    inputs = ranker_inputs("m", spec, **NONE)
    assert list(inputs) == ["user", "item"]
    x = ids_of(frame, spec)
    model = keras.Model(listed(inputs), side_by_side("m", spec, inputs, seed=1))
    found = table_rows(model, spec, x, "embeddings")
    found["age"], found["picture"] = x["age"][:, None], x["picture"]
    order = ["user_id", "city", "history", "age"]  # numbers are a side's last
    order += ["item_id", "tags", "price", "picture"]
    wanted = np.concatenate([found[name] for name in order], axis=1)
    np.testing.assert_allclose(model(x), wanted, atol=1e-6)


def test_columns_may_differ_in_width_and_be_left_out(frame, ids_of, tmp_path):
    columns = [
        Categorical("user_id", side="user", embedding_dim=4),
        Categorical("city", side="user", embedding_dim=6),
        Numeric("price", side="item"),
    ]
    spec = FeatureSpec(columns).adapt(frame, tmp_path)
    inputs = ranker_inputs("m", spec, **NONE)
    model = keras.Model(listed(inputs), side_by_side("m", spec, inputs))
    assert model.output_shape == (None, 11)
    part = spec.without("city")
    model = keras.Model(listed(inputs), side_by_side("m", part, inputs))
    assert model.output_shape == (None, 5)
    assert not [w.path for w in model.weights if "6" in w.path]


def test_first_order_of_numbers_only(spec, frame, ids_of, shaken):
    part = spec.select(["age", "picture"])
    inputs = ranker_inputs("m", part, **NONE)
    model = shaken(keras.Model(listed(inputs), first_order("m", part, inputs)))
    x = ids_of(frame, part)
    w, b = (each.astype(float) for each in model.get_weights())
    numbers = np.concatenate([x["age"][:, None], x["picture"]], axis=1)
    np.testing.assert_allclose(model(x), numbers @ w + b, atol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"unknown_rate": 1}, r"m: `unknown_rate` must be a number in \[0, 1\). Rece"),
        ({"l2": -1}, "m: `l2` must be a number >= 0. Received: l2=-1"),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        ranker_inputs("m", spec, **{**NONE, **arguments})
    with pytest.raises(TypeError, match="m: `spec` must be a FeatureSpec"):
        ranker_inputs("m", ["user_id"], **NONE)
