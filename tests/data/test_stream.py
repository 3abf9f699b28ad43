import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.data import from_parquet
from tfrec.data.stream import cut
from tfrec.features import FeatureSpec, Numeric


@given(counts=st.lists(st.integers(0, 9), max_size=6), count=st.integers(1, 4))
def test_pieces_cover_each_row_once(counts, count):
    total = sum(counts)
    found = []
    for index in range(count):
        start, stop = total * index // count, total * (index + 1) // count
        for file, first, last in cut(list(range(len(counts))), counts, start, stop):
            found += [(file, row) for row in range(first, last)]
    assert found == [(file, row) for file, n in enumerate(counts) for row in range(n)]


def test_a_file_that_shrinks_is_no_shorter_epoch(tmp_path):
    spec = FeatureSpec([Numeric("x", side="user")])
    pd.DataFrame({"x": np.arange(9)}).to_parquet(tmp_path / "a.parquet")
    dataset = from_parquet(tmp_path / "a.parquet", spec, batch_size=3)
    pd.DataFrame({"x": np.arange(6)}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(
        Exception, match="must not change while it is read. Received: 6"
    ):
        list(dataset)


PASS = """
import json, resource, sys
import tensorflow as tf
from tfrec.data import from_parquet, throughput
from tfrec.features import Categorical, FeatureSpec, Numeric

path, directory, small = sys.argv[1:4]
columns = [Numeric(f"n{i}", side="user") for i in range(13)]
columns += [
    Categorical(f"c{i}", side="item", dtype="int64", hash_buckets=1000)
    for i in range(26)
]
spec = FeatureSpec(columns, labels=["y"])
options = {"batch_size": 4096, "shuffle": True, **json.loads(sys.argv[4])}

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

for _ in from_parquet(small, spec, batch_size=4096):  # TensorFlow's own start
    pass
before, rows = peak(), 0
for _, y in from_parquet(path, spec, **options):
    rows += len(y)
print(json.dumps({"rows": rows, "grown": peak() - before}))
"""


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """1.6 million rows of 40 columns, 200 MB on disk, over 400 MB as columns."""
    folder = tmp_path_factory.mktemp("big")
    random = np.random.default_rng(0)
    rows = 200_000

    def table():
        columns = {f"n{i}": random.normal(size=rows).astype("f4") for i in range(13)}
        for i in range(26):
            columns[f"c{i}"] = random.integers(0, 50_000, rows)
        return pa.table({**columns, "y": random.integers(0, 2, rows)})

    whole = table()
    pq.write_table(whole.slice(0, 8192), folder / "small.parquet")
    with pq.ParquetWriter(folder / "big.parquet", whole.schema) as writer:
        for number in range(8):
            writer.write_table(whole if number % 2 else table())
    size = (folder / "big.parquet").stat().st_size
    assert size > 180e6, size
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("cached", [False, True])
def test_a_pass_does_not_hold_the_file(big, tmp_path, cached):
    options = {"cache": str(tmp_path / "ids")} if cached else {}
    done = subprocess.run(
        [
            *(sys.executable, "-c", PASS, big / "big.parquet", tmp_path),
            *(big / "small.parquet", json.dumps(options)),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"] == 1_600_000
    assert found["grown"] < 250  # MB; the decoded columns alone have 420
