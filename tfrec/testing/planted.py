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


class Popularity(NamedTuple):
    """What `popularity` makes.

    frame: one row a pick: `group`, `item_id`.
    logits: `(groups, items)`: what group g likes, the log-odds of its picks. Group g
        is called `g<number>`, item i `i<number>`.
    """

    frame: pd.DataFrame
    logits: np.ndarray


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


def popularity(rows=20_000, num_groups=4, num_items=40, spread=1.5, taste=1.0, seed=0):
    """Picks of items that some groups like more, and some items all groups do.

    `P(i | g) = softmax_i(quality_i + taste_gi)`: an item is met often because it is
    good, so a model that is punished for how often it is met loses the order.

    Args:
        rows: int >= 1.
        num_groups: int >= 1.
        num_items: int >= 2.
        spread: number >= 0. Standard deviation of quality, in log-odds.
        taste: number >= 0. Standard deviation of taste, in log-odds.
        seed: int >= 0.

    Returns: Popularity.
    Raises: `ValueError` on a bad argument.

    >>> log = popularity(rows=100, num_groups=2, num_items=5)
    >>> len(log.frame), log.logits.shape
    (100, (2, 5))
    """
    owner = "popularity"
    _checks.positive_int(owner, rows=rows, num_groups=num_groups)
    _checks.integer(owner, 2, num_items=num_items)
    _checks.number(owner, 0, spread=spread, taste=taste)
    _checks.integer(owner, seed=seed)
    random = np.random.default_rng(seed)
    quality = spread * random.normal(size=num_items)
    logits = quality + taste * random.normal(size=(num_groups, num_items))
    chance = np.exp(logits)
    chance /= chance.sum(axis=1, keepdims=True)
    groups = random.integers(0, num_groups, rows)
    picks = [random.choice(num_items, p=chance[group]) for group in groups]
    frame = {
        "group": [f"g{group}" for group in groups],
        "item_id": [f"i{item}" for item in picks],
    }
    return Popularity(pd.DataFrame(frame), logits)


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


def three_way(rows=4000, num_groups=4, strength=4.0, seed=0):
    """Clicks that depend on three groups together, and on no two of them.

    `logit = strength s(a) s(b) s(c)`, s = 1 for half of the groups and -1 for the
    others: given any two groups, clicks are as likely as not. Products of three
    fields find it; a model of weights and pairs can do no better than a coin.

    Args:
        rows: int >= 1.
        num_groups: int >= 2, even. Groups of users, of cities and of items.
        strength: number > 0, in log-odds.
        seed: int >= 0.

    Returns: Interactions, its frame of `user_group`, `city_group`, `item_group` and
    `click`.
    Raises: `ValueError` on a bad argument.

    >>> log = three_way(rows=500)
    >>> bool(np.mean((log.probability > 0.5) == log.frame["click"]) > 0.9)
    True
    """
    owner = "three_way"
    _checks.positive_int(owner, rows=rows)
    _checks.number(owner, above=0, strength=strength)
    _checks.integer(owner, seed=seed)
    if not _checks.is_int(num_groups) or num_groups < 2 or num_groups % 2:
        rule = "must be an even int >= 2"
        raise _checks.argument(owner, "num_groups", rule, num_groups)
    random = np.random.default_rng(seed)
    groups = random.integers(0, num_groups, size=(rows, 3))
    sign = 1 - 2 * (groups % 2)
    probability = 1 / (1 + np.exp(-strength * sign.prod(axis=1)))
    frame = {
        name: [f"{name[0]}{group}" for group in groups[:, place]]
        for place, name in enumerate(("user_group", "city_group", "item_group"))
    }
    frame["click"] = (random.uniform(size=rows) < probability).astype("float32")
    return Interactions(pd.DataFrame(frame), probability)


def noisy_fields(rows=4000, num_signal=3, num_noise=6, num_groups=8, seed=0):
    """Clicks that depend on some columns, among columns that say nothing.

    `logit = 4 / sqrt(num_signal) sum_f sin(2 pi g_f / num_groups)` over the groups
    g_f of the columns `signal_0`, `signal_1`, ...; `noise_0`, ... are drawn alike.

    Args:
        rows: int >= 1.
        num_signal: int >= 1. Columns that matter.
        num_noise: int >= 0. Columns that do not.
        num_groups: int >= 2. Values of each column.
        seed: int >= 0.

    Returns: Interactions.
    Raises: `ValueError` on a bad argument.

    >>> noisy_fields(rows=5, num_signal=1, num_noise=2).frame.columns.tolist()
    ['signal_0', 'noise_0', 'noise_1', 'click']
    """
    owner = "noisy_fields"
    _checks.positive_int(owner, rows=rows, num_signal=num_signal)
    _checks.integer(owner, num_noise=num_noise, seed=seed)
    _checks.integer(owner, 2, num_groups=num_groups)
    random = np.random.default_rng(seed)
    groups = random.integers(0, num_groups, size=(rows, num_signal + num_noise))
    waves = np.sin(2 * np.pi * groups[:, :num_signal] / num_groups)
    logits = 4 / np.sqrt(num_signal) * waves.sum(axis=1)
    probability = 1 / (1 + np.exp(-logits))
    names = [f"signal_{f}" for f in range(num_signal)]
    names += [f"noise_{f}" for f in range(num_noise)]
    frame = {
        name: [f"g{group}" for group in groups[:, place]]
        for place, name in enumerate(names)
    }
    frame["click"] = (random.uniform(size=rows) < probability).astype("float32")
    return Interactions(pd.DataFrame(frame), probability)


def two_tastes(num_users=300, num_clusters=12, per_cluster=4, events=4, seed=0):
    """Users who pick items of two clusters, any two, each item as often.

    A row is a fresh sample of 12 picks as `history` and one more as `item_id`. In
    three dimensions one vector can rank two clusters above all others for the edges
    of a polytope only, at most `3 num_clusters - 6` of the pairs; a vector for each
    taste can for all. Guessing gives recall@k `2 / num_clusters`.

    Args:
        num_users: int >= 1.
        num_clusters: int >= 2.
        per_cluster: int >= 1. Items of a cluster.
        events: int >= 1. Rows of each user.
        seed: int >= 0.

    Returns: TasteClusters, its frame of `history` and `item_id`.
    Raises: `ValueError` on a bad argument.

    >>> log = two_tastes(num_users=6, num_clusters=4, per_cluster=3)
    >>> len(log.frame), log.relevant.sum(axis=1).tolist()
    (24, [6, 6, 6, 6, 6, 6])
    """
    owner = "two_tastes"
    _checks.positive_int(
        owner, num_users=num_users, per_cluster=per_cluster, events=events
    )
    _checks.integer(owner, 2, num_clusters=num_clusters)
    _checks.integer(owner, seed=seed)
    random = np.random.default_rng(seed)
    num_items = num_clusters * per_cluster
    of_item = random.permutation(np.arange(num_items) % num_clusters)
    relevant = np.zeros((num_users, num_items), bool)
    for user in range(num_users):
        tastes = random.choice(num_clusters, 2, replace=False)
        relevant[user] = np.isin(of_item, tastes)

    def picks(user):
        return tuple(f"i{i}" for i in random.choice(np.flatnonzero(relevant[user]), 12))

    rows = [
        (picks(user), picks(user)[0])
        for user in range(num_users)
        for _ in range(events)
    ]
    return TasteClusters(
        pd.DataFrame(rows, columns=["history", "item_id"]),
        pd.DataFrame({"history": [picks(user) for user in range(num_users)]}),
        pd.DataFrame({"item_id": [f"i{item}" for item in range(num_items)]}),
        relevant,
    )


def repeats(rows=4000, num_items=16, max_length=6, seed=0):
    """Clicks on what the history holds already, and on nothing else.

    A history is 1 to `max_length` different items, the candidate one of them in half
    of the rows. The mean of a few short vectors does not tell which they were.

    Args:
        rows: int >= 1.
        num_items: int > max_length.
        max_length: int >= 1.
        seed: int >= 0.

    Returns: Interactions, its frame of `history`, `item_id` and `click`.
    Raises: `ValueError` on a bad argument.

    >>> log = repeats(rows=200)
    >>> bool(((log.probability == 1) == log.frame["click"]).all())
    True
    """
    owner = "repeats"
    _checks.positive_int(owner, rows=rows, max_length=max_length)
    _checks.integer(owner, max_length + 1, num_items=num_items)
    _checks.integer(owner, seed=seed)
    random = np.random.default_rng(seed)
    histories, candidates = [], []
    clicks = random.permutation(np.arange(rows) % 2).astype("float32")
    for click in clicks:
        items = random.permutation(num_items)
        length = random.integers(1, max_length + 1)
        histories.append(tuple(f"i{item}" for item in items[:length]))
        other = random.choice(items[:length] if click else items[length:])
        candidates.append(f"i{other}")
    frame = {"history": histories, "item_id": candidates, "click": clicks}
    return Interactions(pd.DataFrame(frame), clicks.astype(float))
