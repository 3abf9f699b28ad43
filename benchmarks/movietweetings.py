"""Both demo models with several seeds, beside the floors that they must pass.

    python benchmarks/movietweetings.py [--seeds 3] [--output FILE]

Retrieval: leave-last-out over users with at least 5 ratings, the whole catalogue
ranked, the user's own films removed. Ranking: rows by time 80/10/10, liked =
rating of 8 or more. Prints mean and standard deviation over the seeds.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from tfrec import data, evaluation
from tfrec.datasets import movietweetings
from tfrec.demo import recipes

FLOORS = {"HR@10": 0.180, "NDCG@10": 0.100, "AUC": 0.751, "log-loss": 0.599}


def baselines(train, test):
    """HR@10 and NDCG@10 of what needs no training."""
    seen = recipes.seen_before(train, test["user_id"])
    relevant = [[film] for film in test["movie_id"]]
    found = {}
    for name, baseline in (
        ("popularity", evaluation.Popularity()),
        ("item to item", evaluation.ItemToItem()),
        ("Markov chain", evaluation.Markov()),
    ):
        baseline.fit(train["user_id"], train["movie_id"], train["timestamp"])
        ranked = baseline.recommend(seen, 10, exclude=seen)
        found[name] = {
            "HR@10": evaluation.hit_rate_at_k(ranked, relevant, 10).value,
            "NDCG@10": evaluation.ndcg_at_k(ranked, relevant, 10).value,
        }
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="also write the numbers as JSON")
    parser.add_argument(
        "--min-ratings",
        type=int,
        default=1,
        help="retrieval: leave out people with fewer ratings, and their films",
    )
    options = parser.parse_args()
    events, films = movietweetings.events(), movietweetings.movies()
    counts = events.groupby("user_id")["user_id"].transform("size")
    kept = events[counts >= options.min_ratings]
    films = films[films["movie_id"].isin(kept["movie_id"])]
    train, test = data.leave_last_out(kept, user="user_id", time="timestamp")
    parts = data.split_by_time(events, time="timestamp")
    print(evaluation.table(baselines(train, test)), flush=True)
    runs = []
    for seed in range(1, options.seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            model, spec, _ = recipes.two_tower(
                train, Path(folder) / "two_tower", seed=seed, verbose=0
            )
            fitted = time.perf_counter()
            run = recipes.retrieval_metrics(model, spec, train, test, films)
            run["two-tower fit, s"] = fitted - started
            started = time.perf_counter()
            model, spec, _ = recipes.ranker(
                *parts[:2], Path(folder) / "ranker", seed=seed, verbose=0
            )
            run["ranker fit, s"] = time.perf_counter() - started
            run |= recipes.ranking_metrics(model, spec, parts[2])
        runs.append(run)
        print(evaluation.table({f"seed {seed}": run}), flush=True)
    summary = {
        name: {
            "mean": float(np.mean([run[name] for run in runs])),
            "sd": float(np.std([run[name] for run in runs])),
            **({"floor": FLOORS[name]} if name in FLOORS else {}),
        }
        for name in runs[0]
    }
    print(f"\nmean of {len(runs)} seeds")
    print(evaluation.table(summary))
    if options.output:
        options.output.write_text(json.dumps({"runs": runs, "summary": summary}))


if __name__ == "__main__":
    main()
