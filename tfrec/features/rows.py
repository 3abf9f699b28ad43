"""Rows of any kind -> one checked pyarrow array a column.

Everything that enters tfrec, for training and for a request, passes here: one
place decides what a column may hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec import _checks
from tfrec.features.carriers import read_columns
from tfrec.features.columns import Column, Numeric, NumericSequence
from tfrec.features.values import is_bytes, is_list, is_text, shown, single, text

if TYPE_CHECKING:
    from tfrec.features.spec import FeatureSpec


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
            found[name] = single(spec, column, array, owner)
            continue
        lead = places.get(getattr(column, "along", None) or "")
        lengths, values = _flat_lists(owner, column, array, lead)
        if lead is not None:
            _check_lengths(owner, column, lengths, lead)
            values = single(spec, column, lead.pick(values), owner, in_list=True)
            found[name] = lead.as_lists(values)
            continue
        values = single(spec, column, values, owner, in_list=True)
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


def _flat_lists(
    owner: str, column: Any, array: pa.Array, lead: Places | None
) -> tuple[np.ndarray, pa.Array]:
    """The lists' lengths and their values one after another."""
    name = column.name
    if pa.types.is_null(array.type):
        array = array.cast(pa.list_(pa.null()))
    if is_text(array.type) or is_bytes(array.type):
        if column.separator is None:
            way_out = "Pass lists, or give the column a `separator`."
            raise _checks.column(owner, name, "must hold lists", shown(array), way_out)
        array = pc.fill_null(text(owner, name, array), "")
        array = pc.split_pattern(array, column.separator)
        pieces = pc.list_flatten(array)
        empty = pc.equal(pieces, "")
        values = pc.if_else(empty, pa.scalar(None, pieces.type), pieces)
        lengths = _lengths(array)
        # "" is an empty list, not a list of one missing value, unless it goes along
        # a list of one value.
        one = lengths == 1
        if lead is not None:
            one &= lead.before != 1
        alone = np.repeat(one, lengths) & empty.to_numpy(zero_copy_only=False)
        row_of = np.repeat(np.arange(len(lengths)), lengths)
        lengths[row_of[alone]] = 0
        return lengths, values.filter(pa.array(~alone))
    kind = array.type
    if not is_list(kind):
        way_out = "Wrap each row's values in a list."
        raise _checks.column(owner, name, "must hold lists", shown(array), way_out)
    if is_list(kind.value_type):
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
