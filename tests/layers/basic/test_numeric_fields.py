import numpy as np
import pytest

from tfrec.layers import NumericFields
from tfrec.testing import check_layer

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


def test_matches_the_paper():
    layer = NumericFields(4)
    layer(X)
    v = np.random.default_rng(1).normal(size=(3, 4))
    layer.set_weights([v])
    wanted = np.empty((6, 3, 4))
    for row in range(6):
        for field in range(3):
            wanted[row, field] = X[row, field] * v[field]
    np.testing.assert_allclose(layer(X), wanted, atol=1e-5)


def test_a_zero_is_a_zero_vector():
    x = X.copy()
    x[:, 1] = 0
    y = np.asarray(NumericFields(4)(x))
    assert not y[:, 1].any() and y[:, 0].any()


def test_start_values():
    layer = NumericFields(np.int64(200), seed=3)
    layer(X)
    (v,) = layer.get_weights()
    assert np.abs(v).max() <= 0.05 and np.abs(v).max() > 0.04
    other = NumericFields(200, seed=3)
    other(X)
    np.testing.assert_array_equal(other.get_weights()[0], v)


def test_contract():
    check_layer(NumericFields(4, seed=1), X)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"embedding_dim": 0},
            r"NumericFields: `embedding_dim` must be an int >= 1. Received: "
            r"embedding_dim=0 \(int\).",
        ),
        ({"embedding_dim": 4, "seed": "a"}, "`seed` must be an int >= 0"),
        ({"embedding_dim": 4, "nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        NumericFields(**arguments)


def test_bad_input():
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(batch, n\)"):
        NumericFields(4)(X[0])
