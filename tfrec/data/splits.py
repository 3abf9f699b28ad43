"""Splits of a log that do not look into the future."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tfrec import _checks
from tfrec.data.histories import check_columns


def split_by_time(
    log: pd.DataFrame, *, time: str, shares: tuple[float, ...] = (0.8, 0.1, 0.1)
) -> tuple[pd.DataFrame, ...]:
    """Cuts the log, in order of time, into consecutive parts.

    Events of equal time keep their order in the log; a cut may fall between them.

    Args:
        log: DataFrame.
        time: name of its time column.
        shares: numbers > 0 that add up to 1.

    Returns: one DataFrame a share, oldest first.
    Raises: `ValueError` on a missing column or bad shares.

    >>> log = pd.DataFrame({"t": [3, 1, 2, 4]})
    >>> [list(part["t"]) for part in split_by_time(log, time="t", shares=(0.5, 0.5))]
    [[1, 2], [3, 4]]
    """
    owner = "split_by_time"
    check_columns(owner, log, [time])
    _check_shares(owner, shares)
    ordered = log.sort_values(time, kind="stable")
    cuts = np.round(np.cumsum(shares) * len(log)).astype(int)
    starts = [0, *cuts[:-1]]
    return tuple(ordered.iloc[a:b] for a, b in zip(starts, cuts, strict=True))


def leave_last_out(
    log: pd.DataFrame, *, user: str, time: str, min_events: int = 5
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each user's last event is the test, everything else the training log.

    Users with fewer than `min_events` events train only. Of several events at a
    user's last time, the last in the log is the test.

    Args:
        log: DataFrame.
        user, time: names of its columns.
        min_events: int >= 2.

    Returns: (training log, test log), in order of time.
    Raises: `ValueError` on a missing column or argument.

    >>> log = pd.DataFrame({"u": [1, 1, 2], "t": [2, 1, 1]})
    >>> train, test = leave_last_out(log, user="u", time="t", min_events=2)
    >>> len(train), list(test["t"])
    (2, [2])
    """
    owner = "leave_last_out"
    check_columns(owner, log, [user, time])
    _checks.integer(owner, 2, min_events=min_events)
    ordered = log.sort_values(time, kind="stable")
    groups = ordered.groupby(user, sort=False)
    from_end = groups.cumcount(ascending=False)
    size = groups[user].transform("size")
    is_test = (from_end == 0) & (size >= min_events)
    return ordered[~is_test], ordered[is_test]


def split_by_user(
    log: pd.DataFrame,
    *,
    user: str,
    shares: tuple[float, ...] = (0.8, 0.1, 0.1),
    seed: int = 0,
) -> tuple[pd.DataFrame, ...]:
    """Cuts the users, in random order, into parts; all rows of a user stay together.

    Which part a user is in depends on the set of users and the seed, not on the
    order of the log.

    Args:
        log: DataFrame.
        user: name of its user column, of one type.
        shares: numbers > 0 that add up to 1; shares of users.
        seed: int >= 0.

    Returns: one DataFrame a share; rows keep their order and index.
    Raises: `ValueError` on a missing column or a bad argument.

    >>> log = pd.DataFrame({"u": [1, 2, 1, 2]})
    >>> [set(part["u"]) for part in split_by_user(log, user="u", shares=(0.5, 0.5))]
    [{1}, {2}]
    """
    owner = "split_by_user"
    check_columns(owner, log, [user])
    _check_shares(owner, shares)
    _checks.integer(owner, 0, seed=seed)
    codes, users = pd.factorize(log[user], sort=True)
    place = np.random.default_rng(seed).permutation(len(users))[codes]
    cuts = np.round(np.cumsum(shares) * len(users)).astype(int)
    starts = [0, *cuts[:-1]]
    return tuple(
        log[(place >= a) & (place < b)] for a, b in zip(starts, cuts, strict=True)
    )


def _check_shares(owner: str, shares: Any) -> None:
    good = isinstance(shares, (list, tuple))
    good = good and all(_checks.is_number(share) and share > 0 for share in shares)
    if not good or abs(sum(shares) - 1) > 1e-9:
        raise _checks.argument(owner, "shares", "must be > 0 and add up to 1", shares)
