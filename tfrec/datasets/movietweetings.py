"""MovieTweetings 100K: ratings that people posted from a film app, 2013.

100,000 ratings (0 to 10) of 10,506 films by 16,554 people, 28 February to
1 September 2013, with titles, years and genres. It comes with tfrec.

Licence: MIT, copyright 2013 Simon Dooms; the notice stands beside the files.
Cite: Dooms, De Pessemier, Martens, MovieTweetings: a Movie Rating Dataset
Collected From Twitter, CrowdRec at RecSys 2013.
"""

from __future__ import annotations

from importlib import resources

import numpy as np
import pandas as pd

from tfrec.data.histories import histories
from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Sequence,
)

LIKED = 8
HISTORY = 20


def ratings() -> pd.DataFrame:
    """One rating a row, in order of time.

    Columns: `user_id` int64, `movie_id` str, `rating` 0 to 10, `timestamp` seconds
    UTC, `title`, `year`, `genres` (`"Crime|Drama"`, may be empty).
    """
    log = pd.read_parquet(_file("ratings")).merge(movies(), on="movie_id", how="left")
    return log.astype({"user_id": "int64"}).sort_values(
        "timestamp", kind="stable", ignore_index=True
    )


def movies() -> pd.DataFrame:
    """One film a row: `movie_id`, `title`, `year`, `genres`."""
    return pd.read_parquet(_file("movies"))


def events() -> pd.DataFrame:
    """The ratings, each with what its user had done before, and `liked`.

    `liked` is 1 for a rating of 8 or more. `history` holds the user's strictly
    earlier films, `liked_history` and `disliked_history` those that were liked
    and those that were not; `rated_before` is the number of earlier ratings and
    `liked_before` the share of liked ones among them, (likes + 2) / (ratings + 4).
    """
    log = ratings()
    log["liked"] = (log["rating"] >= LIKED).astype("float32")
    keys = {"user": "user_id", "item": "movie_id", "time": "timestamp"}
    log = histories(log, **keys, max_length=HISTORY)
    for name, wanted in (("liked_history", 1), ("disliked_history", 0)):
        log = histories(
            log, **keys, max_length=HISTORY, name=name, where=log["liked"] == wanted
        )
    by_time = log.groupby(["user_id", "timestamp"])["liked"].agg(["size", "sum"])
    before = by_time.groupby("user_id").cumsum() - by_time
    before = before.reindex(pd.MultiIndex.from_frame(log[["user_id", "timestamp"]]))
    log["rated_before"] = before["size"].to_numpy(np.float32)
    log["liked_before"] = (
        (before["sum"].to_numpy() + 2) / (before["size"].to_numpy() + 4)
    ).astype(np.float32)
    return log


def spec() -> FeatureSpec:
    """The columns of `events`, not adapted yet."""
    return FeatureSpec(
        [
            Categorical("user_id", side="user", dtype="int64"),
            Sequence("history", of="movie_id", max_length=HISTORY),
            Sequence("liked_history", of="movie_id", max_length=HISTORY),
            Sequence("disliked_history", of="movie_id", max_length=HISTORY),
            Bucketized(
                "rated_before", side="user", boundaries=(1, 2, 3, 5, 9, 17, 33, 65)
            ),
            Bucketized(
                "liked_before",
                side="user",
                boundaries=(0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
            ),
            Categorical("movie_id", side="item"),
            MultiCategorical("genres", side="item", separator="|"),
            Bucketized("year", side="item", boundaries=YEARS),
        ],
        labels=["liked"],
        group="user_id",
        timestamp="timestamp",
    )


YEARS = (1950, 1970, 1980, 1990, 1995, 2000, 2004, 2007, 2009, 2010, 2011, 2012, 2013)


def _file(name: str) -> str:
    folder = resources.files("tfrec.datasets") / "data" / "movietweetings_100k"
    return str(folder / f"{name}.parquet")
