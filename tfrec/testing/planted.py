"""Small logs whose right answer is known: a model must find what was planted."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tfrec import _checks


class TasteClusters(NamedTuple):
    """What `taste_clusters` makes.

    frame: one row an event: `user_id`, `city`, `history` (the user's earlier items,
        oldest first), `item_id`, `colour`, `time`.
    users: one row a user, the history of all of its events.
    items: one row an item.
    relevant: `(users, items)` bool, True where the item is to the user's taste.
    """

    frame: pd.DataFrame
    users: pd.DataFrame
    items: pd.DataFrame
    relevant: np.ndarray


class Interactions(NamedTuple):
    """What `interactions` makes.

    frame: one row a view: `user_group`, `age`, `item_group`, `price`, `click`.
    probability: `(rows,)`, the chance of a click that the clicks were drawn with.
    """

    frame: pd.DataFrame
    probability: np.ndarray


def taste_clusters(num_users=100, num_items=100, num_clusters=10, events=12, seed=0):
    """Users who only ever pick items of one cluster, each item as often.

    Which cluster an item or a user belongs to stands nowhere but in who picked
    what; `city` and `colour` are noise. Knowing the clusters gives recall@k 1 for
    k = num_items / num_clusters, guessing gives k / num_items.

    Args:
        num_users: int >= 1.
        num_items: int, a multiple of `num_clusters`.
        num_clusters: int >= 1.
        events: int >= 1. Rows of each user.
        seed: int >= 0.

    Returns: TasteClusters, rows in order of time.
    Raises: `ValueError` on a bad argument.

    >>> log = taste_clusters(num_users=6, num_items=4, num_clusters=2, events=3)
    >>> len(log.frame), log.relevant.sum(axis=1).tolist()
    (18, [2, 2, 2, 2, 2, 2])
    """
    owner = "taste_clusters"
    _checks.positive_int(
        owner, num_users=num_users, num_clusters=num_clusters, events=events
    )
    _checks.integer(owner, seed=seed)
    if not _checks.is_int(num_items) or num_items < 1 or num_items % num_clusters:
        rule = "must be a multiple of `num_clusters`"
        raise _checks.argument(owner, "num_items", rule, num_items)
    random = np.random.default_rng(seed)
    of_item = random.permutation(np.arange(num_items) % num_clusters)
    of_user = random.permutation(np.arange(num_users) % num_clusters)
    relevant = of_user[:, None] == of_item[None, :]
    cities = [f"city{c}" for c in random.integers(0, 5, num_users)]
    colours = [f"colour{c}" for c in random.integers(0, 5, num_items)]
    histories = [[] for _ in range(num_users)]
    rows = []
    for time in range(events):
        for user in random.permutation(num_users):
            item = random.choice(np.flatnonzero(relevant[user]))
            row = (f"u{user}", cities[user], tuple(histories[user]))
            rows.append((*row, f"i{item}", colours[item], time))
            histories[user].append(f"i{item}")
    of_users = {
        "user_id": [f"u{user}" for user in range(num_users)],
        "city": cities,
        "history": [tuple(history) for history in histories],
    }
    of_items = {
        "item_id": [f"i{item}" for item in range(num_items)],
        "colour": colours,
    }
    return TasteClusters(
        pd.DataFrame(rows, columns=[*of_users, *of_items, "time"]),
        pd.DataFrame(of_users),
        pd.DataFrame(of_items),
        relevant,
    )


def interactions(rows=4000, num_groups=10, strength=3.0, seed=0):
    """Clicks that depend on the pair of groups, and on no group alone.

    `logit = strength cos(2 pi (a - b) / num_groups)` for user group a and item
    group b: its mean over a, and over b, is 0, so that a model without pairs can
    do no better than a coin. `age` and `price` are noise.

    Args:
        rows: int >= 1.
        num_groups: int >= 2. Groups of users, and of items.
        strength: number > 0, in log-odds.
        seed: int >= 0.

    Returns: Interactions.
    Raises: `ValueError` on a bad argument.

    >>> log = interactions(rows=500)
    >>> bool(np.mean((log.probability > 0.5) == log.frame["click"]) > 0.8)
    True
    """
    owner = "interactions"
    _checks.positive_int(owner, rows=rows)
    _checks.integer(owner, 2, num_groups=num_groups)
    _checks.number(owner, above=0, strength=strength)
    _checks.integer(owner, seed=seed)
    random = np.random.default_rng(seed)
    users = random.integers(0, num_groups, rows)
    items = random.integers(0, num_groups, rows)
    logits = strength * np.cos(2 * np.pi * (users - items) / num_groups)
    probability = 1 / (1 + np.exp(-logits))
    frame = {
        "user_group": [f"a{group}" for group in users],
        "age": random.normal(size=rows),
        "item_group": [f"b{group}" for group in items],
        "price": random.normal(size=rows),
        "click": (random.uniform(size=rows) < probability).astype("float32"),
    }
    return Interactions(pd.DataFrame(frame), probability)
