import numpy as np
import pandas as pd
import pytest

from tfrec import data
from tfrec.datasets import open_bandit
from tfrec.features import FeatureSpec

ITEMS = 3


def official(folder, campaign="men"):
    """Twelve impressions for each policy, in the layout that obp and ZOZO use."""
    random = np.random.default_rng(4)
    for start, policy in enumerate(("random", "bts")):
        place = folder / policy / campaign
        place.mkdir(parents=True)
        rows = 12
        clock = pd.date_range("2019-11-24", periods=rows, freq="2min", tz="UTC")
        log = pd.DataFrame({"timestamp": clock + pd.Timedelta(seconds=start + 0.25)})
        log["item_id"] = np.arange(rows) % ITEMS
        log["position"] = random.integers(1, 4, rows)
        log["click"] = (np.arange(rows) == 5).astype(int)
        log["propensity_score"] = 1 / ITEMS if policy == "random" else 0.2
        for number in range(4):
            log[f"user_feature_{number}"] = [f"{row % 3:032x}" for row in range(rows)]
        for item in range(ITEMS):
            clicks = ((np.arange(rows) % 4 == 1) & (item > 0)) * 2.0
            log[f"user-item_affinity_{item}"] = clicks
        log.to_csv(place / f"{campaign}.csv")
        items = pd.DataFrame({"item_id": range(ITEMS), "item_feature_0": [0.5, -1, 2]})
        for number in (1, 2, 3):
            items[f"item_feature_{number}"] = [
                f"{policy}{item % 2}" for item in range(3)
            ]
        items.to_csv(place / "item_context.csv")
    return folder


def test_tables_of_the_official_files(tmp_path):
    log = open_bandit.impressions(official(tmp_path), campaign="men")
    assert list(log["policy"]) == ["random"] * 12 + ["bts"] * 12
    assert str(log["timestamp"].dtype) == "datetime64[us, UTC]"
    assert log["timestamp"][12] == pd.Timestamp("2019-11-24T00:00:01.25Z")
    assert [name for name in log if "affinity" in name] == [
        f"user_item_affinity_{item}" for item in range(ITEMS)
    ]
    items = open_bandit.items(tmp_path, campaign="men")
    assert list(items["policy"]) == ["random"] * ITEMS + ["bts"] * ITEMS
    assert list(items["item_id"]) == [0, 1, 2] * 2


def test_events_join_the_items(tmp_path):
    events = open_bandit.events(official(tmp_path), campaign="men")
    assert list(events["policy"]) == ["random", "bts"] * 12  # in order of time
    assert events["click"].sum() == 2 and events["click"].dtype == np.float32
    assert [list(items) for items in events["clicked_items"][:4]] == [
        [],
        [],
        [1, 2],
        [1, 2],
    ]
    assert list(events["item_feature_0"][:6]) == [0.5, 0.5, -1, -1, 2, 2]
    assert set(events["item_feature_1"]) == {"random0", "random1"}
    assert not [name for name in events if "affinity" in name]


def test_nobody_clicked_before(tmp_path):
    for policy in open_bandit.POLICIES:
        file = official(tmp_path / policy) / policy / "men" / "men.csv"
        file.write_text(file.read_text().replace(",2.0", ",0.0"))
        events = open_bandit.events(tmp_path / policy, campaign="men")
        events = events[events["policy"] == policy]
        assert [list(items) for items in events["clicked_items"]] == [[]] * 12


def test_all_layouts_give_the_same(tmp_path, monkeypatch):
    folder = official(tmp_path / "site" / "obp" / "dataset" / "obd")
    (tmp_path / "site" / "obp" / "__init__.py").write_text("raise ImportError")
    wanted = open_bandit.events(folder, campaign="men")
    monkeypatch.syspath_prepend(tmp_path / "site")
    found = open_bandit.events(campaign="men")
    pd.testing.assert_frame_equal(found, wanted)
    parquet = tmp_path / "data" / open_bandit.FOLDER
    parquet.mkdir(parents=True)
    for table in ("impressions", "items"):
        frame = getattr(open_bandit, table)(folder, campaign="men")
        frame.to_parquet(parquet / f"men_{table}.parquet")
    found = open_bandit.events(parquet, campaign="men")
    pd.testing.assert_frame_equal(found, wanted)
    monkeypatch.setenv("TFREC_DATA", str(tmp_path / "data"))
    found = open_bandit.events(campaign="men")
    pd.testing.assert_frame_equal(found, wanted)


def test_missing_data_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for source in (None, official(tmp_path)):  # of the men's campaign only
        with pytest.raises(FileNotFoundError) as error:
            open_bandit.events(source, campaign="women")
        text = str(error.value)
        assert (
            "Wanted: women_impressions.parquet + women_items.parquet, or rand" in text
        )
        assert "By hand: `pip install --no-deps obp==0.4.1`" in text
        assert ('package "obp": not installed' in text) == (source is None)
        assert ("download: not offered" in text) == (source is None)
    with pytest.raises(ValueError, match="`campaign` must be one of 'all', 'men', 'wo"):
        open_bandit.events(tmp_path, campaign="child")


def test_broken_files(tmp_path):
    log = official(tmp_path) / "bts" / "men" / "men.csv"
    text = log.read_text()
    for broken, message in (
        (
            text[:-70],
            'column "user_feature_3" must not be missing.*row 11 of .*men.csv',
        ),
        (
            text.replace("propensity_score", "pscore"),
            'column "propensity_score" must be',
        ),
        (
            text.replace("2019-11-24 00:00", "yesterday"),
            "men.csv' cannot be read: .*yest",
        ),
        ("", "men.csv' cannot be read: No columns to parse"),
    ):
        log.write_text(broken)
        with pytest.raises(ValueError, match=f"open_bandit: .*{message}"):
            open_bandit.events(tmp_path, campaign="men")
    log.write_text(text)
    items = tmp_path / "random" / "men" / "item_context.csv"
    items.write_text(items.read_text().replace("item_feature_2", "price"))
    with pytest.raises(ValueError, match='column "item_feature_2" must be in the file'):
        open_bandit.events(tmp_path, campaign="men")


def test_the_spec_fits_the_events(tmp_path):
    events = open_bandit.events(official(tmp_path), campaign="men")
    check_spec(open_bandit.spec(), events, tmp_path / "vocabularies")


def check_spec(spec, events, folder):
    assert FeatureSpec.from_json(spec.to_json()) == spec
    adapted = spec.adapt(events, folder)
    adapted.check_adapted()
    assert FeatureSpec.from_json(adapted.to_json()) == adapted
    not_served = {column.name for column in spec if not column.serve}
    assert not_served == {"position", "propensity_score"}
    assert "policy" not in spec
    columns, click = next(iter(data.from_pandas(events, adapted, batch_size=16)))
    assert columns["clicked_items"].shape == (16, 50)
    assert (click.numpy() == events["click"][:16]).all()
    propensity = events["propensity_score"].to_numpy(np.float32)[:16]
    assert (columns["propensity_score"].numpy() == propensity).all()


@pytest.mark.parametrize(
    ("campaign", "items", "clicks", "users"),
    [
        ("all", 80, 80, (3, 5, 9, 9)),
        ("men", 34, 115, (3, 5, 9, 9)),
        ("women", 46, 92, (3, 5, 8, 7)),
    ],
)
def test_what_the_page_says(shared_data, campaign, items, clicks, users, tmp_path):
    folder = shared_data / open_bandit.FOLDER
    events = open_bandit.events(folder, campaign=campaign)
    assert events["policy"].value_counts().to_dict() == {"random": 10**4, "bts": 10**4}
    assert events["item_id"].nunique() == items
    assert events["click"].sum() == clicks
    assert sorted(events["position"].unique()) == [1, 2, 3]
    assert events["propensity_score"].between(0, 1, inclusive="right").all()
    random = events[events["policy"] == "random"]
    assert np.allclose(random["propensity_score"], 1 / items)
    assert events["timestamp"].is_monotonic_increasing
    assert [events[f"user_feature_{n}"].nunique() for n in range(4)] == list(users)
    assert not events[[f"item_feature_{n}" for n in range(4)]].isna().any(axis=None)
    check_spec(open_bandit.spec(), events, tmp_path)


@pytest.mark.parametrize("campaign", open_bandit.CAMPAIGNS)
def test_the_policies_hash_the_same_groups(shared_data, campaign):
    """So the features of one policy's file serve the impressions of both."""
    items = open_bandit.items(shared_data / open_bandit.FOLDER, campaign=campaign)
    one, other = (
        items[items["policy"] == policy].sort_values("item_id")
        for policy in open_bandit.POLICIES
    )
    assert (
        one["item_feature_0"].to_numpy() == other["item_feature_0"].to_numpy()
    ).all()
    for name in open_bandit.ITEM[1:]:
        assert not set(one[name]) & set(other[name])
        assert (pd.factorize(one[name])[0] == pd.factorize(other[name])[0]).all()


def test_clicked_items_are_the_affinities(shared_data):
    folder = shared_data / open_bandit.FOLDER
    log = open_bandit.impressions(folder, campaign="all")
    log = log.sort_values("timestamp", kind="stable", ignore_index=True)
    events = open_bandit.events(folder)
    affinity = log.filter(like=open_bandit.AFFINITY)
    lengths = np.array([len(items) for items in events["clicked_items"]])
    assert (lengths == (affinity > 0).sum(axis=1)).all()
    assert 0.01 < (lengths > 0).mean() < 0.1
    for row in np.flatnonzero(lengths)[:100]:
        for item in events["clicked_items"][row]:
            assert affinity[f"user_item_affinity_{item}"][row] > 0


def test_feature_columns_module():
    from feature_columns.open_bandit import SPEC

    assert SPEC == open_bandit.spec()
