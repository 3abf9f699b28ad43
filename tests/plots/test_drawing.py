import numpy as np
import pytest

from tfrec.plots.drawing import around, heat, labels, numbers, paper


def test_numbers_are_checked():
    assert numbers("me", "rows, fields", gates=[[1, 2]]).dtype == float
    with pytest.raises(ValueError, match=r"me: `gates` must have shape \(rows, field"):
        numbers("me", "rows, fields", gates=[1, 2])
    for bad in (np.zeros((0, 2)), [[np.nan, 1.0]]):
        with pytest.raises(ValueError, match="`gates` must be finite numbers, at leas"):
            numbers("me", "rows, fields", gates=bad)


def test_labels_are_short_and_counted():
    assert labels("me", 2, names=["a", 3]) == ["a", "3"]
    assert [len(text) for text in labels("me", 2, names=["x" * 34, "x" * 35])] == [
        34
    ] * 2
    with pytest.raises(
        ValueError, match="me: `names` must hold 2 texts. Received: names=1"
    ):
        labels("me", 2, names=["a"])


def test_a_map_shows_its_numbers():
    values = np.array([[0.25, -1.0, 1.0]])
    panel = paper(4, 3).subplots()
    image = heat(panel, values, ["row"], ["one", "two", "three"], (-1.0, 1.0))
    np.testing.assert_array_equal(image.get_array(), values)
    assert image.get_clim() == (-1, 1) and image.get_cmap().name == "RdBu_r"
    assert [text.get_text() for text in panel.texts] == ["0.25", "-1.00", "1.00"]
    colours = [text.get_color() for text in panel.texts]
    assert colours == ["black", "white", "white"]


def test_a_wide_map_has_no_numbers_in_it():
    panel = paper(4, 3).subplots()
    image = heat(panel, np.ones((1, 13)), ["row"], range(13), (0.0, 1.0))
    assert not panel.texts and image.get_cmap().name == "Blues"


def test_limits_of_nothing_but_zeros():
    assert around(np.zeros((2, 2))) == (0.0, 1.0)
