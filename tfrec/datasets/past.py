"""What the users of a rating log had liked before each rating."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec.data.histories import histories


def add_past(log: pd.DataFrame, *, liked: float, max_length: int) -> pd.DataFrame:
    """Adds to each rating `liked` and what its user had done strictly before.

    `liked` is 1 for a rating of at least `liked`. `history` holds the newest
    `max_length` earlier films, `liked_history` and `disliked_history` those that
    were liked and those that were not; `rated_before` is the number of all earlier
    ratings and `liked_before` the share of liked ones among them, (likes + 2) /
    (ratings + 4).

    Args:
        log: DataFrame with `user_id`, `movie_id`, `rating`, `timestamp`.
        liked: the lowest rating that counts as liked.
        max_length: int >= 1.

    Returns: the log with the new columns.

    >>> log = pd.DataFrame({"user_id": [1, 1], "movie_id": ["a", "b"],
    ...                     "rating": [9, 3], "timestamp": [10, 20]})
    >>> log = add_past(log, liked=8, max_length=5)
    >>> [list(films) for films in log["liked_history"]], log["liked_before"].tolist()
    ([[], ['a']], [0.5, 0.6000000238418579])
    """
    log = log.assign(liked=(log["rating"] >= liked).astype("float32"))
    keys = {"user": "user_id", "item": "movie_id", "time": "timestamp"}
    log = histories(log, **keys, max_length=max_length)
    for name, wanted in (("liked_history", 1), ("disliked_history", 0)):
        log = histories(
            log, **keys, max_length=max_length, name=name, where=log["liked"] == wanted
        )
    by_time = log.groupby(["user_id", "timestamp"])["liked"].agg(["size", "sum"])
    before = by_time.groupby("user_id").cumsum() - by_time
    before = before.reindex(pd.MultiIndex.from_frame(log[["user_id", "timestamp"]]))
    log["rated_before"] = before["size"].to_numpy(np.float32)
    log["liked_before"] = (
        (before["sum"].to_numpy() + 2) / (before["size"].to_numpy() + 4)
    ).astype(np.float32)
    return log
