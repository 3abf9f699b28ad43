import numpy as np
import pytest

from tfrec.layers import LinearTerm
from tfrec.testing import check_layer

RANDOM = np.random.default_rng(0)
L = RANDOM.normal(size=(6, 4)).astype("float32")
X = RANDOM.normal(size=(6, 3)).astype("float32")


def test_matches_the_paper():
    layer = LinearTerm()
    layer([L, X])
    w, b = RANDOM.normal(size=(3, 1)), RANDOM.normal(size=1)
    layer.set_weights([w, b])
    wanted = b + L.astype(float).sum(axis=1, keepdims=True) + X.astype(float) @ w
    np.testing.assert_allclose(layer([L, X]), wanted, atol=1e-5)


def test_at_the_start_it_is_the_sum_of_the_looked_up_weights():
    wanted = L.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(LinearTerm()([L, X]), wanted, atol=1e-6)
    np.testing.assert_allclose(LinearTerm()([L]), wanted, atol=1e-6)


@pytest.mark.parametrize("inputs", [[L, X], [L]])
def test_contract(inputs):
    check_layer(LinearTerm(), inputs)


@pytest.mark.parametrize(
    "inputs, message",
    [
        (L, r"LinearTerm: `inputs` must be \[l\] or \[l, x\]. Received: inputs="),
        ([L, X, X], r"`inputs` must be \[l\] or \[l, x\]"),
        ([L[0]], r"`l` must have shape \(batch, fields\). Received: l=\(4,\)"),
        ([L, X[0]], r"`x` must have shape \(batch, fields\)"),
    ],
)
def test_bad_inputs(inputs, message):
    with pytest.raises(ValueError, match=message):
        LinearTerm()(inputs)


def test_bad_arguments():
    with pytest.raises(ValueError, match="nonsense"):
        LinearTerm(nonsense=1)
