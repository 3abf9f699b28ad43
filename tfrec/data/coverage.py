"""How much of a log the vocabularies know: unknown and missing values, counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec import _checks
from tfrec.features.vocabulary import PADDING_ID, UNKNOWN_ID


def coverage(dataset: tf.data.Dataset) -> pd.DataFrame:
    """Counts, in one pass over a data set of ids, what the vocabularies lack.

    Args:
        dataset: what `from_pandas` and the others return, without endless `repeat`.

    Returns: one row a column of ids, with `values` (those that are not missing),
    `unknown` (of them, values without a row of their own), `unknown_share` and
    `missing` (rows without a value: an empty list, or no single value). Columns of
    numbers are left out. Buckets and hashed columns have no unknown values, but
    attributes along a list whose value is missing count as unknown.
    Raises: `TypeError` when it is no data set; `ValueError` when it has no end.

    >>> ids = {"city": np.array([2, 1, 0], "int32")}
    >>> coverage(tf.data.Dataset.from_tensors(ids)).to_dict("records")[0]["unknown"]
    1
    """
    owner = "coverage"
    if not isinstance(dataset, tf.data.Dataset):
        rule = "must be a tf.data.Dataset"
        raise _checks.argument(owner, "dataset", rule, dataset, kind=TypeError)
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        rule = "must have an end"
        raise _checks.argument(owner, "dataset", rule, dataset, "Drop `repeat`.")
    counts: dict[str, np.ndarray] = {}
    for element in dataset.as_numpy_iterator():
        columns: Any = element[0] if isinstance(element, tuple) else element
        for name, ids in columns.items():
            if ids.dtype.kind != "i":
                continue
            real = ids != PADDING_ID
            rows_with = real.any(axis=1) if ids.ndim == 2 else real
            found = [real.sum(), (ids == UNKNOWN_ID).sum(), (~rows_with).sum()]
            counts[name] = counts.get(name, 0) + np.array(found, np.int64)
    table = pd.DataFrame(
        [(name, *map(int, found)) for name, found in counts.items()],
        columns=["column", "values", "unknown", "missing"],
    )
    share = table["unknown"] / table["values"].where(table["values"] > 0)
    table.insert(3, "unknown_share", share)
    return table
