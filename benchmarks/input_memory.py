"""Peak memory of a pass over files larger than what it may use.

    python benchmarks/input_memory.py [--gigabytes 2] [--format parquet] [--folder DIR]

Writes a seeded file set of 26 string and 13 numeric columns of at least that size
(kept in DIR for the next run), reads it once in a process of its own through
`from_parquet` or `from_csv`, shuffled, and prints the peak of its resident memory
above that of the process with everything imported.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

CHUNK = 100_000
READER = """
import json, resource, sys
from tfrec import FeatureSpec, data
folder, kind, batch_size = sys.argv[1], sys.argv[2], 4096
spec = FeatureSpec.load(folder + "/spec.json")
read = {"parquet": data.from_parquet, "csv": data.from_csv}[kind]
small = read(folder + "/small." + kind, spec, batch_size=64)
for _ in small.take(1):
    pass
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = 0
whole = read(folder + "/log." + kind, spec, batch_size=batch_size, shuffle=True)
for _, label in whole:
    rows += int(label.shape[0])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"rows": rows, "imported_mb": before / 1024, "peak_mb": after / 1024}))
"""


def chunk(random, rows):
    columns = {f"n{k}": random.lognormal(0, 1, rows) for k in range(13)}
    for k in range(26):
        ids = random.zipf(1.2, rows) % (100 * (k + 1))
        columns[f"c{k}"] = np.char.add(f"value {k} ", ids.astype(str))
    columns["label"] = random.integers(0, 2, rows).astype("float32")
    return pa.table(columns)


def write(folder, kind, gigabytes):
    """A file of at least that size, a small one, and their spec."""
    from tfrec import Categorical, FeatureSpec, Numeric

    random = np.random.default_rng(0)
    first = chunk(random, CHUNK)
    opened = {
        "parquet": lambda path: pa.parquet.ParquetWriter(
            path, first.schema, compression="none", use_dictionary=False
        ),
        "csv": lambda path: pa.csv.CSVWriter(path, first.schema),
    }[kind]
    path = folder / f"log.{kind}"
    with opened(str(path)) as writer:
        while not path.exists() or path.stat().st_size < gigabytes * 2**30:
            writer.write_table(first)  # the same rows: only the size matters
    with opened(str(folder / f"small.{kind}")) as writer:
        writer.write_table(first.slice(0, 1000))
    columns = [Numeric(f"n{k}", side="user", scaling="log1p") for k in range(13)]
    columns += [Categorical(f"c{k}", side="item") for k in range(26)]
    spec = FeatureSpec(columns, labels=["label"]).adapt(first, folder / "vocabularies")
    spec.save(folder / "spec.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--format", choices=["parquet", "csv"], default="parquet")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / f"small.{options.format}").exists():
            write(folder, options.format, options.gigabytes)
        command = [sys.executable, "-c", READER, str(folder), options.format]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        found["file_mb"] = (folder / f"log.{options.format}").stat().st_size / 2**20
        found["above_imported_mb"] = found["peak_mb"] - found["imported_mb"]
        print(json.dumps({name: round(value) for name, value in found.items()}))


if __name__ == "__main__":
    main()
