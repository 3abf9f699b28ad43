import numpy as np
import pytest

from tfrec.plots import history_attention

WEIGHTS = np.array([[0.5, -0.2, 0.0], [0.1, 0.3, 0.4]])


def test_a_row_is_a_candidate_and_a_column_a_step(drawn, texts):
    figure = drawn(history_attention(WEIGHTS, "abc", ["x", "y"]))
    panel = figure.axes[0]
    np.testing.assert_array_equal(panel.images[0].get_array(), WEIGHTS)
    assert texts(panel, "y") == ["x", "y"] and texts(panel, "x") == ["a", "b", "c"]
    assert panel.get_xlabel() == "history, oldest first"
    assert panel.images[0].get_clim() == (-0.5, 0.5)


def test_weights_of_one_sign_have_one_colour():
    panel = history_attention(abs(WEIGHTS), "abc", ["x", "y"]).axes[0]
    assert panel.images[0].get_clim() == (0, 0.5)


def test_bad_arguments():
    with pytest.raises(
        ValueError, match="`history` must hold 3 texts. Received: history=2"
    ):
        history_attention(WEIGHTS, "ab", ["x", "y"])
    with pytest.raises(
        ValueError, match="`candidates` must hold 2 texts. Received: candidates=1"
    ):
        history_attention(WEIGHTS, "abc", ["x"])
