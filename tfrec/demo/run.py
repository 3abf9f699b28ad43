"""The demo, step by step; each step prints what it did."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from tfrec import data, evaluation, export, serving
from tfrec.datasets import movietweetings
from tfrec.demo import pictures, recipes
from tfrec.features.describe import describe

TOLERANCE = 1e-5
NEW_USER = ("The Dark Knight", "Inception", "Looper")


def run(output: str | os.PathLike[str], *, seed: int = 1, quick: bool = False) -> int:
    """Runs all steps; 0 when the served scores are those of the process.

    Args:
        output: folder; what an earlier demo wrote there is replaced.
        seed: int.
        quick: few epochs.
    """
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    started = time.monotonic()
    folder = Path(output).resolve()
    _clear(folder)
    servables = folder / "saved_models" / "movies"

    _title("1. Real logs: MovieTweetings 100K")
    events, films = movietweetings.events(), movietweetings.movies()
    shown = events[["user_id", "title", "rating", "liked", "rated_before"]].tail(4)
    print(shown.to_string(index=False))
    print(f"{len(events):,} ratings of {len(films):,} films; each row carries what its")
    print("user had rated strictly before.")

    _title("2. Two towers: the next film after a history")
    train, test = data.leave_last_out(events, user="user_id", time="timestamp")
    epochs = {"epochs": 2} if quick else {}
    two_tower, tower_spec, tower_fit = recipes.two_tower(
        train, folder / "two_tower", seed=seed, **epochs
    )
    two_tower.save(folder / "two_tower" / "model.keras")

    _title("3. A ranker: will this user like this film?")
    parts = data.split_by_time(events, time="timestamp")
    ranker, ranker_spec, ranker_fit = recipes.ranker(
        *parts[:2], folder / "ranker", seed=seed, **epochs
    )
    ranker.save(folder / "ranker" / "model.keras")
    print(describe(ranker_spec))

    _title("4. How good are they?")
    retrieval = _retrieval_table(two_tower, tower_spec, train, test, films)
    print(
        f"Each of {len(test):,} users' last film among all {len(films):,}, the user's"
    )
    print("own films removed:")
    print(evaluation.table(retrieval))
    print("\nThe ranker on the last tenth of the log (liked = rating 8 or more):")
    print(evaluation.table(_ranking_table(ranker, ranker_spec, parts)))

    _title("5. Export: SavedModels that TensorFlow Serving loads")
    examples = events.tail(64)
    written = {
        **export.save(two_tower, tower_spec, servables, examples=examples),
        **export.save(ranker, ranker_spec, servables, examples=examples),
    }
    for name, place in written.items():
        size = sum(f.stat().st_size for f in place.rglob("*") if f.is_file())
        print(f"{name:12} {size / 2**20:6.1f} MB  {place}")

    _title("6. Serve and ask over gRPC, from another process")
    with serving.local_server(servables) as server:
        print(f"tfrec serve {servables}\n  answers at {server.address}")
        client = serving.Client(server.address, servables, timeout=30.0)
        gaps = _parity(client, two_tower, tower_spec, ranker, ranker_spec, test, films)
        item_vectors = client.item_embedding(films)
        users = {
            f"user {_busy_user(events)}": _known_user(events),
            "a new user who liked " + ", ".join(NEW_USER): _new_user(films),
        }
        for who, row in users.items():
            print(f"\nTen films for {who}")
            print(_recommend(client, row, films, item_vectors).to_string(index=False))
    print("\nLargest difference between served and in-process scores:")
    print(
        evaluation.table(
            {name: {"difference": gap} for name, gap in gaps.items()}, digits=9
        )
    )

    _title("7. Where things are")
    drawn = [
        pictures.training_curves(
            {"two towers": tower_fit, "ranker": ranker_fit},
            folder / "training_curves.png",
        ),
        pictures.recall_bars(retrieval, folder / "recall.png"),
        pictures.item_map(
            item_vectors,
            films,
            events["movie_id"].value_counts(),
            folder / "item_map.png",
        ),
    ]
    print(f"models    {folder / 'two_tower'}\n          {folder / 'ranker'}")
    print(f"servables {servables}")
    for file in drawn:
        print(f"picture   {file}")
    print(f"\n{time.monotonic() - started:.0f} s in all. Next: tfrec serve {servables}")
    if not all(gap <= TOLERANCE for gap in gaps.values()):
        print(f"FAILED: served and in-process scores differ by more than {TOLERANCE}.")
        return 1
    return 0


def _title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def _clear(folder: Path) -> None:
    """Removes what an earlier demo wrote, and nothing else."""
    for name in ("two_tower", "ranker", "saved_models/movies"):
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _retrieval_table(
    model: Any, spec: Any, train: pd.DataFrame, test: pd.DataFrame, films: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """Lists of 50 films from the two baselines and from the towers."""
    seen = recipes.seen_before(train, test["user_id"])
    lists = {}
    for name, baseline in (
        ("popularity", evaluation.Popularity()),
        ("item to item", evaluation.ItemToItem()),
    ):
        baseline.fit(train["user_id"], train["movie_id"])
        lists[name] = baseline.recommend(seen, 50, exclude=seen)
    lists["two towers"] = evaluation.top_k(
        recipes.vectors(model.user_tower, test, spec),
        recipes.vectors(model.item_tower, films, spec),
        50,
        item_ids=films["movie_id"].to_numpy(),
        exclude=seen,
    )
    relevant = [[film] for film in test["movie_id"]]
    return {
        name: {
            "Recall@10": evaluation.recall_at_k(ranked, relevant, 10).value,
            "Recall@50": evaluation.recall_at_k(ranked, relevant, 50).value,
            "NDCG@10": evaluation.ndcg_at_k(ranked, relevant, 10).value,
            "MRR@50": evaluation.mrr_at_k(ranked, relevant, 50).value,
        }
        for name, ranked in lists.items()
    }


def _ranking_table(
    model: Any, spec: Any, parts: tuple[pd.DataFrame, ...]
) -> dict[str, dict[str, float]]:
    train, _, test = parts
    rate = float(train["liked"].mean())
    by_film = train.groupby("movie_id")["liked"].agg(["sum", "size"])
    share = (by_film["sum"] + 10 * rate) / (by_film["size"] + 10)
    guess = test["movie_id"].map(share).fillna(rate).to_numpy()
    liked, users = test["liked"].to_numpy(), test["user_id"].to_numpy()
    return {
        "film's share of likes": {
            "AUC": evaluation.auc(liked, guess),
            "GAUC": evaluation.gauc(liked, guess, users).value,
            "log-loss": evaluation.log_loss(liked, probabilities=guess),
        },
        "DeepFM": recipes.ranking_metrics(model, spec, test),
    }


def _parity(
    client: Any,
    two_tower: Any,
    tower_spec: Any,
    ranker: Any,
    ranker_spec: Any,
    rows: pd.DataFrame,
    films: pd.DataFrame,
) -> dict[str, float]:
    rows = rows.head(1000)
    names = [tensor.name for tensor in ranker.inputs]
    batches = data.from_pandas(rows, ranker_spec, columns=names, batch_size=256)
    logits = ranker.predict(batches, verbose=0)[:, 0]
    pairs = {
        "user_tower": (
            client.user_embedding(rows),
            recipes.vectors(two_tower.user_tower, rows, tower_spec),
        ),
        "item_tower": (
            client.item_embedding(films),
            recipes.vectors(two_tower.item_tower, films, tower_spec),
        ),
        "ranker": (
            client.predict("ranker", rows)["score"],
            1 / (1 + np.exp(-logits.astype(np.float64))),
        ),
    }
    return {
        name: float(np.max(np.abs(served - local)))
        for name, (served, local) in pairs.items()
    }


def _busy_user(events: pd.DataFrame) -> int:
    """Someone with a good number of ratings in the training data."""
    counts = events.groupby("user_id").size()
    return int(counts[counts.between(15, 25)].index[0])


def _known_user(events: pd.DataFrame) -> dict[str, Any]:
    """The user's row as of now: all that they have rated is history."""
    user = _busy_user(events)
    own = events[events["user_id"] == user]
    liked = own["liked"] == 1
    return _user_row(user, own["movie_id"], own["movie_id"][liked])


def _new_user(films: pd.DataFrame) -> dict[str, Any]:
    """A user id that no log has, with a history of three films."""
    by_title = films.drop_duplicates("title").set_index("title")["movie_id"]
    history = by_title.reindex(NEW_USER).dropna()
    return _user_row(-7, history, history)


def _user_row(user: int, history: pd.Series, liked: pd.Series) -> dict[str, Any]:
    return {
        "user_id": user,
        "history": list(history),
        "liked_history": list(liked),
        "disliked_history": list(history[~history.isin(liked)]),
        "rated_before": float(len(history)),
        "liked_before": (len(liked) + 2) / (len(history) + 4),
    }


def _recommend(
    client: Any, row: dict[str, Any], films: pd.DataFrame, item_vectors: np.ndarray
) -> pd.DataFrame:
    """Retrieve 100 by the towers, rank them by the ranker, show the best ten."""
    vector = client.user_embedding([row])
    found = evaluation.top_k(
        vector,
        item_vectors,
        100,
        item_ids=films["movie_id"].to_numpy(),
        exclude=[row["history"]],
    )
    near = films.set_index("movie_id").loc[found.ids[0]].reset_index()
    near["similarity"] = found.scores[0]
    ranked = client.rank(row, near).head(10)
    ranked.insert(0, "", range(1, len(ranked) + 1))
    shown = ["", "title", "year", "genres", "similarity", "score"]
    return ranked[shown].round({"similarity": 3, "score": 3})
