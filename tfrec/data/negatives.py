"""Rows of label 0: items that a user did not choose, sampled in several ways.

Each function takes the log's positive rows and gives a DataFrame of negative rows
with the same columns, to be put behind them with `pd.concat`. What a user has ever
chosen, in `positives` or in `history`, never comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tfrec import _checks
from tfrec.data.chosen import Chosen
from tfrec.data.histories import check_columns

SCORED_ROWS = 256


def uniform(
    positives: pd.DataFrame,
    catalogue: pd.DataFrame,
    *,
    user: str,
    item: str,
    label: str,
    count: int = 1,
    history: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Draws items with equal probability from those that the user did not choose.

    Args:
        positives: DataFrame, one chosen item a row. Columns that the catalogue does
            not have are copied into the negative rows: the user's, the context's.
        catalogue: DataFrame, one item a row, each once. It must have every column
            of `positives` that tells of the item.
        user, item, label: names of columns; the label becomes 0.
        count: int >= 1. Negatives of each positive, drawn with replacement.
        history: DataFrame with the user and item columns, or None: pairs that must
            not come out either, such as the whole log.
        seed: int >= 0. The same arguments give the same rows.

    Returns: `count` rows for each positive, in its order, with its columns.
    Raises: `ValueError` on a missing column, a catalogue with duplicates or
    without an item that the user did not choose.

    >>> log = pd.DataFrame({"u": [1], "i": ["a"], "y": [1]})
    >>> films = pd.DataFrame({"i": ["a", "b"]})
    >>> uniform(log, films, user="u", item="i", label="y").to_dict("records")
    [{'u': 1, 'i': 'b', 'y': 0}]
    """
    owner = "uniform"
    pairs = Chosen(owner, positives, catalogue, history, user, item, label, count, seed)
    return pairs.rows(pairs.draw(np.ones(len(catalogue)), count), count)


def by_popularity(
    positives: pd.DataFrame,
    catalogue: pd.DataFrame,
    *,
    user: str,
    item: str,
    label: str,
    count: int = 1,
    alpha: float = 0.75,
    history: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Draws items with probability proportional to popularity^alpha.

    Popularity is the number of times that an item was chosen, in `history` where it
    is given, else in `positives`. An item that nobody chose is not drawn, unless
    `alpha` is 0.

    Args:
        alpha: number >= 0. 0 is `uniform`.
        The other arguments, what is returned and raised: as in `uniform`.

    >>> log = pd.DataFrame({"u": [1, 2], "i": ["a", "b"], "y": [1, 1]})
    >>> films = pd.DataFrame({"i": ["a", "b", "c"]})
    >>> list(by_popularity(log, films, user="u", item="i", label="y")["i"])
    ['b', 'a']
    """
    owner = "by_popularity"
    _checks.number(owner, 0, alpha=alpha)
    pairs = Chosen(owner, positives, catalogue, history, user, item, label, count, seed)
    log = positives if history is None else history
    places = pd.Index(catalogue[item]).get_indexer(log[item])
    chosen = np.bincount(places[places >= 0], minlength=len(catalogue))
    return pairs.rows(pairs.draw(chosen.astype(float) ** alpha, count), count)


def exposed_unclicked(
    impressions: pd.DataFrame,
    *,
    user: str,
    item: str,
    label: str,
    count: int | None = None,
    history: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The impressions of items that the user saw and never chose.

    Args:
        impressions: DataFrame, one shown item a row, label 0 or 1.
        user, item, label: names of its columns.
        count: int >= 1 or None. At most that many rows for each positive of the
            user, drawn without replacement; None: all rows.
        history: DataFrame with the user and item columns, or None: pairs that
            were chosen at other times.
        seed: int >= 0.

    Returns: rows of `impressions`, in their order and with their index.
    Raises: `ValueError` on a missing column or other labels than 0 and 1.

    >>> log = pd.DataFrame({"u": [1, 1, 1], "i": ["a", "b", "a"], "y": [0, 0, 1]})
    >>> list(exposed_unclicked(log, user="u", item="i", label="y")["i"])
    ['b']
    """
    owner = "exposed_unclicked"
    check_columns(owner, impressions, [user, item, label])
    _checks.integer(owner, 0, seed=seed)
    if not impressions[label].isin([0, 1]).all():
        found = _checks.show(impressions[label].unique().tolist())
        raise _checks.column(owner, label, "must hold 0 and 1 only", found)
    clicked = impressions[label].astype(int).to_numpy() == 1
    chosen = impressions.loc[clicked, [user, item]]
    if history is not None:
        check_columns(owner, history, [user, item])
        chosen = pd.concat([chosen, history[[user, item]]])
    pair = pd.MultiIndex.from_frame(impressions[[user, item]])
    rows = impressions[~pair.isin(pd.MultiIndex.from_frame(chosen))]
    if count is None:
        return rows
    _checks.positive_int(owner, count=count)
    drawn = np.random.default_rng(seed).permutation(len(rows))
    mixed_up = rows[user].iloc[drawn]
    rank = mixed_up.groupby(mixed_up.to_numpy(), sort=False).cumcount().to_numpy()
    clicks = impressions.loc[clicked, user].value_counts()
    allowed = mixed_up.map(clicks).fillna(0).to_numpy(float) * count
    return rows.iloc[np.sort(drawn[rank < allowed])]


def hard(
    positives: pd.DataFrame,
    catalogue: pd.DataFrame,
    score: Callable[[pd.DataFrame], Any],
    *,
    user: str,
    item: str,
    label: str,
    count: int = 1,
    ranks: tuple[int, int] = (100, 500),
    history: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Draws items that a trained model ranks high, but not at the top.

    For each positive the items that its user did not choose are ranked by score;
    ties keep the order of the catalogue. Items are drawn with equal probability
    from a window of ranks (Huang et al., KDD 2020, arXiv 2006.11632: 101 to 500).

    Args:
        score: function of some rows of `positives` -> `(rows, items)` finite
            scores, one for each row of the catalogue.
        ranks: (first, last), from 1, both included; cut where the user has fewer
            items.
        The other arguments, what is returned and raised: as in `uniform`;
        `ValueError` also where the catalogue ends before the window begins.

    >>> log = pd.DataFrame({"u": [1], "i": ["a"], "y": [1]})
    >>> films = pd.DataFrame({"i": ["a", "b", "c"]})
    >>> score = lambda rows: np.array([[9, 5, 7]] * len(rows))
    >>> keys = {"user": "u", "item": "i", "label": "y"}
    >>> list(hard(log, films, score, ranks=(1, 1), **keys)["i"])
    ['c']
    """
    owner = "hard"
    good = isinstance(ranks, (tuple, list)) and len(ranks) == 2
    if not good or not all(map(_checks.is_int, ranks)) or not 1 <= ranks[0] <= ranks[1]:
        rule = "must be (first, last) with 1 <= first <= last"
        raise _checks.argument(owner, "ranks", rule, ranks)
    if not callable(score):
        rule = "must be a function"
        raise _checks.argument(owner, "score", rule, score, kind=TypeError)
    pairs = Chosen(owner, positives, catalogue, history, user, item, label, count, seed)
    drawn = []
    for start in range(0, len(positives), SCORED_ROWS):
        rows = np.arange(start, min(start + SCORED_ROWS, len(positives)))
        drawn.append(_window(owner, pairs, rows, score, ranks, count))
    return pairs.rows(np.concatenate(drawn) if drawn else np.empty(0, int), count)


def _window(
    owner: str, pairs: Chosen, rows: np.ndarray, score: Any, ranks: Any, count: int
) -> np.ndarray:
    """`count` items a row, from the window of ranks."""
    scores = np.array(score(pairs.positives.iloc[rows]), np.float64)
    wanted = (len(rows), pairs.items)
    if scores.shape != wanted or not np.isfinite(scores).all():
        rule = f"must give finite scores of shape {wanted}"
        found = scores.shape if scores.shape != wanted else scores
        raise _checks.argument(owner, "score", rule, found)
    for number, row in enumerate(rows):
        scores[number, pairs.of_user(row)] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")
    left = np.isfinite(scores).sum(axis=1)
    if (left < ranks[0]).any():
        row = int(np.argmin(left))
        name = _checks.quoted([pairs.positives[pairs.user].iloc[rows[row]]])
        rule = f"must begin within the {left[row]} items that user {name} has left"
        raise _checks.argument(owner, "ranks", rule, tuple(ranks), "Lower the first.")
    last = np.minimum(left, ranks[1])[:, None]
    places = pairs.random.integers(ranks[0] - 1, last, (len(rows), count))
    return np.take_along_axis(order, places, axis=1).reshape(-1)


def mixed(
    easy: pd.DataFrame, hard: pd.DataFrame, *, ratio: float = 100, seed: int = 0
) -> pd.DataFrame:
    """All easy negatives and one hard one for each `ratio` of them, shuffled.

    Huang et al. (KDD 2020, arXiv 2006.11632) found 100 easy to 1 hard the best.

    Args:
        easy, hard: DataFrames of the same columns.
        ratio: number > 0. Easy rows to each hard one, which is drawn without
            replacement.
        seed: int >= 0.

    Returns: one DataFrame, rows numbered anew.
    Raises: `ValueError` on other columns or too few hard rows.

    >>> easy, few = pd.DataFrame({"i": [1, 2, 3, 4]}), pd.DataFrame({"i": [8, 9]})
    >>> len(mixed(easy, few, ratio=2))
    6
    """
    owner = "mixed"
    _checks.number(owner, above=0, ratio=ratio)
    _checks.integer(owner, 0, seed=seed)
    check_columns(owner, easy, [])
    check_columns(owner, hard, [])
    if set(easy.columns) != set(hard.columns):
        rule = f"must have the columns of `easy`, {_checks.quoted(easy.columns)}"
        raise _checks.argument(owner, "hard", rule, list(hard.columns))
    wanted = round(len(easy) / ratio)
    if len(hard) < wanted:
        rule = f"must hold at least {wanted} rows for {len(easy)} easy ones"
        way_out = "Draw more with `count`, or raise `ratio`."
        raise _checks.argument(owner, "hard", rule, len(hard), way_out)
    random = np.random.default_rng(seed)
    taken = random.choice(len(hard), wanted, replace=False)
    whole = pd.concat([easy, hard[list(easy.columns)].iloc[taken]], ignore_index=True)
    return whole.iloc[random.permutation(len(whole))].reset_index(drop=True)
