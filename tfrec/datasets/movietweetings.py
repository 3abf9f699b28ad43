"""MovieTweetings 100K: ratings that people posted from a film app, 2013.

100,000 ratings (0 to 10) of 10,506 films by 16,554 people, 28 February to
1 September 2013, with titles, years and genres. It comes with tfrec.

Licence: MIT, copyright 2013 Simon Dooms; the notice stands beside the files.
Cite: Dooms, De Pessemier, Martens, MovieTweetings: a Movie Rating Dataset
Collected From Twitter, CrowdRec at RecSys 2013.
"""

from __future__ import annotations

from importlib import resources

import pandas as pd

from tfrec.datasets.past import add_past
from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
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
    return add_past(ratings(), liked=LIKED, max_length=HISTORY)


def spec(*, embedding_dim: int = 16) -> FeatureSpec:
    """The columns of `events` that a ranker reads, not adapted yet.

    Rare people and films count as unknown: two thirds of the people in the last
    tenth of the log have few earlier ratings or none.
    """
    dim = {"embedding_dim": embedding_dim}
    return FeatureSpec(
        [
            Categorical("user_id", side="user", dtype="int64", min_count=10, **dim),
            Sequence("liked_history", of="movie_id", max_length=HISTORY),
            Sequence("disliked_history", of="movie_id", max_length=HISTORY),
            Numeric("rated_before", side="user", scaling="log1p"),
            Numeric("liked_before", side="user", scaling="standard"),
            Categorical("movie_id", side="item", min_count=5, **dim),
            MultiCategorical("genres", side="item", separator="|", **dim),
            Bucketized("year", side="item", boundaries=YEARS, **dim),
        ],
        labels=["liked"],
        group="user_id",
        timestamp="timestamp",
    )


def retrieval_spec(*, embedding_dim: int = 128) -> FeatureSpec:
    """The columns of `events` that two towers read, not adapted yet.

    A person is what they rated before, so new people are no special case.
    """
    return FeatureSpec(
        [
            Sequence("history", of="movie_id", max_length=10),
            Categorical("movie_id", side="item", embedding_dim=embedding_dim),
            MultiCategorical("genres", side="item", separator="|", embedding_dim=8),
            Bucketized("year", side="item", boundaries=YEARS, embedding_dim=8),
        ],
        timestamp="timestamp",
    )


YEARS = (1930, 1950, 1960, 1970, 1975, 1980, 1985, 1990, 1993, 1996, 1999, 2001, 2003)
YEARS += tuple(range(2005, 2014))


def _file(name: str) -> str:
    folder = resources.files("tfrec.datasets") / "data" / "movietweetings_100k"
    return str(folder / f"{name}.parquet")
