"""What one value of a column may be: text, an integer, a number, a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec import _checks
from tfrec.features.columns import Categorical, Column, Numeric

if TYPE_CHECKING:
    from tfrec.features.spec import FeatureSpec


def single(
    spec: FeatureSpec,
    column: Column,
    array: pa.Array,
    owner: str,
    in_list: bool = False,
) -> pa.Array:
    """One value a row, or the values of all lists one after another."""
    if isinstance(column, Numeric) and column.shape:
        return _vectors(owner, column, array, column.shape[0])
    source = spec.source(column)
    if not isinstance(source, Categorical):
        if in_list and is_text(array.type):
            array = _parse(owner, column.name, array, pa.float64(), "numbers")
        return _numbers(owner, column, array, where="place" if in_list else "row")
    if in_list and is_text(array.type) and source.dtype == "int64":
        if getattr(column, "separator", None) is not None:
            array = _parse(owner, column.name, array, pa.int64(), "integers")
    array = _scalars(owner, column.name, array, source.dtype)
    return _missing(array, spec.padding_of(column))


def _missing(array: pa.Array, padding: Any) -> pa.Array:
    """Null where the value is the padding."""
    equal = pc.equal(array, pa.scalar(padding, array.type))
    return pc.if_else(equal, pa.scalar(None, array.type), array)


def _scalars(owner: str, name: str, array: pa.Array, dtype: str) -> pa.Array:
    kind = array.type
    if array.null_count == len(array):  # pandas and NumPy call these float64
        return pa.nulls(len(array), pa.string() if dtype == "string" else pa.int64())
    if dtype == "string":
        if is_text(kind) or is_bytes(kind):
            return text(owner, name, array)
        whole = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
        way_out = 'Give the column dtype="int64"' if whole else ""
        way_out = f"{way_out}, or convert it to strings." if way_out else ""
        way_out = way_out or "Convert the column to strings."
    else:
        if pa.types.is_boolean(kind):
            array, kind = array.cast(pa.int8()), pa.int8()
        if pa.types.is_integer(kind):
            try:
                return array.cast(pa.int64())
            except pa.ArrowInvalid as error:
                rule = "must hold int64 values"
                raise _checks.column(owner, name, rule, str(error)) from error
        if pa.types.is_floating(kind):
            return _whole(owner, name, array)
        way_out = 'Give the column dtype="string", or convert it to integers.'
    if is_list(kind):
        way_out = "Pass one value a row, or describe it as MultiCategorical."
    rule = f"must hold {'strings' if dtype == 'string' else 'integers'}"
    raise _checks.column(owner, name, rule, shown(array), way_out)


def text(owner: str, name: str, array: pa.Array) -> pa.StringArray:
    """Text or bytes as UTF-8 strings."""
    try:
        array = array.cast(pa.string())
        array.validate(full=True)  # Parquet and Arrow tables come unchecked
    except pa.ArrowInvalid as error:
        rule = "must hold UTF-8 text"
        way_out = "Decode the bytes, or encode them as hexadecimal text."
        raise _checks.column(owner, name, rule, str(error), way_out) from error
    return array


def _whole(owner: str, name: str, array: pa.Array) -> pa.Array:
    """Floats as int64: pandas turns integers with gaps into floats."""
    digits = {16: 2**11, 32: 2**24, 64: 2**53}[array.type.bit_width]
    wide = array.cast(pa.float64())
    wide = pc.if_else(pc.is_nan(wide), pa.scalar(None, pa.float64()), wide)
    values = pc.fill_null(wide, 0.0).to_numpy(zero_copy_only=False)
    # From there on a float may stand for an integer that it is not.
    lost = np.abs(values) >= digits
    broken = lost | (np.floor(values) != values)
    if broken.any():
        row = int(np.argmax(broken))
        found = f"{values[row]} in row {row} ({array.type})"
        if lost[row]:
            rule = f"must hold integers below {digits} where they are {array.type}"
            way_out = "Keep it as integers (pandas: nullable Int64) or strings."
        else:
            rule = "must hold integers"
            way_out = 'Give the column dtype="string", or convert it to integers.'
        raise _checks.column(owner, name, rule, found, way_out)
    return wide.cast(pa.int64())


def _parse(
    owner: str, name: str, values: pa.Array, kind: pa.DataType, what: str
) -> pa.Array:
    """Text that stood between separators, as numbers."""
    values = pc.utf8_trim_whitespace(values)
    values = pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)
    try:
        return values.cast(kind)
    except pa.ArrowInvalid as error:
        rule = f"must hold {what} between its separators"
        way_out = "Correct the rows"
        way_out += ', or use dtype="string".' if what == "integers" else "."
        raise _checks.column(owner, name, rule, str(error), way_out) from error


def _numbers(
    owner: str,
    column: Any,
    array: pa.Array,
    rows: np.ndarray | None = None,
    where: str = "row",
) -> pa.Array:
    """The numbers as float32; `rows` hold equally many of them, None: one each."""
    name, kind = column.name, array.type

    def row_of(place: int) -> str:
        row = place if rows is None else int(rows[place * len(rows) // len(array)])
        return f"{where} {row}"

    if pa.types.is_null(kind):
        array = array.cast(pa.float64())
    elif pa.types.is_boolean(kind):
        array = array.cast(pa.int8()).cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        if not pa.types.is_decimal(kind):
            way_out = "Convert the column to numbers, or describe it as Categorical."
            rule = "must hold numbers"
            raise _checks.column(owner, name, rule, shown(array), way_out)
    wide = array.cast(pa.float64(), safe=False)
    values = pc.fill_null(wide, np.nan).to_numpy(zero_copy_only=False)
    missing = np.isnan(values)
    if isinstance(column, Numeric) and missing.any():
        if column.fill is None:
            rule = "must not be missing"
            found = f"NaN or null in {row_of(int(np.argmax(missing)))}"
            found += f", {int(missing.sum())} in all"
            way_out = "Clean the rows, or give the column a `fill` value."
            raise _checks.column(owner, name, rule, found, way_out)
        values = np.where(missing, column.fill, values)
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    infinite = np.isinf(narrow)
    if infinite.any():
        place = int(np.argmax(infinite))
        rule = "must hold finite float32 numbers"
        found = f"{values[place]} in {row_of(place)}"
        raise _checks.column(owner, name, rule, found, "Clip or clean the column.")
    return pa.array(narrow)


def _vectors(owner: str, column: Numeric, array: pa.Array, width: int) -> pa.Array:
    name = column.name
    if pa.types.is_null(array.type):
        array = array.cast(pa.list_(pa.float64()))
    if not is_list(array.type):
        rule = f"must hold lists of {width} numbers"
        raise _checks.column(owner, name, rule, shown(array))
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(
        zero_copy_only=False
    )
    absent = lengths == 0
    wrong = lengths != width
    if column.fill is not None:
        wrong &= ~absent
    if wrong.any():
        row = int(np.argmax(wrong))
        rule = f"must hold lists of {width} numbers"
        found = f"{int(lengths[row])} numbers in row {row}"
        way_out = "Give the column a `fill` value, or drop the row."
        raise _checks.column(owner, name, rule, found, way_out if absent[row] else "")
    rows = np.flatnonzero(~absent)
    flat = _numbers(owner, column, pc.list_flatten(array), rows)
    if absent.any():  # a missing vector is filled as a whole
        values = np.full((len(absent), width), column.fill, np.float32)
        values[~absent] = flat.to_numpy().reshape(-1, width)
        flat = pa.array(values.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, width)


def is_text(kind: pa.DataType) -> bool:
    view = getattr(pa.types, "is_string_view", None)
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or (view is not None and view(kind))
    )


def is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
    )


def shown(array: pa.Array) -> str:
    """The type and the first value that is not missing."""
    valid = array.drop_null() if len(array) else array
    first = f", for example {_checks.show(valid[0].as_py())}" if len(valid) else ""
    return f"{array.type}{first}"
