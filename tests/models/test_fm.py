import dataclasses

import keras
import numpy as np
import pytest

from tfrec.models import fm, lr
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model


def test_matches_the_paper(spec, frame, ids_of, shaken, layer_outputs):
    model, x = shaken(fm(spec)), ids_of(frame, spec)
    e, linear = layer_outputs(model, x, "fm_fields", "fm_linear")
    wanted = linear.copy()
    for i in range(e.shape[1]):
        for j in range(i + 1, e.shape[1]):
            wanted[:, 0] += np.sum(e[:, i] * e[:, j], axis=1)
    assert np.abs(wanted - linear).max() > 0.1 and np.abs(linear).max() > 0.1
    np.testing.assert_allclose(model(x), wanted, rtol=1e-4, atol=1e-4)


def test_parts_of_a_spec(check_specs, shaken):
    rows = ("user_id", "age"), ("age", "picture"), ("age", "item_id"), ("user_id",)
    check_specs(lambda spec: shaken(fm(spec)), *rows)


@pytest.mark.slow
def test_pairs_that_lr_cannot_find(learn, pairs):
    found = learn(lambda spec: fm(spec, seed=1), *pairs)[0]
    assert found > 0.85 and learn(lr, *pairs)[0] < 0.6


@pytest.mark.slow
def test_contract(spec, frame):
    weighted = dataclasses.replace(spec, weight="weight")

    def make():
        model = fm(weighted, seed=1, unknown_rate=0.1)
        loss = keras.losses.BinaryCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )
        model.compile(RowSparseAdagrad(0.1), loss)
        return model

    check_model(make, weighted, frame)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"unknown_rate": 1}, r"fm: `unknown_rate` must be a number in \[0, 1\)"),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        fm(spec, **arguments)


def test_bad_specs(spec):
    with pytest.raises(TypeError, match="fm: `spec` must be a FeatureSpec"):
        fm(["user_id"])
    with pytest.raises(TypeError, match="nonsense"):
        fm(spec, nonsense=1)
