"""Training steps of tfrec, DeepCTR, plain Keras 3 and the hand-written limit.

    python benchmarks/training.py                   the whole table (hours)
    python benchmarks/training.py --quick           a corner of it (minutes)
    python benchmarks/training.py --models deepfm --systems tfrec limit
        --vocabulary 100000 --batch 1024 --optimizers adagrad --steps 30
    python benchmarks/training.py --numbers fields --models deepfm --systems ...
    python benchmarks/training.py --quality         exact AUC beside DeepCTR's
    python benchmarks/training.py --input           fit from Parquet and from memory
    python benchmarks/training.py --memory          peak memory with 2e7 rows
    python benchmarks/training.py --report          docs/performance.md from the JSON

The options that choose cells (`--models`, `--vocabulary`, ...) go with each of them.

Each system is a process of its own; all of a cell run at the same time and take
turns, so that a noisy machine is as noisy for each of them. CPU time is that of
the whole process, user and system: the median over the rounds. A round is a `fit` of
one step and one of n, as many as fit into `--seconds`, at most `--steps`; a step is
their difference over n - 1, and what `fit` costs once stands beside it. A cell
that does not answer in `--timeout` seconds, or for which there is no memory, is
reported as such and left out of the ratios. Every finished cell goes into the JSON
at once, in place of an earlier one with the same key.

Arrays, Parquet files and the environment of DeepCTR (installed at first use) stay in
`--folder` for the next run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import criteo_like
import training_report
import workers
from training_cells import cells, keep, title
from training_speed import speed

HERE = Path(__file__).resolve().parent
SYSTEMS = tuple(workers.MODULES)
MODELS = ("deepfm", "dcn", "xdeepfm", "autoint", "fibinet")
OPTIMIZERS = ("adam", "adagrad")
# What a part of the benchmark looks at, unless told otherwise.
DEFAULTS = {
    "speed": {
        "models": MODELS,
        "systems": SYSTEMS,
        "vocabulary": (100_000, 1_000_000, 4_000_000, 20_000_000),
        "batch": (1024, 8192),
        "optimizers": OPTIMIZERS,
        "rounds": 5,
        "seconds": 3.0,
    },
    "quick": {
        "models": ("deepfm",),
        "systems": SYSTEMS,
        "vocabulary": (100_000, 4_000_000),
        "batch": (1024,),
        "optimizers": OPTIMIZERS,
        "rounds": 3,
        "seconds": 1.5,
    },
    "quality": {
        "models": ("deepfm",),
        "systems": ("tfrec", "deepctr"),
        "vocabulary": (100_000,),
        "batch": (1024,),
        "optimizers": OPTIMIZERS,
    },
    "input": {
        "models": ("deepfm",),
        "vocabulary": (1_000_000,),
        "batch": (1024, 8192),
        "optimizers": ("adagrad",),
        "rounds": 3,
    },
    "memory": {
        "models": ("deepfm",),
        "vocabulary": (100_000, 20_000_000),
        "batch": (1024,),
        "optimizers": ("adagrad",),
    },
}


def pipeline(options):
    """`--input`: one process for each cell."""
    for cell in cells(options):
        print(title(cell), flush=True)
        script = str(HERE / "training_input.py")
        parts = [json.dumps(cell), options.folder, options.rows, options.rounds]
        done = subprocess.run(
            [sys.executable, script, *map(str, parts)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **workers.ENVIRONMENT},
        )
        found = json.loads(done.stdout.splitlines()[-1])
        for name, values in found.items():
            share = values["rows_per_second"] / found["arrays"]["rows_per_second"]
            print(
                f"  {name:22} {values['rows_per_second']:9,.0f} rows/s {share:5.2f}"
                f" {values['cpu_us_per_row']:7.1f} CPU us a row",
                flush=True,
            )
        keep(options.output, "input", {**cell, "rows": options.rows, "cases": found})


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="How to run one cell stands at the top of the file.",
    )
    parts = parser.add_mutually_exclusive_group()
    for name in ("quick", "quality", "input", "memory", "report"):
        parts.add_argument(f"--{name}", action="store_const", dest="part", const=name)
    parser.add_argument("--models", nargs="+", choices=MODELS)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS)
    parser.add_argument("--vocabulary", nargs="+", type=int, help="of all columns")
    parser.add_argument("--batch", nargs="+", type=int)
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS)
    parser.add_argument(
        "--numbers",
        nargs="+",
        choices=("beside", "fields"),
        default=("beside",),
        help="beside the vectors, as DeepCTR has it (tfrec's model is then made of its "
        "layers), or as fields, as the functions of tfrec.models have it",
    )
    parser.add_argument("--rows", type=int, default=criteo_like.ROWS)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of a round, about")
    parser.add_argument("--steps", type=int, default=100, help="of a round, at most")
    parser.add_argument("--seeds", type=int, default=3, help="of --quality")
    parser.add_argument("--epochs", type=int, default=1, help="of --quality")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds")
    folder = Path(tempfile.gettempdir()) / "tfrec-benchmarks"
    parser.add_argument("--folder", type=Path, default=folder)
    parser.add_argument("--output", type=Path, default=HERE / "training_results.json")
    options = parser.parse_args()
    options.part = options.part or "speed"
    for name, value in DEFAULTS.get(options.part, {}).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def main():
    options = arguments()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.part == "report":
        training_report.write(options.output, HERE.parent / "docs" / "performance.md")
    elif options.part == "quality":
        from training_quality import quality

        quality(options)
    elif options.part == "input":
        pipeline(options)
    elif options.part == "memory":
        from training_memory import memory

        memory(options)
    else:
        speed(options)


if __name__ == "__main__":
    main()
