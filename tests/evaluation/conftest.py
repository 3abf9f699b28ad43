"""Data the floors need: the packaged copy, else a folder beside the checkout."""

import pathlib

import numpy as np
import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
HOMES = (
    CHECKOUT / "tfrec" / "datasets" / "data" / "movietweetings_100k",
    CHECKOUT.parent / "shared" / "data" / "movietweetings_100k",
)


@pytest.fixture(scope="session")
def movietweetings():
    """Leave-last-out over users with 5 ratings: log, histories, targets."""
    home = next((path for path in HOMES if (path / "ratings.parquet").exists()), None)
    if home is None:
        pytest.skip("movietweetings_100k is neither packaged nor beside the checkout")
    pandas = pytest.importorskip("pandas")
    log = pandas.read_parquet(home / "ratings.parquet")
    log = log[log.groupby("user_id").movie_id.transform("size") >= 5]
    log = log.sort_values(["user_id", "timestamp"], kind="stable")
    last = ~log.duplicated("user_id", keep="last")
    train, targets = log[~last], log[last].movie_id.to_numpy().astype(str)
    users = train.user_id.to_numpy()
    starts = np.flatnonzero(users[1:] != users[:-1]) + 1
    histories = np.split(train.movie_id.to_numpy().astype(str), starts)
    return train, histories, targets
