"""The demo's pictures, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib.figure import Figure

GENRES = ("Horror", "Animation", "Comedy", "Thriller", "Documentary", "Romance")


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


def item_map(vectors: np.ndarray, genres: Sequence[str], file: Path) -> Path:
    """Item vectors on their first two principal components, by genre."""
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    flat = centred @ axes[:2].T
    figure = Figure(figsize=(7.2, 6), layout="constrained")
    panel = figure.subplots()
    panel.scatter(*flat.T, s=4, color="#dddddd", label="other")
    for genre in GENRES:
        inside = np.array([genre in str(entry).split("|") for entry in genres])
        if inside.any():
            panel.scatter(*flat[inside].T, s=7, alpha=0.7, label=genre)
    panel.set(
        title="Item vectors of the served tower, first two principal components",
        xlabel="component 1",
        ylabel="component 2",
    )
    panel.legend(markerscale=2, fontsize=8)
    figure.savefig(file, dpi=110)
    return file
