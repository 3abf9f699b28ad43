"""What users have chosen, and rows of what they have not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tfrec import _checks
from tfrec.data.histories import check_columns

TRIES = 20


class Chosen:
    """Which items each user has chosen; draws others.

    The arguments are those of `negatives.uniform`, and checked; `owner` is whom an
    error names.
    """

    def __init__(
        self,
        owner: str,
        positives: Any,
        catalogue: Any,
        history: Any,
        user: str,
        item: str,
        label: str,
        count: int,
        seed: int,
    ) -> None:
        _checks.positive_int(owner, count=count)
        _checks.integer(owner, 0, seed=seed)
        check_columns(owner, positives, [user, item, label])
        check_columns(owner, catalogue, [item])
        if catalogue[item].duplicated().any():
            row = int(np.argmax(catalogue[item].duplicated()))
            rule, found = "must hold each item once", catalogue[item].iloc[row]
            found = f"{_checks.quoted([found])} again in row {row} of the catalogue"
            raise _checks.column(owner, item, rule, found, "Drop the duplicates.")
        for name in (user, label):
            if name in catalogue.columns:
                rule = "must not be in the catalogue, whose columns are the items'"
                raise _checks.column(owner, name, rule, "it", "Drop it there.")
        chosen = positives[[user, item]]
        if history is not None:
            check_columns(owner, history, [user, item])
            chosen = pd.concat([chosen, history[[user, item]]])
        self.owner, self.user, self.item, self.label = owner, user, item, label
        self.positives, self.catalogue = positives, catalogue
        self.items = len(catalogue)
        self.random = np.random.default_rng(seed)
        codes, _ = pd.factorize(chosen[user])
        self.users = codes[: len(positives)]
        places = pd.Index(catalogue[item]).get_indexer(chosen[item])
        known = places >= 0
        self.chosen = np.unique(codes[known] * self.items + places[known])

    def of_user(self, row: int) -> np.ndarray:
        """The items that the user of a row has chosen."""
        bounds = self.users[row] * self.items + np.array([0, self.items])
        first, last = np.searchsorted(self.chosen, bounds)
        return self.chosen[first:last] - bounds[0]

    def draw(self, weights: np.ndarray, count: int) -> np.ndarray:
        """`count` items for each positive, by weight, among those not chosen."""
        rows = np.repeat(np.arange(len(self.users)), count)
        found = np.zeros(len(rows), np.int64)
        open_ = np.arange(len(rows))
        ends = np.cumsum(weights)
        for _ in range(TRIES if self.items and ends[-1] > 0 else 0):
            points = self.random.random(len(open_)) * ends[-1]
            points = np.minimum(points, np.nextafter(ends[-1], 0))
            found[open_] = np.searchsorted(ends, points, side="right")
            pair = self.users[rows[open_]] * self.items + found[open_]
            open_ = open_[np.isin(pair, self.chosen)]
        for place in open_:  # users who have chosen almost everything
            left = weights.copy()
            left[self.of_user(rows[place])] = 0
            if not left.sum() > 0:
                name = _checks.quoted([self.positives[self.user].iloc[rows[place]]])
                rule = f"must hold an item to draw that user {name} did not choose"
                way_out = "Pass the whole catalogue, or drop the user."
                size = f"{self.items} items"
                raise _checks.argument(self.owner, "catalogue", rule, size, way_out)
            found[place] = self.random.choice(self.items, p=left / left.sum())
        return found

    def rows(self, places: np.ndarray, count: int) -> pd.DataFrame:
        """The positives' rows with other items and label 0."""
        copies = np.repeat(np.arange(len(self.positives)), count)
        result = self.positives.iloc[copies].reset_index(drop=True)
        result[self.label] = np.zeros(len(result), int)
        result[self.label] = result[self.label].astype(self.positives[self.label].dtype)
        for name in self.catalogue.columns:
            result[name] = self.catalogue[name].iloc[places].array
        missing = [n for n in self.catalogue if n not in self.positives.columns]
        return result.drop(columns=missing)
