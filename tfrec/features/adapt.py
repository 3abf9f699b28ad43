"""Learns what a spec needs from data, in one streaming pass."""

from __future__ import annotations

import dataclasses
import math
import os
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec import _checks
from tfrec.features import vocabulary
from tfrec.features.columns import SMALLEST, Bucketized, Categorical, Column, Numeric
from tfrec.features.rows import typed
from tfrec.features.sources import blocks
from tfrec.features.spec import FeatureSpec

SAMPLE = 1_000_000


def adapt(
    spec: FeatureSpec, rows: Any, directory: str | os.PathLike[str]
) -> FeatureSpec:
    """What `FeatureSpec.adapt` does; see there."""
    learners = {
        column.name: learner
        for column in spec
        if (learner := _learner(column)) is not None
    }
    names = spec.raw_names(learners)
    seen = 0
    for block in blocks(rows, spec, list(names)) if names else ():
        values = typed(spec, block, names, owner=block.owner)
        for name, learner in learners.items():
            learner.update(values[name])
            seen = max(seen, learner.rows)
    if names and not seen:
        raise ValueError(
            "FeatureSpec: `rows` must not be empty. Received: 0 rows. Pass the "
            "training log."
        )
    columns = tuple(
        learners[column.name].learned(column) if column.name in learners else column
        for column in spec
    )
    vocabularies = _write(spec, learners, directory)
    return dataclasses.replace(spec, columns=columns, vocabularies=vocabularies)


def _learner(column: Column) -> Any:
    if isinstance(column, Categorical) and column.hash_buckets is None:
        return Values()
    if isinstance(column, Numeric) and column.scaling in ("standard", "min_max"):
        return _Moments()
    if isinstance(column, Bucketized) and column.boundaries is None:
        return _Quantiles()
    return None


def _write(
    spec: FeatureSpec, learners: dict[str, Any], directory: str | os.PathLike[str]
) -> tuple[vocabulary.Vocabulary, ...]:
    """Writes one file a table, once all are known to be good."""
    tables: dict[str, tuple[Categorical, Counter[Any]]] = {}
    for column in spec:
        learner = learners.get(column.name)
        if isinstance(column, Categorical) and isinstance(learner, Values):
            _, counts = tables.setdefault(column.table_name, (column, Counter()))
            counts.update(learner.counts)
    given = {
        table: vocabulary.read(table, column.vocabulary, column.dtype).values()
        for table, (column, _) in tables.items()
        if column.vocabulary is not None
    }
    for table, (column, counts) in tables.items():
        if table in given:
            continue
        kept = sum(1 for count in counts.values() if count >= column.min_count)
        if not kept:
            found = f"{len(counts)} values, none seen {column.min_count} times"
            raise _checks.column(
                spec,
                column.name,
                "must hold a value",
                found if counts else "only nulls",
            )
        for value in counts:
            vocabulary.check_value(table, value)
    return tuple(
        _given(table, given[table], counts, directory, column.dtype)
        if table in given
        else vocabulary.write(
            table,
            counts,
            directory,
            dtype=column.dtype,
            min_count=column.min_count,
            max_size=column.max_size,
        )
        for table, (column, counts) in tables.items()
    )


def _given(
    table: str,
    values: list[Any],
    counts: Counter[Any],
    directory: str | os.PathLike[str],
    dtype: str,
) -> vocabulary.Vocabulary:
    """A copy of a file that the column names, with what was counted."""
    kept = {value: counts[value] for value in values}
    left_out = sum(counts.values()) - sum(kept.values())
    return vocabulary.write_ordered(table, kept, left_out, directory, dtype=dtype)


class Values:
    """Counts the values of a column."""

    def __init__(self) -> None:
        self.counts: Counter[Any] = Counter()
        self.rows = 0

    def update(self, array: pa.Array) -> None:
        self.rows += len(array)
        if pa.types.is_large_list(array.type):
            array = array.flatten()
        counted = pc.value_counts(array.drop_null())
        values, counts = counted.field("values"), counted.field("counts")
        for value, count in zip(values.to_pylist(), counts.to_pylist(), strict=True):
            self.counts[value] += count

    def learned(self, column: Column) -> Column:
        return column


class _Moments:
    """Mean, standard deviation, minimum and maximum, merged block by block."""

    def __init__(self) -> None:
        self.rows, self.count, self.mean, self.squares = 0, 0, 0.0, 0.0
        self.low, self.high = math.inf, -math.inf

    def update(self, array: pa.Array) -> None:
        self.rows += len(array)
        if pa.types.is_nested(array.type):
            array = array.flatten()
        values = array.to_numpy(zero_copy_only=False).astype(np.float64)
        if not len(values):
            return
        count, mean = len(values), float(values.mean())
        total, delta = self.count + count, mean - self.mean
        self.squares += float(((values - mean) ** 2).sum())
        self.squares += delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))

    def learned(self, column: Any) -> Column:
        if column.scaling == "standard":
            shift, scale = self.mean, math.sqrt(self.squares / max(self.count, 1))
        else:
            shift, scale = self.low, self.high - self.low
        if self.low == self.high or scale < SMALLEST:
            shift, scale = self.low, 1.0  # a constant column scales to 0
        return dataclasses.replace(column, shift=shift, scale=scale)


class _Quantiles:
    """A uniform sample of at most SAMPLE numbers (reservoir, fixed seed)."""

    def __init__(self) -> None:
        self.rows = 0
        self.seen = 0
        self.sample = np.empty(0, np.float32)
        self.random = np.random.default_rng(0)

    def update(self, array: pa.Array) -> None:
        self.rows += len(array)
        values = array.to_numpy(zero_copy_only=False)
        values = values[~np.isnan(values)]
        room = max(SAMPLE - len(self.sample), 0)
        self.sample = np.concatenate([self.sample, values[:room]])
        self.seen += min(room, len(values))
        rest = values[room:]
        if len(rest):
            places = self.random.integers(0, self.seen + np.arange(1, len(rest) + 1))
            inside = places < SAMPLE
            self.sample[places[inside]] = rest[inside]
            self.seen += len(rest)

    def learned(self, column: Any) -> Column:
        if not len(self.sample):
            raise _checks.column(
                "FeatureSpec", column.name, "must hold a number", "only nulls"
            )
        shares = np.arange(1, column.num_buckets) / column.num_buckets
        bounds = np.unique(np.quantile(self.sample, shares, method="higher"))
        return dataclasses.replace(
            column, boundaries=tuple(float(bound) for bound in bounds)
        )
