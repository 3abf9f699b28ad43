import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.datasets.past import add_past

RATING = st.tuples(*(st.integers(0, top) for top in (2, 4, 10, 3)))


@given(st.lists(RATING, min_size=1, max_size=30), st.integers(1, 4))
def test_only_what_was_strictly_before(rows, max_length):
    names = ["user_id", "movie_id", "rating", "timestamp"]
    log = pd.DataFrame(rows, columns=names)
    past = add_past(log, liked=8, max_length=max_length)
    assert list(past.columns[:4]) == names
    assert (past["liked"] == (log["rating"] >= 8)).all()
    for row in range(len(log)):
        event = past.iloc[row]
        own = log[(log["user_id"] == event["user_id"])]
        own = own[own["timestamp"] < event["timestamp"]].sort_values(
            "timestamp", kind="stable"
        )
        likes = own["rating"] >= 8
        for name, kept in (
            ("history", own["movie_id"]),
            ("liked_history", own["movie_id"][likes]),
            ("disliked_history", own["movie_id"][~likes]),
        ):
            assert list(event[name]) == list(kept)[-max_length:]
        assert event["rated_before"] == len(own)
        share = (likes.sum() + 2) / (len(own) + 4)
        assert event["liked_before"] == pytest.approx(share, abs=1e-6)
    assert past["liked_before"].dtype == np.float32
