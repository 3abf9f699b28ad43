import dataclasses

import keras
import numpy as np
import pytest

from tfrec.features import Crossed
from tfrec.models import lr
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model

ROWS = ("user_id", "age"), ("age", "picture"), ("age", "item_id"), ("item_id", "price")


def test_matches_the_paper(spec, frame, ids_of, shaken, table_rows):
    model, x = shaken(lr(spec)), ids_of(frame, spec)
    first = table_rows(model, spec, x, "weights", width=1)
    assert set(first) == {"user_id", "city", "history", "item_id", "tags", "price"}
    w, b = model.get_layer("lr_linear").get_weights()
    numbers = np.concatenate([x["age"][:, None], x["picture"]], axis=1)
    wanted = b + sum(first.values()) + numbers.astype(float) @ w
    np.testing.assert_allclose(model(x), wanted, atol=1e-5)


def test_it_starts_at_0_and_has_one_weight_a_value(spec, frame, ids_of):
    model = lr(spec)
    assert not np.any(model(ids_of(frame, spec)))
    assert {w.shape[-1] for w in model.weights if "table" in w.path} == {1}


def test_parts_of_a_spec(check_specs, shaken):
    check_specs(lambda spec: shaken(lr(spec)), *ROWS)


@pytest.mark.slow
def test_a_crossed_column_is_a_pair(learn, pairs):
    log, columns = pairs
    frame = log.frame.assign(of_user=log.frame["item_group"])
    user = columns[0]
    other = type(user)("of_user", side="user", embedding_dim=8)
    cross = Crossed(
        "both", of=("user_group", "of_user"), side="user", hash_buckets=5000
    )
    log = log._replace(frame=frame)
    alone, *_ = learn(lr, log, [user, other])
    found, *_ = learn(lr, log, [user, other, cross])
    assert alone < 0.6 and found > 0.85


@pytest.mark.slow
def test_contract(spec, frame):
    weighted = dataclasses.replace(spec, weight="weight")

    def make():
        model = lr(weighted, seed=1, unknown_rate=0.1)
        loss = keras.losses.BinaryCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )
        model.compile(RowSparseAdagrad(0.1), loss)
        return model

    check_model(make, weighted, frame)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"unknown_rate": 1}, r"lr: `unknown_rate` must be a number in \[0, 1\)"),
        ({"l2": -1}, "lr: `l2` must be a number >= 0"),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        lr(spec, **arguments)


def test_bad_specs(spec):
    with pytest.raises(TypeError, match="lr: `spec` must be a FeatureSpec"):
        lr(["user_id"])
    with pytest.raises(TypeError, match="nonsense"):
        lr(spec, nonsense=1)
