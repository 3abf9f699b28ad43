"""Rows of any kind -> one pyarrow array a column, as it stands there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import pyarrow as pa

from tfrec import _checks


def read_columns(
    rows: Any, names: Iterable[str], *, owner: str = "FeatureSpec"
) -> dict[str, pa.Array]:
    """Picks columns out of rows, as pyarrow arrays of equal length.

    Args:
        rows: a pandas DataFrame, a dict of columns (lists, NumPy arrays, pyarrow
            arrays, ragged or dense tensors), a list of dicts, or a pyarrow Table
            or RecordBatch. Extra columns are ignored.
        names: the columns wanted.
        owner: whom an error names.

    Raises: `ValueError` on a missing or duplicate column, on values that mix
    types, on unequal lengths; `TypeError` on rows of another kind.

    >>> read_columns({"a": [1, 2], "b": ["x", "y"]}, ["a"])["a"].to_pylist()
    [1, 2]
    """
    names = list(names)
    if isinstance(rows, (pa.Table, pa.RecordBatch)):
        present = list(rows.schema.names)
        pick = rows.column
    elif hasattr(rows, "iloc") and hasattr(rows, "columns"):
        present = [str(name) for name in rows.columns]

        def pick(name: str) -> Any:
            return rows.iloc[:, present.index(name)]
    elif isinstance(rows, Mapping):
        keys = list(rows)
        present = [str(key) for key in keys]

        def pick(name: str) -> Any:
            values = rows[keys[present.index(name)]]
            if not _is_column(values):
                way_out = f'For one row pass lists: {{"{name}": [value], ...}}.'
                found = _checks.show(values)
                rule = "must be a list or array with one entry a row"
                raise _checks.column(owner, name, rule, found, way_out)
            return values
    elif isinstance(rows, (list, tuple)) and all(isinstance(r, Mapping) for r in rows):
        present = list(dict.fromkeys(key for row in rows for key in row))
        if not rows:
            present = list(names)

        def pick(name: str) -> list[Any]:
            for number, row in enumerate(rows):
                if name not in row:
                    found = f"row {number} with {_checks.quoted(row)}"
                    rule = "must be in every row"
                    raise _checks.column(owner, name, rule, found)
            return [row[name] for row in rows]
    else:
        rule = "must be a DataFrame, a dict of columns, a list of dicts or a "
        rule += "pyarrow table"
        raise _checks.argument(owner, "rows", rule, rows, kind=TypeError)
    arrays: dict[str, pa.Array] = {}
    for name in names:
        if present.count(name) != 1:
            if name in present:
                rule, way_out = "must stand once in the rows", "Drop one of the two."
                found = f"it {present.count(name)} times"
            else:
                rule = "must be one of the row's features"
                found = _checks.quoted(present) or "no columns"
                way_out = f'Add "{name}" to the input or drop it from the spec.'
                way_out += _checks.closest(name, present)
            raise _checks.column(owner, name, rule, found, way_out)
        arrays[name] = _to_arrow(owner, name, pick(name))
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f'"{name}": {length}' for name, length in lengths.items())
        raise ValueError(
            f"{owner}: columns must have equal lengths. Received: {found}. Pass one "
            "entry a row in every column."
        )
    return arrays


def _is_column(value: Any) -> bool:
    """True for what has one entry a row, in an order."""
    if isinstance(value, (str, bytes, Mapping, Set)):
        return False
    shape = getattr(value, "shape", None)
    return hasattr(value, "__len__") if shape is None else len(shape) > 0


def _to_arrow(owner: str, name: str, values: Any) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    if isinstance(values, pa.Array):
        return values
    if hasattr(values, "to_list") and hasattr(values, "nested_row_splits"):
        values = values.to_list()  # tf.RaggedTensor
    elif hasattr(values, "numpy"):
        values = values.numpy()  # tf.Tensor
    try:
        if isinstance(values, np.ndarray) and values.ndim > 1:
            if values.ndim > 2:
                raise pa.ArrowInvalid(f"an array of {values.ndim} dimensions")
            flat = pa.array(values.reshape(-1), from_pandas=True)
            width = values.shape[1]
            offsets = pa.array(np.arange(len(values) + 1, dtype=np.int64) * width)
            return pa.LargeListArray.from_arrays(offsets, flat)
        if isinstance(values, np.ndarray) and values.dtype.kind in "US":
            values = values.tolist()
        if hasattr(values, "iloc"):
            array = pa.Array.from_pandas(values)
        else:
            array = pa.array(values, from_pandas=True)
    except (ValueError, TypeError, OverflowError, NotImplementedError) as error:
        found = _mixed(values) or str(error)
        rule = "must hold values of one type"
        way_out = "Convert the column before handing it over."
        raise _checks.column(owner, name, rule, found, way_out) from error
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array


def _mixed(values: Any) -> str:
    """The first two values of different types, worded; "" when there are none."""
    first = None
    for number, value in enumerate(values if hasattr(values, "__len__") else ()):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            continue
        if isinstance(value, float) and value != value:
            continue
        if first is None:
            first = (number, value)
        elif _kind(value) is not _kind(first[1]):
            one = f"{_checks.show(first[1])} in row {first[0]}"
            return f"{one} and {_checks.show(value)} in row {number}"
    return ""


def _kind(value: Any) -> type:
    """The type, one for all numbers."""
    return float if _checks.is_number(value) else type(value)
