"""MovieLens ml-latest-small: ratings of films from movielens.org, 1995 on.

About 100,000 ratings (0.5 to 5.0) of 9,000 films by 600 people, each with 20
ratings or more. GroupLens renews the set now and then: the edition of October 2016
has 100,004 ratings by 671 people, that of September 2018 has 100,836 by 610.

Licence: GroupLens's own. Research only; commercial or revenue-bearing use needs
their permission first; copies go on under the same terms, with its README. It does
not come with tfrec.
Cite: Harper, Konstan, The MovieLens Datasets: History and Context, ACM Transactions
on Interactive Intelligent Systems 5, 4, Article 19, 2015.

Files: `ratings` and `movies` as .parquet (`user_id`, `movie_id`, ...), as GroupLens's
.csv (`userId`, `movieId`, ...), or its zip. The download is the edition of 2018; its
SHA-256 is the one that TensorFlow Datasets lists for that address.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pandas as pd

from tfrec import _checks
from tfrec.datasets import fetch
from tfrec.datasets.past import add_past
from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    Sequence,
)

LIKED = 4
HISTORY = 20
YEARS = (1940, 1960, 1970, 1975, 1980, 1985, *range(1988, 2018, 2))

FOLDER = "movielens_latest_small"
ZIP = "ml-latest-small.zip"
REMOTE = fetch.Remote(
    "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip",
    ZIP,
    sha256="696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
)
LAYOUTS = (
    {"ratings": "ratings.parquet", "movies": "movies.parquet"},
    {"ratings": "ratings.csv", "movies": "movies.csv"},
    {"ratings": "ml-latest-small/ratings.csv", "movies": "ml-latest-small/movies.csv"},
    {"ratings": ZIP, "movies": ZIP},
)
CSV = {"keep_default_na": False, "na_values": [""]}  # a film may be called "NA"
BY_HAND = (
    f"download {REMOTE.url} (non-commercial use only) and pass the path of the zip, or "
    "of the folder that it unpacks to, as `source`; or put it into the folder "
    f"{FOLDER} below TFREC_DATA."
)


def ratings(source: fetch.Source = None) -> pd.DataFrame:
    """One rating a row, in order of time; ties by user, then by film.

    Columns: `user_id`, `movie_id` int64, `rating` float32 0.5 to 5, `timestamp`
    seconds UTC, and those of `movies`.

    Args:
        source: folder or zip, or None: `tfrec.datasets` says where it is looked for.

    Raises: `FileNotFoundError`, `ValueError`: as `tfrec.datasets` says.
    """
    columns = {
        "user_id": "int64",
        "movie_id": "int64",
        "rating": "float32",
        "timestamp": "int64",
    }
    log = _table("ratings", columns, source)
    films = movies(source).drop_duplicates("movie_id")
    unknown = ~log["movie_id"].isin(films["movie_id"])
    if unknown.any():
        rule, found = "must be among the films", f"{log['movie_id'][unknown].iloc[0]}"
        way_out = "The file of films is cut off or of another edition: get both again."
        raise _checks.column("movielens", "movie_id", rule, found, way_out)
    log = log.merge(films, on="movie_id", how="left")
    order = ["timestamp", "user_id", "movie_id"]
    return log.sort_values(order, ignore_index=True)


def movies(source: fetch.Source = None) -> pd.DataFrame:
    """One film a row: `movie_id`, `title`, `year`, `genres`.

    `year` (Int16) is the one that ends the title, missing where none does; `genres`
    is `"Crime|Drama"`, empty where none is listed.

    Args: as in `ratings`.
    """
    columns = {"movie_id": "int64", "title": None, "genres": None}
    films = _table("movies", columns, source)
    year = films["title"].str.extract(r"\((\d{4})[^()]*\)\s*$", expand=False)
    films.insert(2, "year", pd.to_numeric(year).astype("Int16"))
    films["genres"] = films["genres"].replace("(no genres listed)", "")
    return films


def events(source: fetch.Source = None) -> pd.DataFrame:
    """The ratings, each with what its user had done before, and `liked`.

    `liked` is 1 for a rating of 4 or more; `history`, `liked_history`,
    `disliked_history`, `rated_before` and `liked_before` tell of the user's
    strictly earlier ratings, as in `tfrec.datasets.past.add_past`.

    Args: as in `ratings`.
    """
    return add_past(ratings(source), liked=LIKED, max_length=HISTORY)


def spec(*, embedding_dim: int = 16) -> FeatureSpec:
    """The columns of `events` that a ranker reads, not adapted yet.

    Films with fewer than five ratings count as unknown.
    """
    dim = {"embedding_dim": embedding_dim}
    return FeatureSpec(
        [
            Categorical("user_id", side="user", dtype="int64", min_count=5, **dim),
            Sequence("liked_history", of="movie_id", max_length=HISTORY),
            Sequence("disliked_history", of="movie_id", max_length=HISTORY),
            Numeric("rated_before", side="user", scaling="log1p"),
            Numeric("liked_before", side="user", scaling="standard"),
            Categorical("movie_id", side="item", dtype="int64", min_count=5, **dim),
            MultiCategorical("genres", side="item", separator="|", **dim),
            Bucketized("year", side="item", boundaries=YEARS, **dim),
        ],
        labels=["liked"],
        group="user_id",
        timestamp="timestamp",
    )


def retrieval_spec(*, embedding_dim: int = 64) -> FeatureSpec:
    """The columns of `events` that two towers read, not adapted yet.

    A person is what they rated before, so new people are no special case.
    """
    return FeatureSpec(
        [
            Sequence("history", of="movie_id", max_length=10),
            Categorical(
                "movie_id", side="item", dtype="int64", embedding_dim=embedding_dim
            ),
            MultiCategorical("genres", side="item", separator="|", embedding_dim=8),
            Bucketized("year", side="item", boundaries=YEARS, embedding_dim=8),
        ],
        timestamp="timestamp",
    )


def _table(
    table: str, columns: dict[str, str | None], source: fetch.Source
) -> pd.DataFrame:
    """The columns of one table, in their types (None: text)."""
    file = fetch.find(
        "movielens", LAYOUTS, source, folder=FOLDER, remote=REMOTE, by_hand=BY_HAND
    )[table]
    with fetch.reading("movielens", file):
        frame = _read(file, table)
    frame = frame.rename(columns={"userId": "user_id", "movieId": "movie_id"})
    fetch.check_columns("movielens", frame, columns, file)
    with fetch.reading("movielens", file):
        types = {name: kind for name, kind in columns.items() if kind}
        return frame[list(columns)].astype(types)


def _read(file: Path, table: str) -> pd.DataFrame:
    if file.suffix == ".parquet":
        return pd.read_parquet(file)
    if file.suffix == ".csv":
        return pd.read_csv(file, **CSV)
    with zipfile.ZipFile(file) as archive:
        with archive.open(f"ml-latest-small/{table}.csv") as stream:
            return pd.read_csv(stream, **CSV)
