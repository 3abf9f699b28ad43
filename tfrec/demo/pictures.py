"""The demo's pictures, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib.figure import Figure

GENRES = ("Documentary", "Animation", "Horror", "Sci-Fi", "Romance", "Crime", "Comedy")
OFTEN = 20


def training_curves(
    histories: Mapping[str, Mapping[str, Sequence[float]]], file: Path
) -> Path:
    """Loss by epoch, one panel a model; solid training, dashed validation."""
    figure = Figure(figsize=(5 * len(histories), 3.6), layout="constrained")
    panels = figure.subplots(1, len(histories), squeeze=False)[0]
    for panel, (model, history) in zip(panels, histories.items(), strict=True):
        for name in ("loss", "val_loss"):
            if name in history:
                epochs = np.arange(1, len(history[name]) + 1)
                style = "--" if name == "val_loss" else "-"
                label = "validation" if name == "val_loss" else "training"
                panel.plot(epochs, history[name], style, marker=".", label=label)
        panel.set(title=model, xlabel="epoch", ylabel="loss")
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(file, dpi=110)
    return file


def recall_bars(results: Mapping[str, Mapping[str, float]], file: Path) -> Path:
    """Recall@10 and NDCG@10 of the two-tower model beside the baselines."""
    metrics = ("Recall@10", "NDCG@10")
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    panel = figure.subplots()
    width = 0.38
    for number, metric in enumerate(metrics):
        places = np.arange(len(results)) + (number - 0.5) * width
        values = [row[metric] for row in results.values()]
        bars = panel.bar(places, values, width, label=metric)
        panel.bar_label(bars, fmt="%.3f", fontsize=8)
    panel.set_xticks(np.arange(len(results)), list(results))
    panel.set_title("Next film among the whole catalogue, seen films removed")
    panel.margins(y=0.15)
    panel.legend()
    figure.savefig(file, dpi=110)
    return file


def item_map(
    vectors: np.ndarray, films: pd.DataFrame, ratings: pd.Series, file: Path
) -> Path:
    """Vectors of the films that were rated often, by genre.

    The plane is the one that spreads the genres' mean vectors most (principal
    components of the means); of each genre the film farthest out is named.
    """
    counts = films["movie_id"].map(ratings).fillna(0).to_numpy()
    often = counts >= OFTEN
    genre = np.full(len(films), "", object)
    for name in reversed(GENRES):
        genre[films["genres"].fillna("").str.contains(name, regex=False)] = name
    groups = {name: often & (genre == name) for name in GENRES}
    means = np.stack([vectors[rows].mean(axis=0) for rows in groups.values()])
    centre = vectors[often].mean(axis=0)
    _, _, axes = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    flat = (vectors - centre) @ axes[:2].T
    figure = Figure(figsize=(8.4, 6.4), layout="constrained")
    panel = figure.subplots()
    rest = often & (genre == "")
    panel.scatter(*flat[rest].T, s=6, color="#cccccc", label="other")
    for name, rows in groups.items():
        panel.scatter(*flat[rows].T, s=14, alpha=0.8, label=name)
    for rows in groups.values():
        far = np.argmax(np.where(rows, np.linalg.norm(flat, axis=1), -1))
        panel.annotate(films["title"].iloc[far], flat[far], fontsize=8)
    panel.set(
        title=f"Item vectors of the served tower, films with {OFTEN} ratings or more",
        xlabel="direction 1 between the genres' means",
        ylabel="direction 2",
    )
    panel.margins(x=0.12)
    panel.legend(markerscale=1.5, fontsize=8)
    figure.savefig(file, dpi=110)
    return file
