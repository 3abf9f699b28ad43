"""The log that the floors are checked on: the copy that ships with tfrec."""

import pathlib

import numpy as np
import pandas as pd
import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
HOME = CHECKOUT / "tfrec" / "datasets" / "data" / "movietweetings_100k"


@pytest.fixture(scope="session")
def movietweetings():
    """Leave-last-out over users with 5 ratings: log, histories, targets."""
    log = pd.read_parquet(HOME / "ratings.parquet")
    log = log[log.groupby("user_id").movie_id.transform("size") >= 5]
    log = log.sort_values(["user_id", "timestamp"], kind="stable")
    last = ~log.duplicated("user_id", keep="last")
    train, targets = log[~last], log[last].movie_id.to_numpy().astype(str)
    users = train.user_id.to_numpy()
    starts = np.flatnonzero(users[1:] != users[:-1]) + 1
    histories = np.split(train.movie_id.to_numpy().astype(str), starts)
    return train, histories, targets
