import numpy as np
import pytest

from tfrec.plots import augmented_similarity

ROWS = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])


def labels(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


def test_cosines_of_pairs_and_of_others(drawn):
    turned = 5 * ROWS[:, ::-1]
    figure = drawn(augmented_similarity([ROWS, turned], [7 * ROWS, ROWS]))
    first, second = figure.axes
    # Rows with the next row: at right angles, at right angles, opposite.
    assert labels(first) == ["another row, mean -0.33", "positive pair, mean 1.00"]
    # At right angles to their own row: cosine 0; next: 1, -1, 0.
    assert labels(second)[1] == "positive pair, mean 0.00"
    shares = sum(bar.get_height() for bar in first.containers[1])
    np.testing.assert_allclose(shares, 1)
    assert first.get_ylabel() == "share of 3 rows"
    assert "item tower" in first.get_xlabel() and "user tower" in second.get_xlabel()


def test_bad_arguments():
    pair = [ROWS, ROWS]
    with pytest.raises(
        ValueError, match="`augmented` must be a pair. Received: augmented=1"
    ):
        augmented_similarity([ROWS], pair)
    with pytest.raises(ValueError, match=r"`targets` must have shape \(3, 2\)"):
        augmented_similarity(pair, [ROWS[:2], ROWS])
    with pytest.raises(
        ValueError, match="`augmented` must have two rows. Received: augmented=1"
    ):
        augmented_similarity([ROWS[:1]] * 2, [ROWS[:1]] * 2)
