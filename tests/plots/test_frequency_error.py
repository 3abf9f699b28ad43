import numpy as np
import pytest

from tfrec.plots import frequency_error


def test_a_line_a_setting(drawn):
    curves = {"one": ([0, 10], [0.5, 0.2]), "two": ([0, 10], [0.4, 0.1])}
    (panel,) = drawn(frequency_error(curves, switch=5)).axes
    one, two, mark = panel.lines
    np.testing.assert_array_equal(one.get_xydata(), [[0, 0.5], [10, 0.2]])
    assert [one.get_label(), two.get_label()] == ["one", "two"]
    assert set(mark.get_xdata()) == {5}
    assert panel.get_ylim()[0] == 0 and panel.get_xlabel() == "training step"


def test_without_a_switch():
    assert len(frequency_error({"one": ([0], [1.0])}).axes[0].lines) == 1


def test_bad_arguments():
    with pytest.raises(
        ValueError, match="`curves` must hold a curve. Received: curves={}"
    ):
        frequency_error({})
    with pytest.raises(ValueError, match=r"`errors` must have shape \(2\)"):
        frequency_error({"one": ([0, 1], [0.5])})
