import numpy as np
import pytest

from tfrec import data
from tfrec.datasets import movietweetings
from tfrec.demo import recipes


@pytest.fixture(scope="module")
def events():
    return movietweetings.events()


def test_seen_before(events):
    log = events.head(1000)
    users = log["user_id"].drop_duplicates().head(5)
    seen = recipes.seen_before(log, [*users, -99])
    for user, films in zip(users, seen[:-1], strict=True):
        assert list(films) == list(log["movie_id"][log["user_id"] == user])
    assert len(seen[-1]) == 0


@pytest.mark.slow
def test_two_tower_passes_its_floor(events, tmp_path):
    """One seed; `benchmarks/movietweetings.py` gives the mean of three."""
    train, test = data.leave_last_out(events, user="user_id", time="timestamp")
    assert len(test) == 4692
    model, spec, _ = recipes.two_tower(train, tmp_path, seed=2, verbose=0)
    films = movietweetings.movies()
    found = recipes.retrieval_metrics(model, spec, train, test, films)
    assert found["HR@10"] >= 0.180
    assert found["NDCG@10"] >= 0.100


@pytest.mark.slow
def test_ranker_passes_its_floor(events, tmp_path):
    parts = data.split_by_time(events, time="timestamp")
    model, spec, _ = recipes.ranker(*parts[:2], tmp_path, seed=2, verbose=0)
    found = recipes.ranking_metrics(model, spec, parts[2])
    assert found["AUC"] > 0.751
    assert found["log-loss"] < 0.599
    assert 0.5 < found["GAUC"] < 1
    vectors = model.predict(data.from_pandas(parts[2].head(5), spec), verbose=0)
    assert np.isfinite(vectors).all()
