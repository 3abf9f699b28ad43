"""What tests of every part may use: a small log, the shipped data, quiet tools."""

import os
import types
from importlib import resources

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

import hypothesis
import numpy as np
import pandas as pd
import pytest

hypothesis.settings.register_profile(
    "tfrec",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("tfrec")

GENRES = ("crime", "drama", "comedy", "sci-fi")


@pytest.fixture
def log():
    """300 ratings of 25 films by 40 people, in order of time; a fresh copy.

    `user` int64, `movie` str, `genres` separated strings, some empty, `year` Int16
    and `price` float64 with gaps, `rating` 1 to 10, `liked` bool, `time` with ties.
    """
    random = np.random.default_rng(5)
    rows, movies = 300, 25
    of_movie = [
        "|".join(sorted(random.choice(GENRES, size, replace=False)))
        for size in random.integers(0, 4, movies)
    ]
    movie = random.zipf(1.5, rows) % movies
    year = pd.array(1990 + movie % 20, "Int16")
    year[movie == 3] = pd.NA
    price = np.round(random.lognormal(1, 1, rows), 2)
    rating = random.integers(1, 11, rows)
    return pd.DataFrame(
        {
            "user": random.integers(0, 40, rows),
            "movie": [f"m{number}" for number in movie],
            "genres": [of_movie[number] for number in movie],
            "year": year,
            "price": np.where(price > 6, np.nan, price),
            "rating": rating,
            "liked": rating >= 8,
            "time": np.sort(random.integers(0, 200, rows)),
        }
    )


@pytest.fixture(scope="session")
def movietweetings():
    """The shipped data: `ratings` and `movies`, as they stand in their files."""
    folder = resources.files("tfrec.datasets") / "data" / "movietweetings_100k"
    return types.SimpleNamespace(
        ratings=pd.read_parquet(str(folder / "ratings.parquet")),
        movies=pd.read_parquet(str(folder / "movies.parquet")),
    )
