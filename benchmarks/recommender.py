"""The recommender servable at a million items: memory, latency, recall.

    python benchmarks/recommender.py [--items 1000000] [--dim 64]

Prints a table: exact search, then an inverted file at several probes, its recall
against exact search, for one user and for a batch of 16. Vectors are a mixture of
1,000 clusters, users are near clusters too: easier than uniform, like real towers.
"""

import argparse
import os
import resource
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from tfrec.export.retrieval import Retrieval, order_by_cell

K, ROUNDS, BATCH = 200, 20, 16


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--cells", type=int, default=1024)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    centres = random.normal(size=(1000, options.dim))

    def drawn(rows):
        found = np.empty((rows, options.dim), np.float32)
        for start in range(0, rows, 100_000):
            part = found[start : start + 100_000]
            near = centres[random.integers(0, len(centres), len(part))]
            part[:] = near + random.normal(size=part.shape)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    vectors, users = drawn(options.items), drawn(BATCH * 8)
    start = time.perf_counter()
    order, cells, starts = order_by_cell(vectors, options.cells)
    built = time.perf_counter() - start
    vectors = vectors[order]
    shares = np.zeros(options.items, np.float32)
    size = vectors.nbytes / 2**20
    print(f"{options.items:,} items x {options.dim}: the matrix has {size:.0f} MB")
    print(f"k-means and assignment to {options.cells} cells: {built:.1f} s\n")
    titles = "search", "ms, 1 user", "99 %", f"ms, {BATCH} users", f"recall@{K}"
    print("{:>12} {:>11} {:>7} {:>13} {:>11}".format(*titles))
    exact = asker(Retrieval(vectors, shares))
    wanted = found(exact, users, None)
    show("exact", exact, users, None, 1.0)
    near = asker(Retrieval(vectors, shares, cells, starts))
    for probes in (4, 8, 16, 32, 64):
        both = zip(found(near, users, probes), wanted, strict=True)
        recall = np.mean([len(set(a) & set(b)) / K for a, b in both])
        show(f"{probes} probes", near, users, probes, recall)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"\npeak memory of the process: {peak:.0f} MB, both graphs and this script's")


def asker(graph):
    """The graph as a function of users, nothing excluded."""
    traced = tf.function(graph)

    def ask(users, probes):
        rows = len(users)
        none = tf.zeros([rows, 1], tf.int64) - 1
        return traced(
            tf.constant(users[:, None]),
            tf.ones([rows], tf.bool),
            none,
            none,
            tf.zeros([rows], tf.bool),
            tf.constant(K),
            None if probes is None else tf.constant(probes),
        )

    return ask


def found(ask, users, probes):
    parts = [users[i : i + BATCH] for i in range(0, len(users), BATCH)]
    return np.concatenate([ask(part, probes)[1].numpy() for part in parts])


def timed(ask, users, probes, rows):
    times = []
    for turn in range(ROUNDS + 2):
        part = users[(turn * rows) % (len(users) - rows + 1) :][:rows]
        start = time.perf_counter()
        ask(part, probes)[1].numpy()
        times.append(1000 * (time.perf_counter() - start))
    return np.array(times[2:])


def show(name, ask, users, probes, recall):
    one = timed(ask, users, probes, 1)
    many = timed(ask, users, probes, BATCH)
    print(
        f"{name:>12} {np.median(one):11.2f} {np.percentile(one, 99):7.1f}"
        f" {np.median(many):13.1f} {recall:11.4f}"
    )


if __name__ == "__main__":
    main()
