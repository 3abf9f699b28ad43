import numpy as np
import pytest

from tfrec.datasets import movietweetings
from tfrec.features import FeatureSpec


@pytest.fixture(scope="module")
def events():
    return movietweetings.events()


def test_what_the_page_says(events):
    assert len(events) == 100_000
    assert events["user_id"].nunique() == 16_554
    assert events["movie_id"].nunique() == len(movietweetings.movies()) == 10_506
    assert events["timestamp"].is_monotonic_increasing
    assert events["rating"].between(0, 10).all()


def test_what_was_before_is_strictly_earlier(events):
    random = np.random.default_rng(0)
    for row in random.choice(len(events), 200, replace=False):
        event = events.iloc[row]
        own = events[
            (events["user_id"] == event["user_id"])
            & (events["timestamp"] < event["timestamp"])
        ]
        liked = own["rating"] >= 8
        assert list(event["history"]) == list(own["movie_id"])[-20:]
        assert list(event["liked_history"]) == list(own["movie_id"][liked])[-20:]
        assert list(event["disliked_history"]) == list(own["movie_id"][~liked])[-20:]
        assert event["rated_before"] == len(own)
        share = (liked.sum() + 2) / (len(own) + 4)
        assert event["liked_before"] == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("make", ["spec", "retrieval_spec"])
def test_specs_fit_the_events(events, make, tmp_path):
    spec = getattr(movietweetings, make)()
    assert FeatureSpec.from_json(spec.to_json()) == spec
    assert set(spec.names) <= set(events.columns)
    spec.adapt(events.head(5000), tmp_path).check_adapted()


def test_feature_columns_module():
    from feature_columns.movietweetings import SPEC

    assert SPEC == movietweetings.spec()
