import numpy as np
import pytest

from tfrec.layers import MaskedPooling, WeightedPooling
from tfrec.testing import check_layer


@pytest.mark.parametrize("mode", ["mean", "sum", "sqrtn"])
def test_matches_the_formula(mode):
    random = np.random.default_rng(0)
    x = random.normal(size=(5, 4, 3)).astype("float32")
    w = random.uniform(0.1, 2, size=(5, 4)).astype("float32")
    mask = random.random((5, 4)) < 0.6
    mask[0] = False
    found = WeightedPooling(mode)([x, w], mask=mask).numpy()
    for row in range(5):
        weights = np.where(mask[row], w[row], 0).astype("float64")
        total = weights @ x[row]
        divisor = {"mean": weights.sum(), "sum": 1, "sqrtn": np.sqrt(weights @ weights)}
        wanted = total / divisor[mode] if mask[row].any() else np.zeros(3)
        np.testing.assert_allclose(found[row], wanted, atol=1e-5)


@pytest.mark.parametrize("mode", ["mean", "sum", "sqrtn"])
def test_equal_weights_are_no_weights(mode):
    x = np.random.default_rng(1).normal(size=(2, 4, 3)).astype("float32")
    mask = np.array([[True, False, True, True], [False] * 4])
    ones = np.ones((2, 4), "float32")
    weighted = WeightedPooling(mode)([x, ones], mask=mask)
    np.testing.assert_allclose(weighted, MaskedPooling(mode)(x, mask=mask), atol=1e-6)


def test_masked_places_do_not_matter():
    x = np.array([[[1.0], [np.nan]]], "float32")
    w = np.array([[2.0, np.nan]], "float32")
    found = WeightedPooling("mean")([x, w], mask=np.array([[True, False]]))
    assert found.numpy().tolist() == [[1.0]]


def test_weights_that_cancel_give_zero():
    x = np.array([[[1.0], [5.0]]], "float32")
    w = np.array([[1.0, -1.0]], "float32")
    assert WeightedPooling("mean")([x, w]).numpy().tolist() == [[0.0]]


def test_contract():
    random = np.random.default_rng(2)
    x = random.normal(size=(3, 4, 2)).astype("float32")
    w = random.uniform(0.5, 1.5, (3, 4)).astype("float32")
    check_layer(lambda: WeightedPooling("sqrtn"), [x, w])


def test_errors():
    with pytest.raises(
        ValueError, match="`mode` must be one of 'mean', 'sum', 'sqrtn'"
    ):
        WeightedPooling("max")
    with pytest.raises(ValueError, match=r"`inputs` must be \[x, w\]"):
        WeightedPooling()(np.ones((2, 3, 4), "float32"))
    with pytest.raises(ValueError, match=r"`w` must have shape \(batch, time\)"):
        WeightedPooling()([np.ones((2, 3, 4), "float32")] * 2)
