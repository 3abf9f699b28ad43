"""Where the time of a training step of tfrec goes, as a table and a picture.

    python benchmarks/profile_step.py [--models deepfm] [--vocabulary 100000 20000000]
        [--batch 1024 8192] [--optimizers adam adagrad] [--picture FILE.png]

CPU ms a step, in one process for each cell. Functions that do more and more of a step
are timed in turns, the median over the rounds is taken, and a part is the difference
of two that follow each other:

    lookup      the rows of the batch out of the table
    forward     the rest of the model and the loss
    backward    gradients; those of the table as rows
    optimizer   `train_step` less what is above: sums of repeated rows, new rows
    Python      `fit` on tensors that are ready, less `train_step`
    input       `fit` on tfrec's pipeline, ids made, less that

Beside them stand what a call of `fit` costs once, whatever its length, and what the
input costs more where `fit` is given a dict of columns in memory. Small parts are
noise: a difference of two large numbers may be below 0.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import criteo_like
import workers
from training_cells import arrays_of, cells, keep, title

HERE = Path(__file__).resolve().parent
PARTS = ("lookup", "forward", "backward", "optimizer", "Python", "input")


def timed(function):
    """CPU ms of a call."""
    started = time.process_time()
    function()
    return 1000 * (time.process_time() - started)


def functions_of(system, steps):
    """Functions by name, each doing more of a step than the one before.

    The first take `steps` steps, those that call `fit` as many as they are told.
    """
    import keras
    import numpy as np
    import tensorflow as tf
    from systems.columns import columns_of

    from tfrec.embeddings import EmbeddingTable

    model, batch = system.model, system.cell["batch"]
    columns = columns_of(system.arrays, 0, steps * batch)
    click = np.asarray(system.arrays["click"][: steps * batch])
    dataset = tf.data.Dataset.from_tensor_slices((columns, click)).batch(batch)
    ready = list(dataset.take(steps))
    whole = tf.data.Dataset.from_tensors(ready[0]).repeat(steps).prefetch(2)
    tables = [layer for layer in model.layers if isinstance(layer, EmbeddingTable)]
    outputs = [layer.output for layer in tables]
    looked_up = keras.Model(model.inputs, outputs)

    def loss_of(x, y):
        return model.loss(tf.reshape(y, [-1, 1]), model(x, training=True))

    @tf.function
    def lookup(x, y):
        return looked_up(x, training=True)

    @tf.function
    def backward(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(x, y)
        # IndexedSlices as they are: nothing sums or spreads them here.
        return tape.gradient(loss, [w.value for w in model.trainable_weights])

    forward = tf.function(loss_of)
    step = tf.function(lambda x, y: model.train_step((x, y)))

    def over(function):
        return lambda: [function(*each) for each in ready]

    def of_columns(count):
        rows = slice(0, count * batch)
        window = {name: values[rows] for name, values in columns.items()}
        model.fit(window, click[rows], batch_size=batch, shuffle=False, verbose=0)

    steps_alone = {
        "lookup": over(lookup),
        "forward": over(forward),
        "backward": over(backward),
        "optimizer": over(step),
    }
    fits = {
        "Python": lambda count: model.fit(whole.take(count), verbose=0),
        "input": lambda count: system.run(0, count * batch),
        "columns": of_columns,
    }
    return steps_alone, fits


def measure(cell, arrays, steps, rounds):
    """CPU ms a step of each part, and what stands beside them."""
    from systems.ours import System

    system = System(cell, criteo_like.read_arrays(Path(arrays)))
    steps_alone, fits = functions_of(system, steps)
    times = {name: [] for name in (*steps_alone, *fits, "start")}
    for number in range(rounds + 1):
        found = {name: timed(each) / steps for name, each in steps_alone.items()}
        for name, fit in fits.items():
            # `fit` costs something once; a longer one less a short one does not.
            once, all_of_it = timed(lambda f=fit: f(1)), timed(lambda f=fit: f(steps))
            found[name] = (all_of_it - once) / (steps - 1)
            if name == "input":
                found["start"] = once - found[name]
        if number:  # the first traces
            for name, value in found.items():
                times[name].append(value)
    found = {name: statistics.median(values) for name, values in times.items()}
    parts, before = {}, 0.0
    for name in PARTS:
        parts[name] = found[name] - before
        before = found[name]
    return {
        "parts": parts,
        "fit_start_ms": found["start"],
        "columns_ms": found["columns"] - found["input"],
    }


def picture(path, results):
    """One bar a cell, its parts in CPU ms."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [
        f"{cell['model']}, {cell['vocabulary']:,} rows\n"
        f"batch {cell['batch']}, {cell['optimizer']}"
        for cell in results
    ]
    figure, axes = plt.subplots(figsize=(9, 1 + 0.6 * len(names)))
    left = [0.0] * len(names)
    for part in PARTS:
        widths = [max(0.0, cell["parts"][part]) for cell in results]
        axes.barh(names, widths, left=left, label=part)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_xlabel("CPU ms a step")
    axes.invert_yaxis()
    axes.legend(ncols=len(PARTS), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["deepfm"])
    parser.add_argument(
        "--vocabulary", nargs="+", type=int, default=[100_000, 20_000_000]
    )
    parser.add_argument("--batch", nargs="+", type=int, default=[1024, 8192])
    parser.add_argument("--optimizers", nargs="+", default=["adam", "adagrad"])
    parser.add_argument("--numbers", nargs="+", default=["beside"])
    parser.add_argument("--steps", type=int, default=20, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    folder = Path(tempfile.gettempdir()) / "tfrec-benchmarks"
    parser.add_argument("--folder", type=Path, default=folder)
    parser.add_argument("--output", type=Path, default=HERE / "training_results.json")
    parser.add_argument(
        "--picture", type=Path, default=HERE.parent / "docs" / "profile_step.png"
    )
    parser.add_argument("--cell", help="one cell as JSON, measured in this process")
    return parser.parse_args()


def main():
    options = arguments()
    if options.cell:
        arrays = os.environ["TFREC_ARRAYS"]
        found = measure(json.loads(options.cell), arrays, options.steps, options.rounds)
        print(json.dumps(found))
        return
    results = []
    for cell in cells(options):
        rows = options.steps * cell["batch"]
        arrays = arrays_of(options.folder, rows, cell["vocabulary"])
        done = subprocess.run(
            [
                *(sys.executable, __file__, "--cell", json.dumps(cell)),
                *(f"--steps={options.steps}", f"--rounds={options.rounds}"),
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                **workers.ENVIRONMENT,
                "PYTHONWARNINGS": "ignore",  # Keras on shuffling a Dataset
                "TFREC_ARRAYS": str(arrays),
            },
        )
        results.append({**cell, **json.loads(done.stdout.splitlines()[-1])})
        keep(options.output, "profile", results[-1])
        print(title(cell))
        for part, value in results[-1]["parts"].items():
            print(f"  {part:10} {value:8.2f} CPU ms")
        print(f"  {'fit':10} {sum(results[-1]['parts'].values()):8.2f}")
        print(f"  start of fit {results[-1]['fit_start_ms']:.0f} ms, once")
        print(f"  of columns {results[-1]['columns_ms']:8.2f} more", flush=True)
    picture(options.picture, results)
    print(options.picture)


if __name__ == "__main__":
    main()
