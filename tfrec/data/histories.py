"""What a user did before: histories from strictly earlier events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

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

    Returns: the log with the new columns (Arrow lists, a Python list each row).
    Written to Parquet, `from_parquet` reads them as they are, `pandas.read_parquet`
    with `dtype_backend="pyarrow"` only (pandas-dev/pandas#57411).
    Raises: `ValueError` on a missing column, a missing value in one of the
    columns, or a name that the log has already.

    >>> log = pd.DataFrame({"u": [1, 1, 1], "i": ["a", "b", "c"], "t": [1, 2, 2]})
    >>> list(histories(log, user="u", item="i", time="t")["history"])
    [[], ['a'], ['a']]
    """
    owner = "histories"
    _checks.positive_int(owner, max_length=max_length)
    _checks.string(owner, name=name)
    if name in (attributes or {}):
        rule = "must not be a key of `attributes` too"
        raise _checks.argument(owner, "name", rule, name, "Rename one.")
    wanted = {name: item, **(attributes or {})}
    check_columns(owner, log, [user, time, *wanted.values()])
    for new in wanted:
        if new in log.columns:
            rule = "must not be in the log already"
            raise _checks.column(owner, new, rule, "it", "Pass another `name`.")
    enters = _enters(owner, where, log)
    users, _ = pd.factorize(log[user])
    _, times = np.unique(log[time].to_numpy(), return_inverse=True)
    order = np.lexsort((times, users))
    first, end = _ranges(users[order], times[order])
    entered = np.concatenate([[0], np.cumsum(enters[order])])
    stop = entered[end]
    start = np.maximum(entered[first], stop - max_length)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    start, stop = start[back], stop[back]
    lengths = stop - start
    ends = np.cumsum(lengths)
    taken = np.arange(lengths.sum()) + np.repeat(start - (ends - lengths), lengths)
    offsets = pa.array(np.concatenate([[0], ends]).astype(np.int64))
    events = order[enters[order]]
    result = log.copy()
    for new, column in wanted.items():
        values = pa.Array.from_pandas(log[column].iloc[events[taken]])
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        lists = pa.LargeListArray.from_arrays(offsets, values)
        result[new] = pd.Series(
            pd.arrays.ArrowExtensionArray(lists), index=log.index, name=new
        )
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


def _ranges(users: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For rows in order of (user, time): start of the user, start of the tie."""
    places = np.arange(len(users))
    new_user = np.ones(len(users), bool)
    new_user[1:] = users[1:] != users[:-1]
    new_time = new_user.copy()
    new_time[1:] |= times[1:] != times[:-1]
    return (
        np.maximum.accumulate(np.where(new_user, places, 0)),
        np.maximum.accumulate(np.where(new_time, places, 0)),
    )


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
