"""Seeded rows like Criteo's click log, of any number, with a planted signal.

    python benchmarks/criteo_like.py FILE.parquet [--rows 1000000]
        [--vocabulary 3244749] [--seed 0]

13 numbers `n0` .. `n12` (log-normal), 26 categories `c0` .. `c25` (int64) and
`click`. The vocabularies of the columns grow geometrically, 1e2 .. 1e6 where all
together hold 3,244,749 values, and in the same ratios for another total. Ranks
follow Zipf's law with exponent 1.05 and are spread over the vocabulary by a
permutation, so that frequent values do not stand side by side.

The log-odds of a click are a sum of the numbers' logarithms, of one hidden effect
of each value, and of inner products of hidden vectors of the values of the eight
smallest columns. Rows are made in chunks with a generator each: a longer file
begins with the shorter one, and memory does not grow with the file.

>>> len(sizes(100_000)), sum(sizes(100_000))
(26, 100000)
>>> one, two = next(chunks(1000)), next(chunks(2000))
>>> bool((one.ids == two.ids[:1000]).all() and (one.click == two.click[:1000]).all())
True
"""

import argparse
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

NUMBERS = tuple(f"n{number}" for number in range(13))
VALUES = tuple(f"c{number}" for number in range(26))
LABEL = "click"
TOTAL = 3_244_749
ROWS = 1_000_000
CHUNK = 100_000
EXPONENT = 1.05
PAIRED, FACTORS = 8, 4  # columns whose hidden vectors meet, and their width
RESERVED = 2  # tfrec's ids of padding and unknown


class Rows(NamedTuple):
    """ids `(rows, 26)` int64 from 0, numbers `(rows, 13)` float32, click `(rows,)`,
    probability `(rows,)`: the chance that the click was drawn with."""

    ids: np.ndarray
    numbers: np.ndarray
    click: np.ndarray
    probability: np.ndarray


def sizes(total=TOTAL):
    """Vocabulary of each column; all together `total` values."""
    shape = np.geomspace(1e2, 1e6, len(VALUES))
    found = np.maximum(2, np.floor(shape * total / shape.sum())).astype(int)
    found[-1] += total - found.sum()
    if found[-1] < 2:
        raise ValueError(f"sizes: `total` must be an int >= 100. Received: {total}")
    return [int(size) for size in found]


def chunks(rows=ROWS, total=TOTAL, seed=0):
    """The rows, `CHUNK` at a time."""
    for number, start in enumerate(range(0, rows, CHUNK)):
        random = np.random.default_rng([seed, number])
        made = _chunk(random, sizes(total))
        yield Rows(*(part[: rows - start] for part in made))


def _chunk(random, vocabularies):
    normals = random.normal(size=(CHUNK, len(NUMBERS)))
    places = random.random((CHUNK, len(VALUES)))
    ids = np.empty(places.shape, np.int64)
    for column, size in enumerate(vocabularies):
        ranks = _zipf(places[:, column], size)
        ids[:, column] = (ranks * _step(size) + size // 3) % size
    logits = -1.2 + 0.6 * normals.sum(axis=1) / math.sqrt(len(NUMBERS))
    for column in range(len(VALUES)):
        effect = _hidden(ids[:, column], column, 0)
        logits += 1.2 * effect / math.sqrt(len(VALUES))
    for factor in range(1, 1 + FACTORS):
        of_column = [_hidden(ids[:, c], c, factor) for c in range(PAIRED)]
        vectors = np.stack(of_column, axis=1)
        pairs = vectors.sum(axis=1) ** 2 - (vectors**2).sum(axis=1)
        logits += 0.5 * pairs / math.sqrt(PAIRED * (PAIRED - 1) / 2 * FACTORS)
    probability = 1 / (1 + np.exp(-logits))
    click = (random.random(CHUNK) < probability).astype(np.float32)
    return Rows(ids, np.exp(normals).astype(np.float32), click, probability)


def _zipf(uniform, size):
    """Ranks 0 .. size - 1: the inverse of the continuous distribution function."""
    power = 1 - EXPONENT
    ranks = (1 + uniform * ((size + 1.0) ** power - 1)) ** (1 / power)
    return np.clip(ranks.astype(np.int64) - 1, 0, size - 1)


def _step(size):
    """A step near the golden section of `size` that visits every place once."""
    step = max(1, int(size * 0.6180339887))
    while math.gcd(step, size) > 1:
        step += 1
    return step


def _hidden(ids, column, factor):
    """A number of variance 1 for each value: a hash, so that nothing is stored."""
    with np.errstate(over="ignore"):
        x = ids.astype(np.uint64) + np.uint64((column * 64 + factor + 1) << 40)
        for multiplier in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
            x = (x ^ (x >> np.uint64(30))) * np.uint64(multiplier)
        x = x ^ (x >> np.uint64(31))
    return (x / 2.0**64 - 0.5) * math.sqrt(12)


def write_parquet(path, rows=ROWS, total=TOTAL, seed=0):
    """The rows as a Parquet file, one chunk in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = [(name, pa.float32()) for name in NUMBERS]
    schema += [(name, pa.int64()) for name in VALUES]
    schema = pa.schema([*schema, (LABEL, pa.float32())])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with pq.ParquetWriter(partial, schema) as writer:
        for chunk in chunks(rows, total, seed):
            columns = [*chunk.numbers.T, *chunk.ids.T, chunk.click]
            arrays = [pa.array(np.ascontiguousarray(column)) for column in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    partial.rename(path)
    return path


def write_arrays(folder, rows=ROWS, total=TOTAL, seed=0):
    """The rows as a model takes them, in .npy files that can be memory-mapped.

    ids `(26, rows)` int32 from `RESERVED`, numbers `(13, rows)` float32 as
    log(1 + x), click and probability `(rows,)` float32. Files that are there stay.
    """
    shapes = {
        "ids": ((len(VALUES), rows), np.int32),
        "numbers": ((len(NUMBERS), rows), np.float32),
        "click": ((rows,), np.float32),
        "probability": ((rows,), np.float32),
    }
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        files = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
            for name, (shape, dtype) in shapes.items()
        }
        start = 0
        for chunk in chunks(rows, total, seed):
            stop = start + len(chunk.click)
            files["ids"][:, start:stop] = chunk.ids.T + RESERVED
            files["numbers"][:, start:stop] = np.log1p(chunk.numbers.T)
            files["click"][start:stop] = chunk.click
            files["probability"][start:stop] = chunk.probability
            start = stop
        for file in files.values():
            file.flush()
        (folder / "done").touch()
    return folder


def read_arrays(folder):
    """What `write_arrays` wrote, memory-mapped, by name."""
    names = ("ids", "numbers", "click", "probability")
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--vocabulary", type=int, default=TOTAL)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write_parquet(options.file, options.rows, options.vocabulary, options.seed)
    print(f"{options.file}: {options.rows:,} rows, {options.file.stat().st_size:,} B")


if __name__ == "__main__":
    main()
