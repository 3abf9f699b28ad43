import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.data import leave_last_out, split_by_time, split_by_user


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


@st.composite
def logs(draw):
    rows = draw(st.integers(0, 30))
    column = {"min_size": rows, "max_size": rows}
    return pd.DataFrame(
        {
            "u": draw(st.lists(st.sampled_from("xyz"), **column)),
            "t": draw(st.lists(st.integers(0, 9), **column)),
            "row": range(rows),
        },
        index=draw(st.lists(st.integers(0, 9), **column)),
    ).astype({"u": object, "t": "int64"})


SHARES = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(
    lambda parts: tuple(part / sum(parts) for part in parts)
)


@given(log=logs(), shares=SHARES)
def test_split_by_time(log, shares):
    """No row is lost or there twice, and no part looks into a later one."""
    before = log.copy()
    parts = split_by_time(log, time="t", shares=shares)
    assert len(parts) == len(shares)
    whole = pd.concat(parts)
    assert sorted(whole["row"]) == list(range(len(log)))
    assert whole["t"].is_monotonic_increasing
    pd.testing.assert_frame_equal(whole.sort_values("row"), log)
    ends = np.cumsum([len(part) for part in parts])
    assert (np.abs(ends - np.cumsum(shares) * len(log)) <= 0.5 + 1e-6).all()
    pd.testing.assert_frame_equal(log, before)


@given(log=logs(), min_events=st.integers(2, 4))
def test_leave_last_out(log, min_events):
    before = log.copy()
    train, test = leave_last_out(log, user="u", time="t", min_events=min_events)
    assert sorted([*train["row"], *test["row"]]) == list(range(len(log)))
    assert train["t"].is_monotonic_increasing and test["t"].is_monotonic_increasing
    sizes = log["u"].value_counts()
    assert sorted(test["u"]) == sorted(sizes[sizes >= min_events].index)
    for _, last in test.iterrows():
        own = train[train["u"] == last["u"]]
        assert (own["t"] <= last["t"]).all()
        assert (own[own["t"] == last["t"]]["row"] < last["row"]).all()
    pd.testing.assert_frame_equal(log, before)


@given(log=logs(), shares=SHARES, seed=st.integers(0, 5))
def test_split_by_user(log, shares, seed):
    """No row is lost, no user is in two parts, and the log's order does not count."""
    before = log.copy()
    parts = split_by_user(log, user="u", shares=shares, seed=seed)
    assert len(parts) == len(shares)
    pd.testing.assert_frame_equal(pd.concat(parts).sort_values("row"), log)
    users = [set(part["u"]) for part in parts]
    assert sum(map(len, users)) == log["u"].nunique()
    ends = np.cumsum([len(part) for part in users])
    assert (np.abs(ends - np.cumsum(shares) * log["u"].nunique()) <= 0.5 + 1e-6).all()
    for part in parts:
        assert part["row"].is_monotonic_increasing
    turned = split_by_user(log[::-1], user="u", shares=shares, seed=seed)
    assert [set(part["u"]) for part in turned] == users
    pd.testing.assert_frame_equal(log, before)


def test_users_are_split_by_the_seed():
    log = pd.DataFrame({"u": range(100)})
    found = [tuple(split_by_user(log, user="u", seed=n)[2]["u"]) for n in range(3)]
    assert len(set(found)) == 3 and all(len(users) == 10 for users in found)
    for options, text in (
        ({"user": "x"}, 'split_by_user: column "x" must be in the log.'),
        ({"shares": (0.5,)}, "split_by_user: `shares` must be > 0 and add up to 1."),
        ({"seed": -1}, "split_by_user: `seed` must be an int >= 0."),
    ):
        with raises(text):
            split_by_user(log, **{"user": "u", **options})


@pytest.mark.parametrize("dtype", ["category", "str", "string[pyarrow]"])
def test_every_kind_of_user(dtype):
    log = pd.DataFrame({"u": ["a", "b", "a"], "t": [2, 1, 1]}).astype({"u": dtype})
    if dtype == "category":
        log["u"] = log["u"].cat.add_categories("never seen")
    train, test = leave_last_out(log, user="u", time="t", min_events=2)
    assert test["u"].tolist() == ["a"] and test["t"].tolist() == [2]
    assert train["t"].tolist() == [1, 1]


def test_shipped_data(movietweetings):
    log = movietweetings.ratings
    train, valid, test = split_by_time(log, time="timestamp")
    assert [len(train), len(valid), len(test)] == [80_000, 10_000, 10_000]
    assert train["timestamp"].max() <= valid["timestamp"].min()
    assert valid["timestamp"].max() <= test["timestamp"].min()
    train, test = leave_last_out(log, user="user_id", time="timestamp")
    assert test["user_id"].is_unique and len(train) + len(test) == 100_000
    assert (log["user_id"].value_counts() >= 5).sum() == len(test)


LOG = pd.DataFrame({"u": [1, 2], "t": [1.0, None]})


@pytest.mark.parametrize(
    ("log", "options", "text", "kind"),
    [
        ({"t": [1]}, {}, "split_by_time: `log` must be a DataFrame.", TypeError),
        (LOG, {"time": "x"}, 'column "x" must be in the log. Rec', ValueError),
        (LOG, {}, 'column "t" must not be missing. Received: null in row', ValueError),
        (LOG, {"shares": (0.5, 0.6)}, "`shares` must be > 0 and add up", ValueError),
        (LOG, {"shares": (1.5, -0.5)}, "Received: shares=(1.5, -0.5) (t", ValueError),
        (LOG, {"shares": ()}, "`shares` must be > 0 and add up to 1.", ValueError),
        (LOG, {"shares": 0.8}, "Received: shares=0.8 (float).", ValueError),
        (LOG, {"shares": ("a",)}, "`shares` must be > 0 and add up to", ValueError),
        (LOG, {"shares": (np.nan, 1)}, "`shares` must be > 0 and add up", ValueError),
    ],
)
def test_errors_of_split_by_time(log, options, text, kind):
    if "shares" in options:
        log = log.fillna(0)
    with raises(text, kind):
        split_by_time(log, **{"time": "t", **options})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"user": "x"}, 'leave_last_out: column "x" must be in the log.'),
        ({"user": "t"}, 'column "t" must not be missing.'),
        ({"min_events": 1}, "`min_events` must be an int >= 2."),
        ({"min_events": 2.0}, "Received: min_events=2.0 (float)."),
    ],
)
def test_errors_of_leave_last_out(options, text):
    log = LOG if "user" in options else LOG.fillna(0)
    with raises(text):
        leave_last_out(log, **{"user": "u", "time": "t", **options})
