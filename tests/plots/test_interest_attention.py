import numpy as np
import pytest

from tfrec.layers import LabelAwareAttention
from tfrec.plots import interest_attention


def test_shares_of_interests(drawn, texts):
    interests = np.float32([[[2.0, 0.0], [0.0, 1.0]]])
    items = np.float32([[1.0, 0.0], [0.0, 1.0]])
    both = np.repeat(interests, 2, axis=0)
    shares = np.asarray(LabelAwareAttention("scale", 1.0).attention([both, items]))
    (panel, _) = drawn(interest_attention(shares, ["x", "y"])).axes
    wanted = [[np.exp(2), 1], [1, np.exp(1)]]
    wanted = np.array(wanted) / np.sum(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(panel.images[0].get_array(), wanted, rtol=1e-5)
    assert panel.images[0].get_clim() == (0, 1)
    assert texts(panel, "x") == ["1", "2"] and texts(panel, "y") == ["x", "y"]


def test_bad_arguments():
    with pytest.raises(
        ValueError, match="`items` must hold 1 texts. Received: items=2"
    ):
        interest_attention([[0.5, 0.5]], ["x", "y"])
    message = r"interest_attention: `weights` must have shape \(items, interests\)"
    with pytest.raises(ValueError, match=message):
        interest_attention([0.5, 0.5], ["x", "y"])
