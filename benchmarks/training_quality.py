"""Exact AUC after the same epochs on the same rows in the same order.

A seed draws the weights that a model starts from; the rows are the same for all.
The last tenth of the rows is held out.
"""

import numpy as np
import workers
from training_cells import arrays_of, cells, keep, title

from tfrec.evaluation import auc


def quality(options):
    for cell in cells(options):
        print(title(cell), flush=True)
        found = {system: [] for system in options.systems}
        arrays = arrays_of(options.folder, options.rows, cell["vocabulary"])
        split = options.rows * 9 // 10 // cell["batch"] * cell["batch"]
        click = np.load(arrays / "click.npy", mmap_mode="r")[split:]
        probability = np.load(arrays / "probability.npy", mmap_mode="r")[split:]
        for seed in range(options.seeds):
            for system in options.systems:
                area = area_of(
                    system, {**cell, "seed": seed}, arrays, split, click, options
                )
                found[system].append(area)
                print(f"  seed {seed}  {system:8} {area}", flush=True)
        result = {
            "rows": split,
            "epochs": options.epochs,
            "best_possible": auc(click, probability),
            "auc": found,
        }
        keep(options.output, "quality", {**cell, **result})


def area_of(system, cell, arrays, split, click, options):
    """AUC of one run, or why there is none."""
    try:
        worker = workers.Worker(
            system, cell, arrays, options.folder, 20 * options.timeout
        )
        file = options.folder / "predicted.npy"
        try:
            for _ in range(options.epochs):
                worker.ask("train", start=0, stop=split)
            worker.ask("predict", start=split, stop=split + len(click), file=str(file))
        finally:
            worker.stop()
    except workers.Stopped as stopped:
        return str(stopped)
    return auc(click, np.load(file))
