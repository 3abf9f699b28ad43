"""Every model on real logs, beside what needs no training.

    python benchmarks/quality.py [--seeds 5] [--only TEXT] [--results FILE]
    python benchmarks/quality.py --report [--document docs/results.md]

Retrieval: leave-last-out on MovieTweetings and MovieLens latest-small, the whole
catalogue ranked, the person's own films removed. Ranking: MovieLens by time
80/10/10, liked = rating of 4 or more. All models have one budget: the same columns,
widths, optimizer and batch; learning rate and number of epochs are the best of the
same few on validation rows (the last event but one; the middle 10 %) with seed 0.
Every run is written to the JSON at once, and what stands there is not run again
unless another rate or number of epochs has been found to be better since.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from quality_report import write

from tfrec import data, evaluation, losses, models, optimizers
from tfrec.datasets import movielens, movietweetings
from tfrec.demo import recipes
from tfrec.features import Categorical, FeatureSpec

HERE = Path(__file__).resolve().parent
DIM = 64
BATCH = 1024
TOWERS = {"hidden_units": (DIM,), "dropout": 0.3}
POOLED = {**TOWERS, "temperature": 0.1}
DEEP = {"hidden_units": (128, 64), "dropout": 0.3}
RETRIEVAL = {
    "dssm": POOLED,
    "senet_two_tower": POOLED,
    "dat": {**POOLED, "user_id": "user_id", "category": "genre"},
    "sampling_bias_corrected": POOLED,
    "youtube_dnn": TOWERS,
    "mind": TOWERS,
    "youtube_dnn, unit vectors": POOLED,  # what follows a comma names a variant
    "mind, unit vectors": POOLED,
}
RANKING = {
    "lr": {},
    "fm": {},
    "wide_and_deep": DEEP,
    "deepfm": DEEP,
    "dcn": DEEP,
    "xdeepfm": {**DEEP, "cin_units": (64, 64)},
    "autoint": {**DEEP, "num_layers": 2, "units": 16},
    "fibinet": DEEP,
    "din": DEEP,
}
CHECKS = (4, 8, 12, 16)  # epochs after which a retrieval model is looked at
MOST = 20  # epochs of a ranking model


class Retrieval:
    """Leave-last-out: which film came last?"""

    models = RETRIEVAL
    rates = (0.03, 0.15, 1.5)  # the last for towers of free length

    def __init__(self, events, films, spec):
        first = {"genre": lambda rows: rows["genres"].str.split("|").str[0]}
        self.events, self.films = events.assign(**first), films.assign(**first)
        self.spec = spec(embedding_dim=DIM)
        self.train, self.test = data.leave_last_out(
            self.events, user="user_id", time="timestamp"
        )
        self.fit_rows, validation = data.leave_last_out(
            self.train, user="user_id", time="timestamp"
        )
        self.validation = validation.sample(min(1000, len(validation)), random_state=0)

    def baselines(self):
        seen = recipes.seen_before(self.train, self.test["user_id"])
        relevant = [[film] for film in self.test["movie_id"]]
        for name, kind in (
            ("popularity", evaluation.Popularity),
            ("item to item", evaluation.ItemToItem),
            ("Markov chain", evaluation.Markov),
        ):
            started = time.process_time()
            keys = ("user_id", "movie_id", "timestamp")
            baseline = kind().fit(*(self.train[key] for key in keys))
            spent = time.process_time() - started
            ranked = baseline.recommend(seen, 50, exclude=seen)
            yield (
                name,
                {
                    "Recall@10": evaluation.recall_at_k(ranked, relevant, 10).value,
                    "Recall@50": evaluation.recall_at_k(ranked, relevant, 50).value,
                    "NDCG@10": evaluation.ndcg_at_k(ranked, relevant, 10).value,
                    "CPU s": spent,
                },
            )

    def columns(self, name):
        """One width for all columns; DAT reads who a person is, and a category."""
        columns = []
        for column in self.spec:
            known = getattr(column, "embedding_dim", None) is not None
            columns.append(replace(column, embedding_dim=DIM) if known else column)
        if name == "dat":
            options = {"min_count": 5, "embedding_dim": DIM}
            columns += [
                Categorical("user_id", side="user", dtype="int64", **options),
                Categorical("genre", side="item", **options),
            ]
        return FeatureSpec(columns, timestamp="timestamp")

    def model(self, name, rate, seed, train, folder):
        keras.utils.set_random_seed(seed)
        spec = self.columns(name).adapt(train, folder)
        make, options = getattr(models, name.split(",")[0]), RETRIEVAL[name]
        model = make(spec, item_id="movie_id", seed=seed, **options)
        model.compile(optimizers.RowSparseAdagrad(rate), losses.InBatchSoftmax())
        rows = train[train["rated_before"] > 0]
        batches = data.from_pandas(
            rows, spec, batch_size=BATCH, shuffle=True, seed=seed, drop_remainder=True
        )
        return model, spec, batches

    def score(self, model, spec, train, test):
        """As `recipes.retrieval_metrics`; of several interests the live ones count."""
        users = recipes.vectors(model.user_tower, test, spec)
        alive = {}
        if isinstance(users, (list, tuple)):
            users, alive["num_interests"] = users
        found = evaluation.evaluate_retrieval(
            users,
            recipes.vectors(model.item_tower, self.films, spec),
            test["movie_id"].to_numpy(),
            item_ids=self.films["movie_id"].to_numpy(),
            exclude=recipes.seen_before(train, test["user_id"]),
            **alive,
        )
        return {key: found[key] for key in ("Recall@10", "Recall@50", "NDCG@10")}

    def tune(self, name, rate, folder):
        """What the validation rows say after each of CHECKS."""
        model, spec, batches = self.model(name, rate, 0, self.fit_rows, folder)
        before = 0
        for epochs in CHECKS:
            model.fit(
                batches, epochs=epochs, initial_epoch=before, shuffle=False, verbose=0
            )
            found = self.score(model, spec, self.fit_rows, self.validation)
            yield {"rate": rate, "epochs": epochs, "value": found["NDCG@10"]}
            before = epochs

    def run(self, name, chosen, seed, folder):
        model, spec, batches = self.model(
            name, chosen["rate"], seed, self.train, folder
        )
        started = time.process_time()
        model.fit(batches, epochs=chosen["epochs"], shuffle=False, verbose=0)
        spent = time.process_time() - started
        return {**self.score(model, spec, self.train, self.test), "CPU s": spent}


class Ranking:
    """By time: did they like it?"""

    models = RANKING
    rates = (0.005, 0.02)

    def __init__(self, events, spec):
        self.parts = data.split_by_time(events, time="timestamp")
        self.spec = spec

    def baselines(self):
        train, _, test = self.parts
        started = time.process_time()
        share = (train["liked"].sum() + 2) / (len(train) + 4)
        films = train.groupby("movie_id")["liked"].agg(["sum", "size"])
        likes = (films["sum"] + 4 * share) / (films["size"] + 4)
        found = test["movie_id"].map(likes).fillna(share).to_numpy()
        spent = time.process_time() - started
        quality = _quality(test, np.log(found / (1 - found)))
        yield "share of likes", {**quality, "CPU s": spent}

    def fit(self, name, rate, seed, folder):
        train, validation, _ = self.parts
        keras.utils.set_random_seed(seed)
        spec = self.spec().adapt(train, folder)
        model = getattr(models, name)(
            spec, unknown_rate=0.1, seed=seed, **RANKING[name]
        )
        optimizer = optimizers.RowSparseAdagrad(rate, initial_accumulator_value=1e-3)
        model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
        stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
        fitted = model.fit(
            data.from_pandas(train, spec, batch_size=BATCH, shuffle=True, seed=seed),
            validation_data=data.from_pandas(validation, spec, batch_size=4096),
            epochs=MOST,
            callbacks=[stop],
            shuffle=False,
            verbose=0,
        )
        return model, spec, fitted.history["val_loss"]

    def tune(self, name, rate, folder):
        _, _, found = self.fit(name, rate, 0, folder)
        best = int(np.argmin(found))
        yield {"rate": rate, "epochs": best + 1, "value": -found[best]}

    def run(self, name, chosen, seed, folder):
        started = time.process_time()
        model, spec, _ = self.fit(name, chosen["rate"], seed, folder)
        spent = time.process_time() - started
        test = self.parts[2]
        logits = model.predict(
            data.from_pandas(test, spec, batch_size=4096), verbose=0
        )[:, 0]
        return {**_quality(test, logits), "CPU s": spent}


def _quality(rows, logits):
    liked = rows["liked"].to_numpy()
    return {
        "AUC": evaluation.auc(liked, logits),
        "GAUC": evaluation.gauc(liked, logits, rows["user_id"].to_numpy()).value,
        "log-loss": evaluation.log_loss(liked, logits=logits),
    }


TASKS = {
    "retrieval, MovieTweetings": lambda: Retrieval(
        movietweetings.events(),
        movietweetings.movies(),
        movietweetings.retrieval_spec,
    ),
    "retrieval, MovieLens": lambda: Retrieval(
        movielens.events(), movielens.movies(), movielens.retrieval_spec
    ),
    "ranking, MovieLens": lambda: Ranking(movielens.events(), movielens.spec),
}


def measure(task, found, seeds, only, save):
    """Fills `found` of one task with what it lacks."""
    if not found.get("baselines"):
        found["baselines"] = dict(task.baselines())
        save()
    names = [name for name in task.models if not only or only in name]
    tuned = found.setdefault("tuned", {})
    for name in names:
        tried = tuned.setdefault(name, [])
        for rate in task.rates:
            if any(one["rate"] == rate for one in tried):
                continue
            with tempfile.TemporaryDirectory() as folder:
                tried += task.tune(name, rate, Path(folder))
            save()
            keras.backend.clear_session()
    runs = found.setdefault("runs", {})
    for seed in range(1, seeds + 1):
        for name in names:
            done = runs.setdefault(name, {})
            chosen = max(tuned[name], key=lambda one: one["value"])
            chosen = {key: chosen[key] for key in ("rate", "epochs")}
            if chosen.items() <= done.get(str(seed), {}).items():
                continue
            with tempfile.TemporaryDirectory() as folder:
                measured = task.run(name, chosen, seed, Path(folder))
            done[str(seed)] = {**measured, **chosen}
            save()
            print(name, seed, done[str(seed)], flush=True)
            keras.backend.clear_session()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--task", default="", help="text in a task's name")
    parser.add_argument("--only", default="", help="text in a model's name")
    parser.add_argument("--results", type=Path, default=HERE / "quality.json")
    parser.add_argument(
        "--report", action="store_true", help="write tables, measure nothing"
    )
    document = HERE.parent / "docs" / "results.md"
    parser.add_argument("--document", type=Path, default=document)
    options = parser.parse_args()
    found = {}
    if options.results.exists():
        found = json.loads(options.results.read_text(encoding="utf-8"))
    if options.report:
        write(found, options.document)
        return
    tf.config.threading.set_intra_op_parallelism_threads(1)

    def save():
        text = json.dumps(found, indent=1)
        options.results.write_text(text + "\n", encoding="utf-8")

    for name, make in TASKS.items():
        if options.task in name:
            of_task = found.setdefault(name, {})
            measure(make(), of_task, options.seeds, options.only, save)


if __name__ == "__main__":
    main()
