"""Cells of the benchmark, their data, and the JSON that holds what was measured."""

import importlib.metadata
import itertools
import json
import os
import platform
from pathlib import Path

import criteo_like
import workers

LEARNING_RATES = {"adam": 1e-3, "adagrad": 0.05}
DIM = 16
# What tells one result of a part of the JSON from another.
KEY = ("model", "numbers", "vocabulary", "batch", "optimizer", "case")


def cells(options):
    """One dict a combination of the options; all that a system is told."""
    for model, vocabulary, batch, optimizer, numbers in itertools.product(
        options.models,
        options.vocabulary,
        options.batch,
        options.optimizers,
        options.numbers,
    ):
        yield {
            "model": model,
            "numbers": numbers,
            "vocabulary": vocabulary,
            "batch": batch,
            "optimizer": optimizer,
            "learning_rate": LEARNING_RATES[optimizer],
            "dim": DIM,
            "seed": 0,
        }


def title(cell):
    return "  ".join(f"{name}={cell[name]}" for name in KEY if name in cell)


def arrays_of(folder, rows, vocabulary):
    """The folder of the arrays, which are written at first use."""
    return criteo_like.write_arrays(
        folder / f"arrays_{vocabulary}_{rows}", rows, vocabulary
    )


def machine():
    versions = {
        name: importlib.metadata.version(name)
        for name in ("tensorflow", "keras", "numpy")
    }
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **versions,
        "deepctr": workers.DEEPCTR,
    }


def read(path):
    return json.loads(path.read_text()) if path.exists() else {}


def keep(path, part, result):
    """Puts a result into the JSON, in the place of one with the same key."""
    known = read(path)
    key = [result.get(name) for name in KEY]
    others = [
        other
        for other in known.get(part, [])
        if [other.get(name) for name in KEY] != key
    ]
    known |= {"machine": machine(), part: [*others, result]}
    partial = Path(f"{path}.partial")
    partial.write_text(json.dumps(known, indent=1) + "\n")
    partial.replace(path)
