import numpy as np
import pandas as pd
import pytest

from tfrec.data import chosen
from tfrec.data.chosen import Chosen

KEYS = {"user": "u", "item": "i", "label": "y", "count": 1, "seed": 0}
FILMS = pd.DataFrame({"i": list("abcdef"), "year": range(6)})
LOG = pd.DataFrame({"u": [1, 2, 1], "i": ["a", "b", "c"], "y": 1, "year": [0, 1, 2]})


def test_what_a_user_has_chosen():
    history = pd.DataFrame({"u": [1, 3, 2], "i": ["f", "a", "gone"]})
    found = Chosen("test", LOG, FILMS, history, **KEYS)
    assert [found.of_user(row).tolist() for row in range(3)] == [
        [0, 2, 5],
        [1],
        [0, 2, 5],
    ]


@pytest.mark.parametrize("tries", [0, 1, chosen.TRIES])
def test_draws_have_the_distribution_of_the_rest(monkeypatch, tries):
    """Chi-square against weights without the chosen items, at 0.1 %."""
    monkeypatch.setattr(chosen, "TRIES", tries)
    weights = np.array([8.0, 4.0, 0.0, 2.0, 1.0, 0.0])
    count = 4_000
    found = Chosen("test", LOG[:2], FILMS, None, **KEYS).draw(weights, count)
    for row, taken in enumerate((0, 1)):
        drawn = np.bincount(found[row * count : (row + 1) * count], minlength=6)
        left = weights.copy()
        left[taken] = 0
        wanted = left / left.sum() * count
        assert (drawn[wanted == 0] == 0).all()
        real = wanted > 0
        statistic = ((drawn - wanted)[real] ** 2 / wanted[real]).sum()
        assert statistic < {3: 13.82, 4: 16.27}[int(real.sum())]


def test_rows_keep_columns_and_types():
    pairs = Chosen("test", LOG.astype({"y": "float32"}), FILMS, None, **KEYS)
    found = pairs.rows(np.array([1, 2, 0]), 1)
    assert found.to_dict("list") == {
        "u": [1, 2, 1],
        "i": ["b", "c", "a"],
        "y": [0, 0, 0],
        "year": [1, 2, 0],
    }
    assert found["y"].dtype == "float32"
