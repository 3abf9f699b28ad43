"""`fit` from Parquet through tfrec's pipeline beside `fit` from arrays in memory.

    python benchmarks/training_input.py CELL FOLDER ROWS ROUNDS

`training.py --input` runs it, in a process of its own; the last line is JSON. The
cases take turns, an epoch each. `arrays` are the encoded columns, and `fit` shuffles
them as Keras does.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import criteo_like
import keras
from systems import cores
from systems.ours import NAMES

from tfrec import data, models, optimizers
from tfrec.features import Categorical, FeatureSpec, Numeric


def adapted(path, folder):
    columns = [
        Numeric(name, side="context", scaling="log1p") for name in criteo_like.NUMBERS
    ]
    columns += [
        Categorical(name, side="context", dtype="int64") for name in criteo_like.VALUES
    ]
    spec = FeatureSpec(columns, labels=[criteo_like.LABEL])
    return spec.adapt(path, folder / "vocabularies")


def main():
    cell, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    rows, rounds = int(sys.argv[3]), int(sys.argv[4])
    folder = folder / f"parquet_{cell['vocabulary']}_{rows}"
    path = folder / "rows.parquet"
    if not path.exists():
        criteo_like.write_parquet(path, rows, cell["vocabulary"])
    if not (folder / "spec.json").exists():
        adapted(path, folder).save(folder / "spec.json")
    spec = FeatureSpec.load(folder / "spec.json")
    options = {"batch_size": cell["batch"], "shuffle": True, "drop_remainder": True}
    whole = data.from_parquet(path, spec, batch_size=rows)
    columns, click = next(iter(whole))
    kept = rows // cell["batch"] * cell["batch"]
    columns = {name: values.numpy()[:kept] for name, values in columns.items()}
    arrays = {"y": click.numpy()[:kept], "batch_size": cell["batch"]}
    del whole, click
    cases = {
        "arrays": lambda fit: fit(columns, **arrays),
        "from_parquet": lambda fit: fit(data.from_parquet(path, spec, **options)),
        "from_parquet, cached": lambda fit: fit(
            data.from_parquet(path, spec, cache=folder / "cache", **options)
        ),
    }
    keras.utils.set_random_seed(0)
    model = models.deepfm(spec, hidden_units=cores.HIDDEN, seed=0)
    optimizer = getattr(optimizers, NAMES[cell["optimizer"]])
    model.compile(
        optimizer(learning_rate=cell["learning_rate"]),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    found = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, case in cases.items():
            wall, cpu = time.perf_counter(), time.process_time()
            case(lambda *a, **k: model.fit(*a, verbose=0, **k))
            if number:  # the first epoch of each traces, or fills the cache
                passed = time.perf_counter() - wall
                found[name].append([passed, time.process_time() - cpu])
    print(
        json.dumps(
            {
                name: {
                    "rows_per_second": kept / statistics.median(w for w, _ in times),
                    "cpu_us_per_row": 1e6
                    * statistics.median(c for _, c in times)
                    / kept,
                }
                for name, times in found.items()
            }
        )
    )


if __name__ == "__main__":
    main()
