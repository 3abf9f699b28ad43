"""Rows per second of the input pipeline, beside a raw read and a training step.

    python benchmarks/input_pipeline.py [--rows 300000] [--seconds 3] [--output FILE]

Seeded Criteo-like rows: 13 numeric and 26 categorical columns with Zipf ids, as
integers and as strings. Each line is the input alone at the batch size, shuffled
but for the raw reads; the last is `fit` of DeepFM with RowSparseAdagrad on arrays
that are in memory already. Prints a table and writes the numbers as JSON.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from tfrec import data, models, optimizers
from tfrec.features import Categorical, FeatureSpec, Numeric

CHUNK = 100_000
SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
NUMBERS = [f"n{number}" for number in range(13)]
VALUES = [f"c{number}" for number in range(26)]


def chunks(rows, text):
    """Tables of `CHUNK` rows; the same whether ids are written as text or not."""
    random = np.random.default_rng(0)
    for start in range(0, rows, CHUNK):
        size = min(CHUNK, rows - start)
        columns = {
            name: random.lognormal(size=size).astype(np.float32) for name in NUMBERS
        }
        for number, name in enumerate(VALUES):
            ids = random.zipf(1.1, size) % SIZES[number % len(SIZES)]
            columns[name] = [f"{value:08x}" for value in ids] if text else ids
        columns["click"] = random.integers(0, 2, size).astype(np.int8)
        yield pa.table(columns)


def write(rows, folder):
    """The file set: Parquet with integers and with strings, CSV with integers."""
    for name, text in (("integers", False), ("strings", True)):
        writers = []
        for table in chunks(rows, text):
            if not writers:
                path = folder / name
                writers = [pq.ParquetWriter(f"{path}.parquet", table.schema)]
                if not text:
                    writers += [csv.CSVWriter(f"{path}.csv", table.schema)]
            for writer in writers:
                writer.write_table(table)
        for writer in writers:
            writer.close()


def make_spec(path, text, folder):
    dtype = "string" if text else "int64"
    columns = [Numeric(name, side="context", scaling="log1p") for name in NUMBERS]
    columns += [Categorical(name, side="context", dtype=dtype) for name in VALUES]
    return FeatureSpec(columns, labels=["click"]).adapt(path, folder)


def raw_read(path):
    """Rows per second of pyarrow alone."""
    started, rows = time.perf_counter(), 0
    if path.suffix == ".csv":
        rows = sum(batch.num_rows for batch in csv.open_csv(path))
    else:
        with pq.ParquetFile(path) as reader:
            rows = sum(batch.num_rows for batch in reader.iter_batches(65_536))
    return rows / (time.perf_counter() - started)


def train(spec, path, batch_size, seconds):
    """Rows per second of `fit` on arrays in memory, after a first epoch."""
    frame = pd.read_parquet(path).head(40 * batch_size)
    columns, labels = next(iter(data.from_pandas(frame, spec, batch_size=len(frame))))
    columns = {name: values.numpy() for name, values in columns.items()}
    model = models.deepfm(spec, hidden_units=(256, 128, 64), seed=0)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizers.RowSparseAdagrad(), loss)
    options = {"batch_size": batch_size, "verbose": 0}
    model.fit(columns, labels.numpy(), **options)
    started, rows = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        model.fit(columns, labels.numpy(), **options)
        rows += len(frame)
    return rows / (time.perf_counter() - started)


def measure(options, folder):
    write(options.rows, folder)
    parquet, strings = folder / "integers.parquet", folder / "strings.parquet"
    table = folder / "integers.csv"
    spec = make_spec(parquet, False, folder / "integers")
    text_spec = make_spec(strings, True, folder / "strings")
    common = {"batch_size": options.batch_size, "shuffle": True}
    frame = pd.read_parquet(parquet)
    cases = {
        "raw pyarrow, Parquet, integers": lambda: raw_read(parquet),
        "raw pyarrow, Parquet, strings": lambda: raw_read(strings),
        "raw pyarrow, CSV": lambda: raw_read(table),
        "from_parquet, integers": lambda: data.from_parquet(parquet, spec, **common),
        "from_parquet, strings": lambda: data.from_parquet(
            strings, text_spec, **common
        ),
        "from_csv, integers": lambda: data.from_csv(table, spec, **common),
        "from_pandas, integers": lambda: data.from_pandas(frame, spec, **common),
        "from_parquet, cached": lambda: data.from_parquet(
            parquet, spec, cache=folder / "cache", **common
        ),
        "DeepFM train step": lambda: train(
            spec, parquet, options.batch_size, options.seconds
        ),
    }
    found = {}
    for name, make in cases.items():
        made = make()
        if not isinstance(made, float):
            made = data.throughput(made, seconds=options.seconds).rows_per_second
        found[name] = made
        print(f"{name:32} {made:12,.0f} rows/s", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each line")
    parser.add_argument("--output", type=Path, help="also write the numbers as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options, Path(folder))
    step = found["DeepFM train step"]
    print(f"\n{'':32} {'rows/s':>12}  x train step")
    for name, speed in found.items():
        print(f"{name:32} {speed:12,.0f}  {speed / step:6.1f}")
    if options.output:
        rows = {"rows": options.rows, "batch_size": options.batch_size}
        options.output.write_text(json.dumps({**rows, "rows_per_second": found}))


if __name__ == "__main__":
    main()
