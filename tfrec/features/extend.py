"""Adds what new rows hold to the vocabularies of a spec, in one streaming pass."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrec import _checks
from tfrec.features.adapt import Values
from tfrec.features.columns import Categorical
from tfrec.features.rows import typed
from tfrec.features.sources import blocks
from tfrec.features.spec import FeatureSpec
from tfrec.features.vocabulary import (
    UNKNOWN_ID,
    Vocabulary,
    check_value,
    counts_file,
    write_ordered,
)


def extend(
    spec: FeatureSpec, rows: Any, directory: str | os.PathLike[str]
) -> FeatureSpec:
    """What `FeatureSpec.extend` does; see there."""
    spec.check_adapted()
    tables: dict[str, Categorical] = {}
    counted: dict[str, Values] = {}
    for column in spec:
        if isinstance(column, Categorical) and column.hash_buckets is None:
            tables.setdefault(column.table_name, column)
            counted[column.name] = Values()
    _check_directory(spec, directory)
    names = spec.raw_names(counted)
    for block in blocks(rows, spec, list(names)) if names else ():
        values = typed(spec, block, names, owner=block.owner)
        for name, found in counted.items():
            found.update(values[name])
    if names and not any(found.rows for found in counted.values()):
        rule, way_out = "must not be empty", "Pass the new rows."
        raise ValueError(f"FeatureSpec: `rows` {rule}. Received: 0 rows. {way_out}")
    totals: dict[str, Counter[Any]] = {table: Counter() for table in tables}
    for name, found in counted.items():
        totals[spec.table_of(spec[name]) or name].update(found.counts)
    grown = {
        vocabulary.table: _grown(vocabulary, tables[vocabulary.table], totals)
        for vocabulary in spec.vocabularies
    }
    vocabularies = tuple(
        write_ordered(table, counts, left_out, directory, dtype=tables[table].dtype)
        for table, (counts, left_out) in grown.items()
    )
    return dataclasses.replace(spec, vocabularies=vocabularies)


def _grown(
    vocabulary: Vocabulary, column: Categorical, totals: Mapping[str, Counter[Any]]
) -> tuple[dict[Any, int], int]:
    """All values with their counts, old ones first, and the count of the others."""
    new = totals[vocabulary.table]
    for value in new:
        check_value(vocabulary.table, value)
    vocabulary.verify()
    before = vocabulary.counts().tolist()
    old = dict(zip(vocabulary.values(), before[UNKNOWN_ID + 1 :], strict=True))
    counts = {value: count + new[value] for value, count in old.items()}
    room = None
    if column.vocabulary is not None:  # the values that the column names, no others
        room = 0
    elif column.max_size is not None:
        room = max(column.max_size - len(old), 0)
    lacking = (
        (value, count)
        for value, count in new.items()
        if value not in old and count >= column.min_count
    )
    added = sorted(lacking, key=lambda item: (-item[1], item[0]))[:room]
    counts.update(added)
    everything = sum(before) + sum(new.values())
    return counts, everything - sum(counts.values())


def _check_directory(spec: FeatureSpec, directory: str | os.PathLike[str]) -> None:
    """Nothing that is there already is written over."""
    for vocabulary in spec.vocabularies:
        file = Path(directory) / f"{vocabulary.table}.txt"
        for path in (file, counts_file(file)):
            if path.exists():
                raise _checks.argument(
                    "FeatureSpec.extend",
                    "directory",
                    f'must be one of its own: "{path.name}" is there',
                    str(directory),
                    "Pass a new directory for each spec, or remove what an attempt "
                    "that failed left there.",
                )
