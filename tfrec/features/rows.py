"""Rows of any kind -> one checked pyarrow array a column.

Everything that enters tfrec, for training and for a request, passes here: one
place decides what a column may hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec import _checks
from tfrec.features.columns import Categorical, Column, Numeric, NumericSequence

if TYPE_CHECKING:
    from tfrec.features.spec import FeatureSpec


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


def typed(
    spec: FeatureSpec,
    arrays: Mapping[str, pa.Array],
    names: Iterable[str],
    *,
    owner: str = "FeatureSpec",
) -> dict[str, pa.Array]:
    """The columns' values in the types that the encoder takes.

    Categorical: string or int64 with nulls for missing. MultiCategorical and
    Sequence: lists of those, oldest first, without nulls, padding and all but
    the newest `max_length`. What goes along such a list keeps the same places:
    a Sequence with nulls for missing, a NumericSequence of float32. Numeric:
    float32 (or fixed-size lists of it) without nulls. Bucketized: float32, NaN
    for missing; lists of it without NaN.

    Raises: `ValueError` that names the column, what was found and the way out.
    """
    names = list(names)
    found: dict[str, pa.Array] = {}
    places: dict[str, Places] = {}
    leads = [n for n in names if not getattr(spec[n], "along", None)]
    for name in sorted(names, key=lambda name: name not in leads):
        column, array = spec[name], arrays[name]
        if isinstance(array, pa.DictionaryArray):
            array = array.dictionary_decode()
        if not column.is_list:
            found[name] = _single(spec, column, array, owner)
            continue
        lengths, values = _flat_lists(owner, column, array)
        lead = places.get(getattr(column, "along", None) or "")
        if lead is not None:
            _check_lengths(owner, column, lengths, lead)
            values = _single(spec, column, lead.pick(values), owner, in_list=True)
            found[name] = lead.as_lists(values)
            continue
        values = _single(spec, column, values, owner, in_list=True)
        real = pc.is_valid(values).to_numpy(zero_copy_only=False)
        if pa.types.is_floating(values.type):
            real &= ~np.isnan(values.to_numpy(zero_copy_only=False))
        if isinstance(column, NumericSequence):  # alone: `adapt` counts it all
            real, kept = np.ones(len(values), bool), len(values)
        else:
            kept = spec.width(column) or 1
        places[name] = Places(name, lengths, real, kept)
        found[name] = places[name].as_lists(places[name].pick(values))
    return {name: found[name] for name in names}


class Places:
    """Which places of a column's lists are kept: the newest that hold a value."""

    def __init__(
        self, name: str, lengths: np.ndarray, real: np.ndarray, max_length: int
    ) -> None:
        self.name = name
        self.before = lengths
        row_of = np.repeat(np.arange(len(lengths)), lengths)
        kept = np.bincount(row_of[real], minlength=len(lengths)).astype(np.int64)
        newest = np.cumsum(real) - 1 >= (np.cumsum(kept) - max_length)[row_of]
        self.keep = real & newest
        self.lengths = np.minimum(kept, max_length)

    def pick(self, values: pa.Array) -> pa.Array:
        """The values at the places that are kept."""
        return values if self.keep.all() else values.filter(pa.array(self.keep))

    def as_lists(self, values: pa.Array) -> pa.LargeListArray:
        """Picked values, as one list a row."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        return pa.LargeListArray.from_arrays(pa.array(offsets), values)


def _check_lengths(
    owner: str, column: Column, lengths: np.ndarray, lead: Places
) -> None:
    wrong = lengths != lead.before
    if wrong.any():
        row = int(np.argmax(wrong))
        rule = f'must have lists as long as those of "{lead.name}", which it goes along'
        found = f"{int(lengths[row])} and {int(lead.before[row])} values in row {row}"
        raise _checks.column(owner, column.name, rule, found)


def _single(
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
        if in_list and _is_text(array.type):
            array = _parse(owner, column.name, array, pa.float64(), "numbers")
        return _numbers(owner, column, array, where="place" if in_list else "row")
    if in_list and _is_text(array.type) and source.dtype == "int64":
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
        if _is_text(kind) or _is_bytes(kind):
            return _text(owner, name, array)
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
    if _is_list(kind):
        way_out = "Pass one value a row, or describe it as MultiCategorical."
    rule = f"must hold {'strings' if dtype == 'string' else 'integers'}"
    raise _checks.column(owner, name, rule, _found(array), way_out)


def _text(owner: str, name: str, array: pa.Array) -> pa.StringArray:
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


def _flat_lists(
    owner: str, column: Any, array: pa.Array
) -> tuple[np.ndarray, pa.Array]:
    """The lists' lengths and their values one after another."""
    name = column.name
    if pa.types.is_null(array.type):
        array = array.cast(pa.list_(pa.null()))
    if _is_text(array.type) or _is_bytes(array.type):
        if column.separator is None:
            way_out = "Pass lists, or give the column a `separator`."
            raise _checks.column(owner, name, "must hold lists", _found(array), way_out)
        array = pc.split_pattern(_text(owner, name, array), column.separator)
        pieces = pc.list_flatten(array)
        empty = pc.equal(pieces, "")
        values = pc.if_else(empty, pa.scalar(None, pieces.type), pieces)
        lengths = _lengths(array)
        # "" is an empty list, not a list of one missing value.
        alone = np.repeat(lengths == 1, lengths) & empty.to_numpy(zero_copy_only=False)
        row_of = np.repeat(np.arange(len(lengths)), lengths)
        lengths[row_of[alone]] = 0
        return lengths, values.filter(pa.array(~alone))
    kind = array.type
    if not _is_list(kind):
        way_out = "Wrap each row's values in a list."
        raise _checks.column(owner, name, "must hold lists", _found(array), way_out)
    if _is_list(kind.value_type):
        way_out = "Flatten each row, or give each level a column of its own."
        rule = "must hold lists of single values"
        raise _checks.column(owner, name, rule, f"lists of lists ({kind})", way_out)
    values = pc.list_flatten(array)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()
    return _lengths(array), values


def _lengths(array: pa.Array) -> np.ndarray:
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    return lengths.to_numpy(zero_copy_only=False).astype(np.int64)


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
            raise _checks.column(owner, name, rule, _found(array), way_out)
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
    if not _is_list(array.type):
        rule = f"must hold lists of {width} numbers"
        raise _checks.column(owner, name, rule, _found(array))
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


def _is_text(kind: pa.DataType) -> bool:
    view = getattr(pa.types, "is_string_view", None)
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or (view is not None and view(kind))
    )


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
    )


def _found(array: pa.Array) -> str:
    """The type and the first value that is not missing."""
    valid = array.drop_null() if len(array) else array
    first = f", for example {_checks.show(valid[0].as_py())}" if len(valid) else ""
    return f"{array.type}{first}"


def wire(
    spec: FeatureSpec,
    rows: Any,
    names: Iterable[str] | None = None,
    *,
    owner: str = "FeatureSpec",
) -> dict[str, np.ndarray]:
    """Rows as the arrays that a served signature takes.

    Categorical `(N,)` bytes objects or int64; MultiCategorical and Sequence
    `(N, T)` of those, T the longest list, shorter rows filled with the column's
    padding on the right; Numeric `(N,)` or `(N, n)` float32; Bucketized `(N,)`;
    NumericSequence `(N, T)`. Missing values are the padding, numbers NaN. Crossed
    columns are made of others and not sent.

    Args:
        spec: the FeatureSpec.
        rows: as in `read_columns`.
        names: columns wanted; None: all.
        owner: whom an error names.

    Raises: `ValueError` as `read_columns` and `typed` do.
    """
    names = list(spec.raw_names(names))
    arrays = read_columns(rows, names, owner=owner)
    values = typed(spec, arrays, names, owner=owner)
    return {name: _wire(spec, spec[name], values[name]) for name in names}


def _wire(spec: FeatureSpec, column: Column, array: pa.Array) -> np.ndarray:
    if isinstance(column, Numeric) and column.shape:
        return array.flatten().to_numpy().reshape(-1, column.shape[0])
    padding = spec.padding_of(column)
    filler: Any = padding.encode() if isinstance(padding, str) else padding
    if not column.is_list:
        return _plain(array, filler)
    lengths = np.diff(array.offsets.to_numpy())
    values = _plain(array.flatten(), filler)
    return pad(values, lengths, filler, max(int(lengths.max(initial=0)), 1))


def _plain(array: pa.Array, padding: Any) -> np.ndarray:
    if pa.types.is_string(array.type):
        array = array.cast(pa.binary())
    if pa.types.is_floating(array.type):
        return array.to_numpy(zero_copy_only=False)
    return pc.fill_null(array, padding).to_numpy(zero_copy_only=False)


def pad(
    values: np.ndarray, lengths: np.ndarray, padding: Any, width: int
) -> np.ndarray:
    """`(rows, width)` of flat values, filled up on the right.

    >>> pad(np.array([5, 6, 7]), np.array([2, 0, 1]), 0, 2).tolist()
    [[5, 6], [0, 0], [7, 0]]
    """
    padded = np.full((len(lengths), width), padding, dtype=values.dtype)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    padded[rows, np.arange(len(values)) - starts] = values
    return padded
