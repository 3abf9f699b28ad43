import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tfrec.testing import planted


def test_users_pick_from_their_cluster_only():
    log = planted.taste_clusters(num_users=20, num_items=30, num_clusters=6, events=5)
    assert log.relevant.shape == (20, 30)
    assert (log.relevant.sum(axis=1) == 5).all()
    users = {name: place for place, name in enumerate(log.users["user_id"])}
    items = {name: place for place, name in enumerate(log.items["item_id"])}
    for row in log.frame.itertuples():
        assert log.relevant[users[row.user_id], items[row.item_id]]
    # Users of one cluster share all their items, of two clusters none.
    together = log.relevant.astype(int) @ log.relevant.T.astype(int)
    assert set(np.unique(together)) == {0, 5}


def test_histories_hold_earlier_items_only():
    log = planted.taste_clusters(num_users=8, num_items=8, num_clusters=2, events=4)
    assert log.frame["time"].is_monotonic_increasing
    seen = dict.fromkeys(log.users["user_id"], ())
    for row in log.frame.itertuples():
        assert row.history == seen[row.user_id]
        seen[row.user_id] += (row.item_id,)
    assert log.users["history"].tolist() == list(seen.values())


def test_noise_says_nothing_of_the_cluster():
    log = planted.taste_clusters(num_users=500, num_items=500, num_clusters=5, events=1)
    cluster = log.relevant.argmax(axis=1)
    city = log.users["city"].str[4:].astype(int)
    agreement = np.corrcoef(cluster, city)[0, 1]
    assert abs(agreement) < 0.15


def test_clicks_depend_on_the_pair_and_on_no_group_alone():
    log = planted.interactions(rows=20_000)
    frame = log.frame
    for group in ("user_group", "item_group"):
        rates = frame.groupby(group)["click"].mean()
        assert len(rates) == 10 and (rates - 0.5).abs().max() < 0.05
    pairs = frame.groupby(["user_group", "item_group"])["click"].mean()
    assert pairs.max() > 0.9 and pairs.min() < 0.1
    assert roc_auc_score(frame["click"], log.probability) > 0.85
    for noise in ("age", "price"):
        assert abs(roc_auc_score(frame["click"], frame[noise]) - 0.5) < 0.02


@pytest.mark.parametrize("make", [planted.taste_clusters, planted.interactions])
def test_a_seed_gives_the_same_log(make):
    one, two, other = make(seed=1), make(seed=1), make(seed=2)
    assert one.frame.equals(two.frame)
    assert not one.frame.equals(other.frame)


@pytest.mark.parametrize(
    "make, arguments, message",
    [
        ("taste_clusters", {"num_users": 0}, "`num_users` must be an int >= 1"),
        (
            "taste_clusters",
            {"num_items": 7, "num_clusters": 2},
            "taste_clusters: `num_items` must be a multiple of `num_clusters`",
        ),
        ("taste_clusters", {"num_clusters": 0}, "`num_clusters` must be an int >= 1"),
        ("taste_clusters", {"events": 0}, "`events` must be an int >= 1"),
        ("taste_clusters", {"seed": -1}, "`seed` must be an int >= 0"),
        ("interactions", {"rows": 0}, "interactions: `rows` must be an int >= 1"),
        ("interactions", {"num_groups": 1}, "`num_groups` must be an int >= 2"),
        ("interactions", {"strength": 0}, "`strength` must be a number > 0"),
        ("interactions", {"seed": "a"}, "`seed` must be an int >= 0"),
    ],
)
def test_bad_arguments(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(planted, make)(**arguments)
    with pytest.raises(TypeError, match="nonsense"):
        getattr(planted, make)(nonsense=1)
