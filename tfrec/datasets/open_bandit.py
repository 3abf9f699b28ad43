"""Open Bandit sample: impressions of a three-slot banner in a fashion shop, 2019.

10,000 impressions for each of two logging policies (uniform random, "random", and
Bernoulli Thompson sampling, "bts") in each of three campaigns ("all", "men",
"women"), 24 to 30 November 2019, with the position, the click, and the true
probability that the policy showed the item there. 287 clicks in all: good for code
that reads positions and propensities, not for claims about accuracy.

Licence: Apache 2.0, as part of the Python package obp; ZOZO publishes the full set
as CC BY 4.0. It does not come with tfrec.
Cite: Saito, Aihara, Matsutani, Narita, Open Bandit Dataset and Pipeline: Towards
Realistic and Reproducible Off-Policy Evaluation, arXiv:2008.07146.

Files: `CAMPAIGN_impressions.parquet` and `CAMPAIGN_items.parquet`, or the published
layout `POLICY/CAMPAIGN/CAMPAIGN.csv` and `POLICY/CAMPAIGN/item_context.csv`, which
the installed package obp 0.4.1 holds too (it is not imported) and so does the full
set. There is no download: ZOZO publishes no checksum and no small archive.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec import _checks
from tfrec.datasets import fetch
from tfrec.features import Categorical, FeatureSpec, MultiCategorical, Numeric

CAMPAIGNS = ("all", "men", "women")
POLICIES = ("random", "bts")
AFFINITY = "user_item_affinity_"
USER = tuple(f"user_feature_{number}" for number in range(4))
ITEM = tuple(f"item_feature_{number}" for number in range(4))

FOLDER = "open_bandit_sample"
BY_HAND = (
    "`pip install --no-deps obp==0.4.1`; or unpack that wheel or the full set from "
    "https://research.zozo.com/data.html and pass the folder that holds `random` and "
    f"`bts` as `source`; or put its contents into the folder {FOLDER} below TFREC_DATA."
)


def impressions(source: fetch.Source = None, *, campaign: str = "all") -> pd.DataFrame:
    """One shown item a row, as published: all of "random", then all of "bts".

    Columns: `policy`, `timestamp` (UTC), `item_id` int64, `position` 1 left to 3
    right, `click` 0 or 1, `propensity_score`, `user_feature_0` to `_3` (hashed), and
    `user_item_affinity_0` ... the past clicks of this user on each item.

    Args:
        source: folder, or None: `tfrec.datasets` says where it is looked for.
        campaign: `"all"`, `"men"` or `"women"`.

    Raises: `FileNotFoundError`, `ValueError`: as `tfrec.datasets` says.
    """
    columns = {
        "timestamp": None,
        "item_id": "int64",
        "position": "int64",
        "click": "int64",
        "propensity_score": "float64",
        **dict.fromkeys(USER),
    }
    frame = _table("impressions", columns, source, campaign)
    affinity = [name for name in frame.columns if name.startswith(AFFINITY)]
    return frame.astype(dict.fromkeys(affinity, "float32"))


def items(source: fetch.Source = None, *, campaign: str = "all") -> pd.DataFrame:
    """One item of one policy's file a row: `policy`, `item_id`, `item_feature_0..3`.

    `item_feature_0` is a number, the others are hashed, differently in each policy's
    file: the same item has other hashes there.

    Args: as in `impressions`.
    """
    columns = {
        "item_id": "int64",
        "item_feature_0": "float64",
        **dict.fromkeys(ITEM[1:]),
    }
    frame = _table("items", columns, source, campaign)
    return frame[["policy", *columns]]


def events(source: fetch.Source = None, *, campaign: str = "all") -> pd.DataFrame:
    """The impressions in order of time, with the item's features.

    `clicked_items` lists the items that the user clicked before, in place of the
    `user_item_affinity` columns. The item features of both policies are those of the
    file of "random": a hash never tells which policy was at work.

    Args: as in `impressions`.
    """
    log = impressions(source, campaign=campaign)
    of_item = items(source, campaign=campaign)
    of_item = of_item[of_item["policy"] == "random"].drop(columns="policy")
    affinity = [name for name in log.columns if name.startswith(AFFINITY)]
    ids = np.array([int(name.removeprefix(AFFINITY)) for name in affinity], np.int64)
    rows, places = np.nonzero(log[affinity].to_numpy() > 0)
    ends = np.cumsum(np.bincount(rows, minlength=len(log)))
    clicked = np.empty(len(log), object)
    for row, of_row in enumerate(np.split(ids[places], ends[:-1])):
        clicked[row] = of_row
    log = log.drop(columns=affinity).assign(clicked_items=clicked)
    log = log.merge(of_item, on="item_id", how="left", validate="many_to_one")
    log["click"] = log["click"].astype("float32")
    return log.sort_values("timestamp", kind="stable", ignore_index=True)


def spec(*, embedding_dim: int = 8) -> FeatureSpec:
    """The columns of `events` that a ranker reads, not adapted yet.

    `position` and `propensity_score` are there in training only (`serve=False`).
    """
    dim = {"embedding_dim": embedding_dim}
    item = {"dtype": "int64", "table": "item_id", **dim}
    return FeatureSpec(
        [
            *(Categorical(name, side="user", **dim) for name in USER),
            MultiCategorical("clicked_items", side="user", **item),
            Categorical("item_id", side="item", **item),
            Numeric("item_feature_0", side="item", scaling="standard"),
            *(Categorical(name, side="item", **dim) for name in ITEM[1:]),
            Categorical("position", side="context", dtype="int64", serve=False, **dim),
            Numeric("propensity_score", side="context", serve=False),
        ],
        labels=["click"],
        timestamp="timestamp",
    )


def _table(
    table: str, columns: dict[str, str | None], source: fetch.Source, campaign: str
) -> pd.DataFrame:
    """Both policies' rows of one table, in their types (None: as they are)."""
    _checks.one_of("open_bandit", CAMPAIGNS, campaign=campaign)
    names = {"impressions": campaign, "items": "item_context"}
    files = fetch.find(
        "open_bandit",
        [
            {name: f"{campaign}_{name}.parquet" for name in names},
            {
                f"{policy} {name}": f"{policy}/{campaign}/{file}.csv"
                for policy in POLICIES
                for name, file in names.items()
            },
        ],
        source,
        folder=FOLDER,
        package=("obp", "dataset/obd"),
        by_hand=BY_HAND,
    )
    parts = []
    for policy in (None,) if table in files else POLICIES:
        file = files[table if policy is None else f"{policy} {table}"]
        with fetch.reading("open_bandit", file):
            if policy is None:
                part = pd.read_parquet(file)
            else:
                part = pd.read_csv(file, dtype=dict.fromkeys((*USER, *ITEM[1:]), "str"))
                part = part.loc[:, ~part.columns.str.startswith("Unnamed")]
                part.insert(0, "policy", policy)
        part = part.rename(columns=lambda name: name.replace("-", "_"))
        fetch.check_columns("open_bandit", part, ["policy", *columns], file)
        with fetch.reading("open_bandit", file):
            part = part.astype({name: kind for name, kind in columns.items() if kind})
            if "timestamp" in columns:
                part["timestamp"] = pd.to_datetime(
                    part["timestamp"], utc=True, format="ISO8601"
                ).astype("datetime64[us, UTC]")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
