"""How the demo's two models are made and fitted on MovieTweetings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from tfrec import data, evaluation, losses, models, optimizers
from tfrec.datasets import movietweetings
from tfrec.features import FeatureSpec


def two_tower(
    train: pd.DataFrame, folder: Path, *, seed: int, epochs: int = 16, verbose: Any = 1
) -> tuple[models.TwoTower, FeatureSpec, dict[str, Any]]:
    """DSSM on every row that has a history: which film came next.

    Returns: model, adapted spec, history of `fit`.
    """
    keras.utils.set_random_seed(seed)
    spec = movietweetings.retrieval_spec().adapt(train, folder)
    spec.save(folder / "spec.json")
    model = models.dssm(
        spec,
        item_id="movie_id",
        hidden_units=(128,),
        temperature=0.1,
        dropout=0.3,
        seed=seed,
    )
    model.compile(optimizers.RowSparseAdagrad(0.2), losses.InBatchSoftmax())
    train = train[train["rated_before"] > 0]
    rows = data.from_pandas(
        train, spec, batch_size=1024, shuffle=True, seed=seed, drop_remainder=True
    )
    fitted = model.fit(rows, epochs=epochs, shuffle=False, verbose=verbose)
    return model, spec, fitted.history


def ranker(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    folder: Path,
    *,
    seed: int,
    epochs: int = 25,
    verbose: Any = 1,
) -> tuple[keras.Model, FeatureSpec, dict[str, Any]]:
    """DeepFM: will this user like this film? Stops where validation is best.

    Returns: model, adapted spec, history of `fit`.
    """
    keras.utils.set_random_seed(seed)
    spec = movietweetings.spec().adapt(train, folder)
    spec.save(folder / "spec.json")
    model = models.deepfm(
        spec, hidden_units=(128, 64), dropout=0.3, unknown_rate=0.1, seed=seed
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    # A small accumulator: rows that are seldom looked up still learn fast.
    optimizer = optimizers.RowSparseAdagrad(0.05, initial_accumulator_value=1e-3)
    model.compile(optimizer, loss)
    stop = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=3, restore_best_weights=True
    )
    fitted = model.fit(
        data.from_pandas(train, spec, batch_size=1024, shuffle=True, seed=seed),
        validation_data=data.from_pandas(validation, spec, batch_size=4096),
        epochs=epochs,
        callbacks=[stop],
        shuffle=False,
        verbose=verbose,
    )
    return model, spec, fitted.history


def seen_before(log: pd.DataFrame, users: pd.Series) -> list[np.ndarray]:
    """The films that each of these users has in the log."""
    films = log.groupby("user_id")["movie_id"].agg(np.asarray)
    return [np.asarray(films.get(user, ())) for user in users]


def vectors(tower: keras.Model, rows: pd.DataFrame, spec: FeatureSpec) -> np.ndarray:
    """A tower's vectors of raw rows, in process."""
    names = [tensor.name for tensor in tower.inputs]
    batches = data.from_pandas(rows, spec, columns=names, batch_size=4096)
    return tower.predict(batches, verbose=0)


def retrieval_metrics(
    model: models.TwoTower,
    spec: FeatureSpec,
    train: pd.DataFrame,
    test: pd.DataFrame,
    catalogue: pd.DataFrame,
) -> dict[str, float]:
    """Leave-last-out: the held-out film among all, the user's own removed."""
    return evaluation.evaluate_retrieval(
        vectors(model.user_tower, test, spec),
        vectors(model.item_tower, catalogue, spec),
        test["movie_id"].to_numpy(),
        item_ids=catalogue["movie_id"].to_numpy(),
        exclude=seen_before(train, test["user_id"]),
    )


def ranking_metrics(
    model: keras.Model, spec: FeatureSpec, test: pd.DataFrame
) -> dict[str, float]:
    """AUC, GAUC and log-loss of the ranker on rows it has not seen."""
    logits = model.predict(data.from_pandas(test, spec, batch_size=4096), verbose=0)
    liked = test["liked"].to_numpy()
    grouped = evaluation.gauc(liked, logits[:, 0], test["user_id"].to_numpy())
    return {
        "AUC": evaluation.auc(liked, logits[:, 0]),
        "GAUC": grouped.value,
        "log-loss": evaluation.log_loss(liked, logits=logits[:, 0]),
    }
