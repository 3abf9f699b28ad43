import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.data import negatives

KEYS = {"user": "u", "item": "i", "label": "y"}
FILMS = pd.DataFrame({"i": range(9), "genre": list("abcabcabc")})


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


def score(rows):
    """Item 8 first, then 7, ..."""
    return np.tile(np.arange(9.0), (len(rows), 1))


SAMPLERS = {
    "uniform": negatives.uniform,
    "by_popularity": negatives.by_popularity,
    "hard": lambda rows, items, **options: negatives.hard(
        rows, items, score, ranks=(1, 3), **options
    ),
}


@st.composite
def pairs(draw, most=20):
    rows = draw(st.integers(0, most))
    users = draw(st.lists(st.sampled_from("xyz"), min_size=rows, max_size=rows))
    items = draw(st.lists(st.integers(0, 7), min_size=rows, max_size=rows))
    return pd.DataFrame({"u": users, "i": items}).astype({"u": object, "i": "int64"})


@pytest.mark.parametrize("name", SAMPLERS)
@given(log=pairs(), history=pairs(), count=st.integers(1, 3), seed=st.integers(0, 3))
def test_no_positive_of_the_whole_history_comes_out(name, log, history, count, seed):
    log["y"], log["context"] = 1, np.arange(len(log))
    log["genre"] = FILMS["genre"].to_numpy()[log["i"]]
    # Somebody has chosen item 8 and nobody else has, so that there is one to draw.
    history = pd.concat([history, pd.DataFrame({"u": ["w"], "i": [8]})])
    before = log.copy()
    options = {**KEYS, "count": count, "history": history, "seed": seed}
    found = SAMPLERS[name](log, FILMS, **options)
    positive = {*zip(log["u"], log["i"], strict=True)}
    positive |= {*zip(history["u"], history["i"], strict=True)}
    assert not positive & {*zip(found["u"], found["i"], strict=True)}
    assert list(found) == list(log) and (found["y"] == 0).all()
    assert found["context"].tolist() == np.repeat(np.arange(len(log)), count).tolist()
    assert found["u"].tolist() == np.repeat(log["u"].to_numpy(), count).tolist()
    assert (found["genre"] == FILMS["genre"].to_numpy()[found["i"]]).all()
    pd.testing.assert_frame_equal(log, before)
    pd.testing.assert_frame_equal(SAMPLERS[name](log, FILMS, **options), found)


def chi_square(drawn, wanted):
    real = wanted > 0
    assert (drawn[~real] == 0).all()
    return ((drawn - wanted)[real] ** 2 / wanted[real]).sum()


@pytest.mark.parametrize("alpha", [0, 0.75, 1])
def test_popularity_to_the_power_of_alpha(alpha):
    log = pd.DataFrame({"u": range(15), "i": [0] * 8 + [1] * 4 + [2] * 2 + [3], "y": 1})
    one = pd.DataFrame({"u": [99], "i": [0], "y": [1]})
    options = {**KEYS, "count": 20_000, "history": log, "alpha": alpha}
    found = negatives.by_popularity(one, FILMS, **options)["i"]
    chosen = np.array([8, 4, 2, 1, 0, 0, 0, 0, 0]) ** float(alpha)
    chosen[0] = 0  # what user 99 has chosen
    wanted = chosen / chosen.sum() * 20_000
    # The 0.1 % points of chi-square with 2 and 7 degrees of freedom.
    limit = 24.3 if alpha == 0 else 13.8
    assert chi_square(np.bincount(found, minlength=9), wanted) < limit


def test_uniform_and_other_seeds():
    log = pd.DataFrame({"u": [1], "i": [4], "y": [1]})
    draws = [
        negatives.uniform(log, FILMS, **KEYS, count=20_000, seed=seed)["i"]
        for seed in (0, 1)
    ]
    wanted = np.where(np.arange(9) == 4, 0, 20_000 / 8)
    for found in draws:
        assert chi_square(np.bincount(found, minlength=9), wanted) < 24.3
    assert draws[0].tolist() != draws[1].tolist()


@given(log=pairs(), data=st.data())
def test_exposed_unclicked(log, data):
    labels = st.lists(st.integers(0, 1), min_size=len(log), max_size=len(log))
    log["y"] = np.array(data.draw(labels), int)
    history = data.draw(st.one_of(st.none(), pairs(4)))
    count = data.draw(st.sampled_from([None, 1, 2]))
    chosen = {*zip(log["u"][log["y"] == 1], log["i"][log["y"] == 1], strict=True)}
    if history is not None:
        chosen |= {*zip(history["u"], history["i"], strict=True)}
    free = [pair not in chosen for pair in zip(log["u"], log["i"], strict=True)]
    found = negatives.exposed_unclicked(log, **KEYS, count=count, history=history)
    wanted = log[np.array(free, bool)]
    if count is None:
        pd.testing.assert_frame_equal(found, wanted)
        return
    assert found.index.is_monotonic_increasing and found.index.isin(wanted.index).all()
    clicks = log[log["y"] == 1]["u"].value_counts()
    for user, rows in wanted.groupby("u"):
        most = min(len(rows), count * int(clicks.get(user, 0)))
        assert (found["u"] == user).sum() == most


def test_hard_takes_the_window():
    log = pd.DataFrame({"u": [1, 1, 2], "i": [8, 6, 0], "y": 1})
    options = {**KEYS, "count": 200}
    found = negatives.hard(log, FILMS, score, ranks=(2, 4), **options)
    # Left for user 1: 7 5 4 3 2 1 0; for user 2: 8 7 6 5 4 3 2 1.
    assert set(found["i"][:400]) == {5, 4, 3} and set(found["i"][400:]) == {7, 6, 5}
    cut = negatives.hard(log, FILMS, score, ranks=(6, 500), **options)
    assert set(cut["i"][:400]) == {1, 0} and set(cut["i"][400:]) == {3, 2, 1}
    seen = []

    def by_context(rows):
        seen.append(list(rows["u"]))
        return -score(rows)

    negatives.hard(log, FILMS, by_context, ranks=(1, 1), **KEYS)
    assert seen == [[1, 1, 2]]


def test_mixed():
    easy = pd.DataFrame({"i": range(1000), "y": 0})
    few = pd.DataFrame({"y": 0, "i": range(-30, 0)})
    found = negatives.mixed(easy, few)
    assert sorted(found["i"][found["i"] >= 0]) == list(range(1000))
    assert (found["i"] < 0).sum() == 10 and found["i"].is_unique
    assert found.index.tolist() == list(range(1010)) and list(found) == ["i", "y"]
    pd.testing.assert_frame_equal(found, negatives.mixed(easy, few))
    assert found["i"].tolist() != negatives.mixed(easy, few, seed=1)["i"].tolist()
    assert len(negatives.mixed(easy, few, ratio=50)) == 1020


LOG = pd.DataFrame({"u": [1, 1], "i": [0, 1], "y": [1, 1]})
TWICE = pd.DataFrame({"i": [0, 1, 0]})


@pytest.mark.parametrize(
    ("call", "text", "kind"),
    [
        (
            lambda: negatives.uniform(LOG, FILMS[:2], **KEYS),
            'uniform: `catalogue` must hold an item to draw that user "1"',
            ValueError,
        ),
        (
            lambda: negatives.by_popularity(LOG, FILMS, **KEYS),
            'by_popularity: `catalogue` must hold an item to draw that user "1"',
            ValueError,
        ),
        (
            lambda: negatives.uniform(LOG, TWICE, **KEYS),
            'column "i" must hold each item once. Received: "0" again in row 2',
            ValueError,
        ),
        (
            lambda: negatives.uniform(LOG, FILMS.assign(y=1), **KEYS),
            "must not be in the catalogue, whose columns are the items'.",
            ValueError,
        ),
        (
            lambda: negatives.uniform(LOG, FILMS, user="uu", item="i", label="y"),
            'uniform: column "uu" must be in the log.',
            ValueError,
        ),
        (
            lambda: negatives.uniform([LOG], FILMS, **KEYS),
            "uniform: `log` must be a DataFrame.",
            TypeError,
        ),
        (
            lambda: negatives.uniform(LOG, FILMS, **KEYS, count=0),
            "uniform: `count` must be an int >= 1.",
            ValueError,
        ),
        (
            lambda: negatives.by_popularity(LOG, FILMS, **KEYS, alpha=-1),
            "by_popularity: `alpha` must be a number >= 0.",
            ValueError,
        ),
        (
            lambda: negatives.exposed_unclicked(LOG.assign(y=2), **KEYS),
            'exposed_unclicked: column "y" must hold 0 and 1 only.',
            ValueError,
        ),
        (
            lambda: negatives.hard(LOG, FILMS, score, **KEYS),
            'hard: `ranks` must begin within the 7 items that user "1" has left.',
            ValueError,
        ),
        (
            lambda: negatives.hard(LOG, FILMS, score, **KEYS, ranks=(0, 5)),
            "hard: `ranks` must be (first, last) with 1 <= first <= last.",
            ValueError,
        ),
        (
            lambda: negatives.hard(LOG, FILMS, "model", **KEYS),
            "hard: `score` must be a function.",
            TypeError,
        ),
        (
            lambda: negatives.hard(LOG, FILMS, len, **KEYS),
            "hard: `score` must give finite scores of shape (2, 9).",
            ValueError,
        ),
        (
            lambda: negatives.mixed(FILMS, FILMS[:1], ratio=3),
            "mixed: `hard` must hold at least 3 rows for 9 easy ones.",
            ValueError,
        ),
        (
            lambda: negatives.mixed(FILMS, LOG),
            'mixed: `hard` must have the columns of `easy`, "i", "genre".',
            ValueError,
        ),
        (
            lambda: negatives.mixed(FILMS, FILMS, ratio=0),
            "mixed: `ratio` must be a number > 0.",
            ValueError,
        ),
    ],
)
def test_errors(call, text, kind):
    with raises(text, kind):
        call()
