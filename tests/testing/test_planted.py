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


def test_picks_follow_what_a_group_likes():
    log = planted.popularity(rows=40_000, num_groups=2, num_items=6)
    wanted = np.exp(log.logits) / np.exp(log.logits).sum(axis=1, keepdims=True)
    for group in range(2):
        picked = log.frame.loc[log.frame["group"] == f"g{group}", "item_id"]
        share = picked.value_counts(normalize=True)
        found = [share.get(f"i{item}", 0.0) for item in range(6)]
        np.testing.assert_allclose(found, wanted[group], atol=0.02)


def test_two_tastes_are_two_clusters():
    log = planted.two_tastes(num_users=40, num_clusters=6, per_cluster=3, events=5)
    assert (log.relevant.sum(axis=1) == 6).all() and len(log.frame) == 200
    # Any two users share no, one or two clusters; every pair of clusters is met.
    together = log.relevant.astype(int) @ log.relevant.T.astype(int)
    assert set(np.unique(together)) == {0, 3, 6}
    items = {name: place for place, name in enumerate(log.items["item_id"])}
    rows = [*log.frame.itertuples(), *log.users.itertuples()]
    for row, user in zip(rows, [*np.repeat(range(40), 5), *range(40)], strict=True):
        picked = [*row.history, getattr(row, "item_id", row.history[0])]
        assert len(row.history) == 12
        assert log.relevant[user, [items[item] for item in picked]].all()


def test_clicks_repeat_the_history():
    frame = planted.repeats(rows=500).frame
    held = [item in history for history, item in frame[["history", "item_id"]].values]
    assert (frame["click"] == held).all() and frame["click"].mean() == 0.5
    assert {len(set(history)) for history in frame["history"]} == set(range(1, 7))
    assert all(len(set(history)) == len(history) for history in frame["history"])
    # Neither the candidate nor the length alone says much.
    assert frame.groupby("item_id")["click"].mean().between(0.2, 0.8).all()


def test_three_groups_matter_together_and_no_two_of_them():
    log = planted.three_way(rows=20_000)
    names = ["user_group", "city_group", "item_group"]
    for left, right in ((0, 1), (0, 2), (1, 2)):
        rates = log.frame.groupby([names[left], names[right]])["click"].mean()
        assert len(rates) == 16 and (rates - 0.5).abs().max() < 0.07
    rates = log.frame.groupby(names)["click"].mean()
    assert len(rates) == 64 and ((rates < 0.1) | (rates > 0.9)).all()
    assert roc_auc_score(log.frame["click"], log.probability) > 0.95


def test_clicks_depend_on_signals_and_not_on_noise():
    frame, probability = planted.noisy_fields(rows=20_000, num_signal=2, num_noise=2)
    assert list(frame.columns) == [
        "signal_0",
        "signal_1",
        "noise_0",
        "noise_1",
        "click",
    ]
    for name in frame.columns[:-1]:
        rates = frame.groupby(name)["click"].mean()
        spread = rates.max() - rates.min()
        assert len(rates) == 8
        assert (spread > 0.5) if name.startswith("signal") else (spread < 0.07)
    assert roc_auc_score(frame["click"], probability) > 0.9


@pytest.mark.parametrize(
    "make",
    [
        planted.popularity,
        planted.taste_clusters,
        planted.interactions,
        planted.noisy_fields,
        planted.two_tastes,
        planted.repeats,
        planted.three_way,
    ],
)
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
        ("popularity", {"rows": 0}, "popularity: `rows` must be an int >= 1"),
        ("popularity", {"num_items": 1}, "`num_items` must be an int >= 2"),
        ("popularity", {"spread": -1}, "`spread` must be a number >= 0"),
        ("popularity", {"seed": "a"}, "`seed` must be an int >= 0"),
        ("two_tastes", {"num_clusters": 1}, "two_tastes: `num_clusters` must be an in"),
        ("two_tastes", {"per_cluster": 0}, "two_tastes: `per_cluster` must be an int"),
        ("repeats", {"rows": 0}, "repeats: `rows` must be an int >= 1"),
        ("repeats", {"num_items": 6}, "repeats: `num_items` must be an int >= 7"),
        ("interactions", {"rows": 0}, "interactions: `rows` must be an int >= 1"),
        ("interactions", {"num_groups": 1}, "`num_groups` must be an int >= 2"),
        ("interactions", {"strength": 0}, "`strength` must be a number > 0"),
        ("interactions", {"seed": "a"}, "`seed` must be an int >= 0"),
        ("three_way", {"rows": 0}, "three_way: `rows` must be an int >= 1"),
        ("three_way", {"num_groups": 3}, "`num_groups` must be an even int >= 2"),
        ("three_way", {"strength": 0}, "`strength` must be a number > 0"),
        ("three_way", {"seed": -1}, "`seed` must be an int >= 0"),
        (
            "noisy_fields",
            {"num_signal": 0},
            "noisy_fields: `num_signal` must be an int",
        ),
        ("noisy_fields", {"num_noise": -1}, "`num_noise` must be an int >= 0"),
        ("noisy_fields", {"num_groups": 1}, "`num_groups` must be an int >= 2"),
    ],
)
def test_bad_arguments(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(planted, make)(**arguments)
    with pytest.raises(TypeError, match="nonsense"):
        getattr(planted, make)(nonsense=1)
