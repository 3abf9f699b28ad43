import numpy as np
import pytest

from tfrec.plots import field_weights

GATES = np.array([[0.1, 0.9, 0.4], [0.3, 0.7, 0.4]])


def test_bars_are_means_and_whiskers_deviations(drawn, texts):
    figure = drawn(field_weights(GATES, ["age", "city", "item"]))
    (panel,) = figure.axes
    assert texts(panel, "y") == ["age", "item", "city"]  # the heaviest on top
    widths = [bar.get_width() for bar in panel.patches]
    np.testing.assert_allclose(widths, [0.2, 0.4, 0.8])
    ends = panel.collections[0].get_segments()
    found = [(end[1, 0] - end[0, 0]) / 2 for end in ends]
    np.testing.assert_allclose(found, [0.1, 0.0, 0.1], atol=1e-12)
    assert "mean over 2 rows" in panel.get_xlabel() and panel.get_ylabel() == "field"


def test_whiskers_stop_at_0():
    (panel,) = field_weights([[0.0, 1.0], [0.0, 1.0], [3.0, 1.0]], ["a", "b"]).axes
    starts = [end[0, 0] for end in panel.collections[0].get_segments()]
    assert min(starts) == 0


def test_bad_arguments():
    with pytest.raises(ValueError, match="field_weights: `names` must hold 3 texts"):
        field_weights(GATES, ["age"])
    with pytest.raises(ValueError, match=r"`gates` must have shape \(rows, fields\)"):
        field_weights(GATES[0], ["age"])
