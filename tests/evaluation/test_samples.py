import numpy as np
import pytest

from tfrec.evaluation import samples


def test_labels_and_weights_become_float64():
    y, weight = samples.labels("auc", np.array([[1], [0]], "int8"), np.array([2, 0]))
    assert y.dtype == weight.dtype == np.float64
    assert y.tolist() == [1, 0] and weight.tolist() == [2, 0]
    assert samples.labels("log_loss", [0.3], None, soft=True)[0].tolist() == [0.3]


def test_errors_name_the_owner_and_the_argument():
    with pytest.raises(
        ValueError, match=r"auc: `y` must hold labels 0 and 1 only.*0\.3"
    ):
        samples.labels("auc", [0.3], None)
    with pytest.raises(
        ValueError, match="auc: `score` must not hold NaN.*NaN in row 1"
    ):
        samples.scores("auc", "score", [0.0, np.nan], 2)
    with pytest.raises(ValueError, match=r"`group` must have shape \(2,\) or \(2, 1\)"):
        samples.flat("gauc", "group", [1, 2, 3], 2)
    with pytest.raises(ValueError, match="`score` must hold numbers"):
        samples.numbers("auc", "score", np.array(["a"]))


def test_ratio():
    assert samples.ratio(1.0, 4.0) == 0.25
    assert np.isnan(samples.ratio(0.0, 0.0))
