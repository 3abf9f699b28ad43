"""DataFrames into a client's questions, and out of the answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tfrec import _checks

OWNER = "Client"


def of(argument: str, rows: Any) -> pd.DataFrame:
    """Rows of any kind as a DataFrame; one that is one stays as it is.

    Raises: `ValueError` that names the argument.
    """
    if isinstance(rows, pd.DataFrame):
        return rows
    try:
        return rows.to_pandas() if hasattr(rows, "to_pandas") else pd.DataFrame(rows)
    except (ValueError, TypeError) as error:
        rule = "must be a DataFrame, a dict of columns or a list of dicts"
        raise _checks.argument(OWNER, argument, rule, rows, f"{error}.") from error


def one_row(user: Any) -> Any:
    """A user as rows: a Series, or a dict that holds a single value for a column.

    >>> one_row({"user_id": "u1", "history": ["m1", "m2"]})
    [{'user_id': 'u1', 'history': ['m1', 'm2']}]
    """
    if isinstance(user, pd.Series):
        return [user.to_dict()]
    if isinstance(user, Mapping) and any(
        isinstance(value, (str, bytes)) or not hasattr(value, "__len__")
        for value in user.values()
    ):
        return [dict(user)]
    return user


def check_free(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """The result's columns must not be among the rows' own.

    Raises: `ValueError`.
    """
    for name in names:
        if name in frame.columns:
            rule = "must not be among the rows' columns, the result has one"
            found = _checks.quoted(frame.columns)
            raise _checks.column(OWNER, name, rule, found, "Rename or drop it.")


def with_outputs(
    frame: pd.DataFrame, outputs: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """The frame with a column for each output; a vector is one value, an array.

    Strings become str where they are UTF-8.

    Raises: `ValueError` on an output that is not one entry a row.
    """
    columns = {}
    for name, array in outputs.items():
        if not array.ndim or len(array) != len(frame):
            rule = "must be one entry a row to become a column"
            found, way_out = f"shape {array.shape}", "Use `predict`."
            raise _checks.column(OWNER, name, rule, found, way_out)
        values = _texts(array) if array.dtype == object else array
        if values.ndim > 1:
            values, rows = np.empty(len(values), object), values
            values[:] = list(rows)
        columns[name] = pd.Series(values, index=frame.index)
    return frame.assign(**columns)


def _texts(array: np.ndarray) -> np.ndarray:
    texts = np.empty(array.shape, object)
    try:
        texts.reshape(-1)[:] = [text.decode() for text in array.reshape(-1)]
    except UnicodeDecodeError:
        return array
    return texts
