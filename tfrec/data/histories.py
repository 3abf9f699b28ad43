"""What a user did before: histories from strictly earlier events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tfrec import _checks


def histories(
    log: pd.DataFrame,
    *,
    user: str,
    item: str,
    time: str,
    max_length: int = 50,
    name: str = "history",
    attributes: dict[str, str] | None = None,
    where: Any = None,
    session: str | None = None,
    max_gap: float | None = None,
) -> pd.DataFrame:
    """Adds to each row the list of the user's strictly earlier items.

    An event at the very same time as the row is not in its history. Oldest first;
    the newest `max_length` are kept. Rows keep their order and index.

    Args:
        log: DataFrame, one event a row, in any order.
        user, item, time: names of its columns; time anything that sorts.
        max_length: int >= 1.
        name: name of the new column.
        attributes: {new column: column of the log}; lists aligned with the
            history, for example of its ratings.
        where: boolean array, or Series with the log's index, with one entry a
            row, or None. Only these events enter histories; every row still gets
            one.
        session: name of a column of session ids, or None. Only events of the row's
            own session enter its history.
        max_gap: number > 0, seconds, or None. Walking back from the row, a history
            ends before the first gap of `max_gap` or more between an event and the
            next; the papers' sessions have `max_gap=600`. Time must then be numbers
            of seconds or datetimes.

    Returns: the log with the new columns: NumPy arrays, one a row, which Parquet
    keeps as lists.
    Raises: `ValueError` on a missing column, a missing value in one of the
    columns, a name that the log has already, or a time without seconds.

    >>> log = pd.DataFrame({"u": [1, 1, 1], "i": ["a", "b", "c"], "t": [1, 2, 2]})
    >>> [list(items) for items in histories(log, user="u", item="i", time="t").history]
    [[], ['a'], ['a']]
    """
    owner = "histories"
    _checks.positive_int(owner, max_length=max_length)
    _checks.string(owner, name=name)
    if name in (attributes or {}):
        rule = "must not be a key of `attributes` too"
        raise _checks.argument(owner, "name", rule, name, "Rename one.")
    wanted = {name: item, **(attributes or {})}
    keys = [user] if session is None else [user, session]
    check_columns(owner, log, [*keys, time, *wanted.values()])
    for new in wanted:
        if new in log.columns:
            rule = "must not be in the log already"
            raise _checks.column(owner, new, rule, "it", "Pass another `name`.")
    enters = _enters(owner, where, log)
    groups = _groups(log, keys)
    _, times = np.unique(_sortable(log[time]), return_inverse=True)
    order = np.lexsort((times, groups))
    first, end = _ranges(groups[order], times[order])
    entered = np.concatenate([[0], np.cumsum(enters[order])])
    stop = entered[end]
    start = np.maximum(entered[first], stop - max_length)
    if max_gap is not None:
        moments, gap = _moments(owner, log[time], time, max_gap)
        moments = moments[order]
        own = _unbroken(moments, groups[order], enters[order], stop, gap)
        start = np.maximum(start, own)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    start, stop = start[back], stop[back]
    events = order[enters[order]]
    result = log.copy()
    for new, column in wanted.items():
        values = log[column].iloc[events].to_numpy()
        lists = np.empty(len(log), object)
        for row, (a, b) in enumerate(zip(start.tolist(), stop.tolist(), strict=True)):
            lists[row] = values[a:b]
        result[new] = pd.Series(lists, index=log.index, name=new, dtype=object)
    return result


def _enters(owner: str, where: Any, log: pd.DataFrame) -> np.ndarray:
    """`where` as one truth value a row."""
    if where is None:
        return np.ones(len(log), bool)
    if isinstance(where, pd.Series) and not where.index.equals(log.index):
        rule = "must have the index of the log"
        raise _checks.argument(owner, "where", rule, where, "Pass an array.")
    found = np.asarray(where)
    if found.dtype != bool or found.ndim != 1:
        rule = "must hold True and False only"
        raise _checks.argument(owner, "where", rule, where, "Fill the gaps.")
    if len(found) != len(log):
        rule = f"must have one entry for each of {len(log)} rows"
        raise _checks.argument(owner, "where", rule, len(found))
    return found


def _groups(log: pd.DataFrame, keys: list[str]) -> np.ndarray:
    """One number for each combination of the keys' values."""
    groups = np.zeros(len(log), np.int64)
    for key in keys:
        codes, values = pd.factorize(log[key])
        _, groups = np.unique(groups * len(values) + codes, return_inverse=True)
    return groups


def _ranges(groups: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For rows in order of (group, time): start of the group, start of the tie."""
    places = np.arange(len(groups))
    new_group = np.ones(len(groups), bool)
    new_group[1:] = groups[1:] != groups[:-1]
    new_time = new_group.copy()
    new_time[1:] |= times[1:] != times[:-1]
    return (
        np.maximum.accumulate(np.where(new_group, places, 0)),
        np.maximum.accumulate(np.where(new_time, places, 0)),
    )


def _sortable(times: pd.Series) -> np.ndarray:
    """Values that sort as the times do: ordered categories in their own order."""
    if isinstance(times.dtype, pd.CategoricalDtype) and times.dtype.ordered:
        return times.cat.codes.to_numpy()
    return times.to_numpy()


def _moments(
    owner: str, times: pd.Series, name: str, max_gap: Any
) -> tuple[np.ndarray, float]:
    """Times and gap in one unit, in which differences of datetimes are exact.

    Numbers are taken to be seconds already.
    """
    _checks.number(owner, above=0, max_gap=max_gap)
    kind = times.dtype
    if pd.api.types.is_datetime64_any_dtype(kind):
        stamps = pd.to_datetime(times, utc=True).to_numpy("datetime64[ns]")
        return stamps.astype(np.int64), round(max_gap * 1e9)
    if pd.api.types.is_bool_dtype(kind) or not pd.api.types.is_numeric_dtype(kind):
        rule = "must hold seconds or datetimes where `max_gap` is given"
        way_out = "Convert it with `pd.to_datetime`."
        raise _checks.column(owner, name, rule, str(kind), way_out)
    return times.to_numpy(np.float64), max_gap


def _unbroken(
    times: np.ndarray,
    groups: np.ndarray,
    enters: np.ndarray,
    stop: np.ndarray,
    max_gap: float,
) -> np.ndarray:
    """Where, among the events that enter, the chain of small gaps to a row starts."""
    moments, owners = times[enters], groups[enters]
    places = np.arange(len(moments))
    breaks = np.ones(len(moments), bool)
    breaks[1:] = (owners[1:] != owners[:-1]) | (np.diff(moments) >= max_gap)
    chain = np.maximum.accumulate(np.where(breaks, places, 0))
    newest = np.maximum(stop - 1, 0)
    if not len(moments):
        return stop
    near = (stop > 0) & (owners[newest] == groups)
    near &= times - moments[newest] < max_gap
    return np.where(near, chain[newest], stop)


def check_columns(owner: str, log: Any, names: list[str]) -> None:
    """The log is a DataFrame, has the columns once, and no gap in them."""
    if not isinstance(log, pd.DataFrame):
        rule = "must be a DataFrame"
        raise _checks.argument(owner, "log", rule, log, kind=TypeError)
    for name in names:
        if name not in log.columns:
            rule, found = "must be in the log", _checks.quoted(log.columns)
            hint = _checks.closest(name, map(str, log.columns)).strip()
            raise _checks.column(owner, name, rule, found, hint)
        if isinstance(log[name], pd.DataFrame):
            rule, found = "must stand once in the log", "it twice"
            raise _checks.column(owner, name, rule, found, "Drop one of the two.")
        if log[name].isna().any():
            row = int(np.argmax(log[name].isna().to_numpy()))
            rule = "must not be missing"
            raise _checks.column(owner, name, rule, f"null in row {row}", "Drop it.")
