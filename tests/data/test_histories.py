import datetime
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.data import from_pandas, from_parquet, histories
from tfrec.features import Categorical, FeatureSpec, Sequence


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


KEYS = {"user": "u", "item": "i", "time": "t"}


def by_hand(log, max_length, where, column, session=None, max_gap=None):
    """For each row: what its user did at strictly earlier times."""
    found = []
    for _, row in log.iterrows():
        earlier = log[(log["u"] == row["u"]) & (log["t"] < row["t"]) & where]
        if session is not None:
            earlier = earlier[earlier[session] == row[session]]
        earlier = earlier.sort_values("t", kind="stable")
        values, now = [], row["t"]
        for _, event in earlier[::-1].iterrows():
            if max_gap is not None and now - event["t"] >= max_gap:
                break
            values, now = [event[column], *values], event["t"]
        found.append(values[-max_length:])
    return found


@st.composite
def logs(draw):
    rows = draw(st.integers(0, 25))
    column = {"min_size": rows, "max_size": rows}
    return pd.DataFrame(
        {
            "u": draw(st.lists(st.sampled_from(["x", "y", "z"]), **column)),
            "i": draw(st.lists(st.integers(0, 5), **column)),
            "t": draw(st.lists(st.integers(-3, 6), **column)),
            "r": draw(st.lists(st.sampled_from([0.5, 1.0]), **column)),
            "s": draw(st.lists(st.sampled_from(["k", "l"]), **column)),
        },
        index=draw(st.lists(st.integers(0, 9), **column)),
    ).astype({"u": object, "i": "int64", "t": "int64", "r": "float64", "s": object})


@given(
    log=logs(),
    max_length=st.integers(1, 4),
    session=st.sampled_from([None, "s"]),
    max_gap=st.sampled_from([None, 1, 2.5, 3]),
    data=st.data(),
)
def test_strictly_earlier_events_only(log, max_length, session, max_gap, data):
    rows = len(log)
    mask = data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    where = data.draw(
        st.sampled_from([None, np.array(mask, bool), pd.Series(mask, log.index, bool)])
    )
    before = log.copy()
    rule = {"session": session, "max_gap": max_gap}
    found = histories(
        log,
        **KEYS,
        max_length=max_length,
        attributes={"rated": "r"},
        where=where,
        **rule,
    )
    enters = np.ones(rows, bool) if where is None else np.array(mask, bool)
    for new, column in (("history", "i"), ("rated", "r")):
        wanted = by_hand(log, max_length, enters, column, **rule)
        assert [values.tolist() for values in found[new]] == wanted
        assert all(values.dtype == log[column].dtype for values in found[new])
    assert list(found) == ["u", "i", "t", "r", "s", "history", "rated"]
    pd.testing.assert_frame_equal(found[list(log)], before)
    pd.testing.assert_frame_equal(log, before)


def test_sessions_of_datetimes():
    """Ten minutes, to the second, in every unit and time zone."""
    seconds = np.array([0, 599, 1199, 1798, 2397])
    log = pd.DataFrame({"u": 1, "i": list("abcde"), "t": seconds})
    wanted = [[], ["a"], [], ["c"], ["c", "d"]]
    for unit in ("s", "ms", "ns"):
        times = pd.Series(pd.to_datetime(seconds, unit="s")).dt.as_unit(unit)
        arrow = times.astype(f"timestamp[{unit}][pyarrow]")
        for column in (times, times.dt.tz_localize("Europe/Brussels"), arrow):
            found = histories(log.assign(t=column), **KEYS, max_gap=600)["history"]
            assert [list(items) for items in found] == wanted
    found = histories(log, **KEYS, max_gap=600)["history"]
    assert [list(items) for items in found] == wanted


@pytest.mark.parametrize(
    "times",
    [
        [2, 1, 3, 1],
        [2.5, -1.0, np.inf, -1.0],
        ["b", "a", "c", "a"],
        pd.to_datetime(["2024-01-02", "2024-01-01", "2024-01-03", "2024-01-01"]),
        pd.to_datetime(
            ["2024-01-02", "2024-01-01", "2024-01-03", "2024-01-01"]
        ).tz_localize("Europe/Brussels"),
        [datetime.date(2024, 1, day) for day in (2, 1, 3, 1)],
        pd.array([2, 1, 3, 1], "Int64"),
        pd.array([2, 1, 3, 1], "int64[pyarrow]"),
        pd.Categorical([2, 1, 3, 1], categories=[3, 2, 1]),
    ],
    ids=lambda times: str(getattr(times, "dtype", type(times[0]))),
)
def test_every_kind_of_time(times):
    log = pd.DataFrame({"u": [1] * 4, "i": ["p", "q", "r", "s"], "t": times})
    found = [list(items) for items in histories(log, **KEYS)["history"]]
    assert found == [["q", "s"], [], ["q", "s", "p"], []]


@pytest.mark.parametrize("dtype", [object, "str", "category", "string[pyarrow]"])
def test_every_kind_of_text(dtype):
    log = pd.DataFrame({"u": ["a", "b", "a"], "i": ["x", "y", "z"], "t": [1, 1, 2]})
    log = log.astype({"u": dtype, "i": dtype})
    found = [list(items) for items in histories(log, **KEYS)["history"]]
    assert found == [[], [], ["x"]]


@pytest.mark.parametrize("items", [["x", "y", "z"], [7, 8, 9]])
def test_written_and_read_back(tmp_path, items):
    log = pd.DataFrame({"u": [1, 1, 2], "i": items, "t": [1, 2, 3]})
    path = tmp_path / "log.parquet"
    frame = histories(log, **KEYS, attributes={"when": "t"})
    frame.to_parquet(path)
    again = pd.read_parquet(path)
    for name in ("history", "when"):
        assert all(isinstance(values, np.ndarray) for values in again[name])
        assert [list(v) for v in again[name]] == [list(v) for v in frame[name]]
    again.to_parquet(path)
    dtype = "string" if items[0] == "x" else "int64"
    spec = FeatureSpec(
        [Categorical("i", side="item", dtype=dtype), Sequence("history", of="i")]
    ).adapt(log, tmp_path)
    wanted = [[0], [2], [0]]
    for dataset in (from_parquet(path, spec), from_pandas(frame, spec)):
        ((columns, _),) = dataset
        assert columns["history"][:, :1].numpy().tolist() == wanted


LOG = pd.DataFrame({"u": [1, 1], "i": ["x", "y"], "t": [1, 2], "r": [1.0, None]})
TWICE = pd.DataFrame([[1, "x", 1, 2]], columns=["u", "i", "t", "t"])


@pytest.mark.parametrize(
    ("log", "options", "text", "kind"),
    [
        ([{"u": 1}], {}, "histories: `log` must be a DataFrame.", TypeError),
        (
            LOG,
            {"user": "uu"},
            'histories: column "uu" must be in the log. Received: "u", "i", "t", "r".',
            ValueError,
        ),
        (LOG, {"user": "uu"}, 'Did you mean "u"?', ValueError),
        (LOG, {"time": "when"}, 'column "when" must be in the log.', ValueError),
        (LOG, {"attributes": {"a": "b"}}, 'column "b" must be in the log.', ValueError),
        (
            LOG,
            {"item": "r"},
            'column "r" must not be missing. Received: null in row 1. Drop it.',
            ValueError,
        ),
        (LOG, {"time": "r"}, 'column "r" must not be missing.', ValueError),
        (TWICE, {}, 'column "t" must stand once in the log. Received: it', ValueError),
        (LOG, {"name": "r"}, 'column "r" must not be in the log already.', ValueError),
        (LOG, {"attributes": {"t": "i"}}, 'column "t" must not be in the', ValueError),
        (
            LOG,
            {"attributes": {"history": "u"}},
            "`name` must not be a key of `attributes` too. Received: name='history'",
            ValueError,
        ),
        (LOG, {"session": "z"}, 'column "z" must be in the log.', ValueError),
        (LOG, {"session": "r"}, 'column "r" must not be missing.', ValueError),
        (LOG, {"max_gap": 0}, "`max_gap` must be a number > 0.", ValueError),
        (LOG, {"max_gap": "1h"}, "`max_gap` must be a number > 0.", ValueError),
        (
            LOG,
            {"max_gap": 600, "time": "i"},
            'column "i" must hold seconds or datetimes where `max_gap` is given.',
            ValueError,
        ),
        (LOG, {"name": ""}, "`name` must be a non-empty string.", ValueError),
        (LOG, {"max_length": 0}, "`max_length` must be an int >= 1.", ValueError),
        (LOG, {"where": [True]}, "must have one entry for each of 2 rows.", ValueError),
        (LOG, {"where": [0, 1]}, "`where` must hold True and False only.", ValueError),
        (LOG, {"where": np.array([1.0, np.nan])}, "True and False only.", ValueError),
        (LOG, {"where": [True, None]}, "True and False only.", ValueError),
        (LOG, {"where": ["True", "False"]}, "True and False only.", ValueError),
        (LOG, {"where": np.ones((2, 1), bool)}, "True and False only.", ValueError),
        (
            LOG,
            {"where": pd.Series([True, pd.NA], dtype="boolean")},
            "`where` must hold True and False only.",
            ValueError,
        ),
        (
            LOG,
            {"where": pd.Series([True, False], index=[1, 0])},
            "`where` must have the index of the log.",
            ValueError,
        ),
    ],
)
def test_errors(log, options, text, kind):
    with raises(text, kind):
        histories(log, **{**KEYS, **options})


def test_nullable_truth_values_without_gaps():
    where = pd.Series([False, True], dtype="boolean")
    found = histories(LOG, **KEYS, where=where)["history"]
    assert [list(items) for items in found] == [[], []]


def test_shipped_data(movietweetings):
    """A second way to the same numbers, on 100,000 rows."""
    log = movietweetings.ratings
    found = histories(
        log,
        user="user_id",
        item="movie_id",
        time="timestamp",
        max_length=10_000,
        attributes={"times": "timestamp"},
    )
    lengths = found["history"].map(len)
    rank = log.groupby("user_id")["timestamp"].rank(method="min") - 1
    assert lengths.tolist() == rank.tolist()
    assert lengths.tolist() == found["times"].map(len).tolist()
    now = np.repeat(log["timestamp"].to_numpy(), lengths.to_numpy())
    times = np.concatenate(found["times"].to_list())
    assert len(times) == len(now) > 0 and (times < now).all()


def test_ordered_categories_sort_in_their_order():
    times = pd.Categorical(["2", "10"], categories=["2", "10"], ordered=True)
    log = pd.DataFrame({"u": ["a", "a"], "i": ["x", "y"], "t": times})
    found = histories(log, user="u", item="i", time="t").history
    assert [list(items) for items in found] == [[], ["x"]]


@given(start=st.integers(1_500_000_000_000, 1_800_000_000_000))
@pytest.mark.parametrize("gap", [0.002, 0.1, 0.3, 1.5, 600])
def test_a_gap_of_just_max_gap_ends_a_history(start, gap):
    for more, wanted in ((0, []), (-1, ["a"])):
        stamps = pd.to_datetime([start, start + round(gap * 1000) + more], unit="ms")
        log = pd.DataFrame({"u": [1, 1], "i": ["a", "b"], "t": stamps})
        found = histories(log, user="u", item="i", time="t", max_gap=gap).history
        assert list(found[1]) == wanted
