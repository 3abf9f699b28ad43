import numpy as np
import pytest

from tfrec.plots import interests

ITEMS = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])


def test_each_interest_has_its_nearest_items(drawn, texts):
    figure = drawn(interests([[1.0, 0.0], [0.0, 1.0]], ITEMS, "abcd", k=2))
    first, second = figure.axes
    assert texts(first, "y") == ["a", "b"]  # the nearest on top
    assert texts(second, "y") == ["d", "c"]
    assert [bar.get_width() for bar in first.patches] == [1, 3]
    assert [bar.get_width() for bar in second.patches] == [1, 2]
    assert first.get_xlim() == second.get_xlim()
    assert first.get_title() == "interest 1"


def test_fewer_items_than_k(texts):
    assert len(texts(interests([[1.0, 0.0]], ITEMS, "abcd", k=9).axes[0], "y")) == 4


def test_bad_arguments():
    with pytest.raises(
        ValueError, match=r"`item_vectors` must have shape \(items, 3\)"
    ):
        interests(np.ones((2, 3)), ITEMS, "abcd")
    with pytest.raises(ValueError, match="interests: `items` must hold 4 texts"):
        interests(np.ones((2, 2)), ITEMS, "abc")
    with pytest.raises(ValueError, match="interests: `k` must be an int >= 1"):
        interests(np.ones((2, 2)), ITEMS, "abcd", k=0)
