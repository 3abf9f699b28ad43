"""How fast an input pipeline alone delivers rows."""

from __future__ import annotations

import time
from dataclasses import dataclass

import tensorflow as tf

from tfrec import _checks


@dataclass(frozen=True)
class Throughput:
    """What `throughput` measured.

    Args:
        rows, batches: int. How many came.
        seconds: float. Wall time that they took.
    """

    rows: int
    batches: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows over seconds."""
        return self.rows / self.seconds


def throughput(
    dataset: tf.data.Dataset, *, seconds: float = 5.0, batches: int | None = None
) -> Throughput:
    """Takes batches from a data set and does nothing with them.

    The clock starts before the first batch, so the start of a pass counts. A data
    set that ends is iterated again.

    Args:
        dataset: what a `from_*` function returned, or any data set of batches.
        seconds: number > 0. Stops after that time.
        batches: int >= 1 or None. Stops after that many, if that is earlier.

    Returns: a `Throughput`.
    Raises: `ValueError` on a bad argument or a data set without batches.

    >>> throughput(tf.data.Dataset.range(8).batch(4), batches=3).rows
    12
    """
    owner = "throughput"
    if not isinstance(dataset, tf.data.Dataset):
        rule = "must be a tf.data.Dataset"
        raise _checks.argument(owner, "dataset", rule, dataset, kind=TypeError)
    _checks.number(owner, above=0, seconds=seconds)
    if batches is not None:
        _checks.positive_int(owner, batches=batches)
    rows = taken = 0
    started = time.perf_counter()
    passed = 0.0
    while passed < seconds and taken != batches:
        before = taken
        for batch in dataset:
            rows += int(tf.nest.flatten(batch)[0].shape[0])
            taken += 1
            passed = time.perf_counter() - started
            if passed >= seconds or taken == batches:
                break
        if taken == before:
            raise _checks.argument(owner, "dataset", "must hold batches", dataset)
    return Throughput(rows, taken, passed)
