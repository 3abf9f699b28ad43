"""Lists of every kind, and what is sent."""

import math
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfrec.features import (
    Categorical,
    FeatureSpec,
    Sequence,
    wire,
)
from tfrec.features.carriers import read_columns
from tfrec.features.rows import pad, typed


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


def arrow(kind):
    return pd.ArrowDtype(kind)


LISTS = [["a", "b"], [], None, ["a", "", None, "c"], ["1", "2", "3", "4"]]


KEPT = [["a", "b"], [], [], ["a", "c"], ["2", "3", "4"]]


def padded(rows, padding, width=6):
    return [[*(row or []), *[padding] * (width - len(row or []))] for row in rows]


FULL = padded([["" if v is None else v for v in row or []] for row in LISTS], "")


@pytest.mark.parametrize(
    "values",
    [
        LISTS,
        [None if row is None else tuple(row) for row in LISTS],
        pd.Series(LISTS),
        pd.Series([None if row is None else np.array(row, object) for row in LISTS]),
        pd.Series(LISTS, dtype=arrow(pa.list_(pa.string()))),
        pd.Series(LISTS, dtype=arrow(pa.large_list(pa.large_string()))),
        pa.array(LISTS),
        pa.array([["x"], *LISTS])[1:],
        pa.array(LISTS, pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        pa.chunked_array([LISTS[:2], LISTS[2:]]),
        np.array(FULL),
        np.array(FULL, object),
        np.asfortranarray(np.array(FULL, object)),
        np.array(padded(LISTS, np.nan), object),
        np.array(padded(LISTS, None), object),
        np.char.encode(np.array(FULL), "utf-8"),
        pa.array(FULL, pa.list_(pa.string(), 6)),
        pa.array(
            [None if row is None else FULL[n] for n, row in enumerate(LISTS)],
            pa.list_(pa.string(), 6),
        ),
        tf.constant(FULL),
        tf.ragged.constant([[v or "" for v in row or []] for row in LISTS]),
        tf.ragged.constant([[v or "" for v in row or []] for row in LISTS])[:, :],
    ],
    ids=lambda values: f"{type(values).__name__}-{getattr(values, 'dtype', '')}",
)
@pytest.mark.parametrize("name", ["tags", "words", "cities"])
def test_every_kind_of_list(read, name, values):
    assert read(name, values) == KEPT


@pytest.mark.parametrize("dtype", [object, "str", "category", arrow(pa.large_string())])
def test_separated_strings_are_lists(read, dtype):
    values = ["a|b", "", None, "a||c|", "1|2|3|4"]
    assert read("words", pd.Series(values, dtype=dtype)) == KEPT
    assert read("words", ["é|ü".encode(), None]) == [["é", "ü"], []]
    assert read("words", pa.array([*values, "x"])[:-1]) == KEPT


def test_nothing_between_separators_is_no_value(read):
    """Also where the padding is another value: an empty row has no value."""
    assert read("dashed", ["", None, "-", "a|-|b", "||c"]) == [
        *([], [], []),
        ["a", "b"],
        ["c"],
    ]
    assert read("dashed", [[""], ["-"]]) == [[""], []]


NUMBERS = [[1, 2], [], None, [5, -1, None, 0], [1, 2, 3, 2**53 - 1]]


KEPT_NUMBERS = [[1, 2], [], [], [5, 0], [2, 3, 2**53 - 1]]


PADDED = padded([[-1 if v is None else v for v in row or []] for row in NUMBERS], -1)


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS,
        [None if row is None else tuple(row) for row in NUMBERS],
        pd.Series(NUMBERS),
        pd.Series([None if row is None else np.array(row, "O") for row in NUMBERS]),
        pd.Series([np.array(row or [], float) for row in NUMBERS]),
        pa.array(NUMBERS),
        pa.array(NUMBERS, pa.large_list(pa.float64())),
        np.array(PADDED),
        np.array(PADDED, float),
        np.array(padded(NUMBERS, np.nan), float),
        np.array(padded(NUMBERS, None), object),
        np.ma.masked_equal(np.array(PADDED), -1),
        tf.constant(PADDED, tf.int64),
        tf.ragged.constant(
            [[-1 if v is None else v for v in r or []] for r in NUMBERS]
        ),
    ],
    ids=lambda values: f"{type(values).__name__}-{getattr(values, 'dtype', '')}",
)
def test_lists_of_integers(read, values):
    if isinstance(values, tf.RaggedTensor):
        values = tf.cast(values, tf.int64)
    assert read("shops", values) == KEPT_NUMBERS


def test_separated_integers(read):
    values = ["1,2", "", None, "5,-1,, 0", f"1,2,3,{2**53 - 1}"]
    assert read("codes", values) == KEPT_NUMBERS
    assert read("codes", NUMBERS) == KEPT_NUMBERS  # lists do as well


@pytest.mark.parametrize(
    "values",
    [
        *([[], []], [None, None], np.empty((2, 0)), np.empty((2, 0), object)),
        *(tf.zeros([2, 0]), tf.ragged.constant([[], []]), pa.nulls(2)),
        *(pd.Series([None, None]), pd.Series([[], None]), np.empty((2, 0), "U1")),
    ],
)
def test_lists_without_any_value(read, values):
    for name in ("tags", "words", "shops", "codes"):
        assert read(name, values) == [[], []]


def test_columns_without_any_value(read):
    """pandas calls them float64, whatever they would hold."""
    for name in ("city", "shop"):
        for values in ([np.nan, np.nan], pd.Series([None, np.nan], dtype=float)):
            assert read(name, values) == [None, None]


def test_id_0_is_a_value(read):
    assert read("shop", [0]) == [0] and read("shops", [[0, -1]]) == [[0]]


CELL = st.none() | st.sampled_from(["", "a", "é", "-", "long value"])


ROWS = st.lists(st.none() | st.lists(CELL, max_size=6), min_size=1, max_size=6)


@given(rows=ROWS, length=st.integers(1, 4), padding=st.sampled_from([None, "", "-"]))
def test_padded_ragged_and_list_agree(rows, length, padding):
    """The newest `max_length` values, without nulls and padding, oldest first."""
    spec = FeatureSpec(
        [
            Categorical("c", side="item", padding=padding),
            Sequence("list", of="c", max_length=length),
        ]
    )
    missing = padding or ""
    wanted = [
        [value for value in row or [] if value not in (None, missing)][-length:]
        for row in rows
    ]
    flat = [[missing if v is None else v for v in row or []] for row in rows]
    width = max(map(len, flat))
    full = np.array(padded(flat, missing, width), object).reshape(len(rows), width)
    carriers = {
        "lists": rows,
        "arrow": pa.array(rows, pa.list_(pa.string())),
        "ragged": tf.ragged.constant(flat, tf.string, ragged_rank=1),
        "padded": full,
        "left": full[:, ::-1][:, ::-1],
        "wider": np.hstack([full, np.full((len(rows), 3), missing, object)]),
        "in front": np.hstack([np.full((len(rows), 2), missing, object), full]),
    }
    for name, values in carriers.items():
        found = typed(spec, read_columns({"list": values}, ["list"]), ["list"])["list"]
        assert found.to_pylist() == wanted, name
        sent = wire(spec, {"list": values}, ["list"])["list"]
        assert sent.tolist() == padded(
            [[v.encode() for v in row] for row in wanted],
            missing.encode(),
            max(1, *map(len, wanted)),
        )


BAD = [
    ("tags", [[b"ok", b"\xff"]], "must hold UTF-8 text.", "Decode the bytes"),
    ("words", [b"ok|\xff"], "must hold UTF-8 text.", "Decode the bytes"),
    ("tags", [np.array([1, 2]), "a"], "(ndarray) in row 0 and 'a' (str) in row", "Con"),
    ("tags", ["a"], "must hold lists. Received: string", "give the column a `separa"),
    ("tags", [b"a"], "must hold lists. Received: binary", "give the column a `separa"),
    ("tags", [1], "must hold lists. Received: int64", "Wrap each row's values"),
    ("tags", [[["a"]]], "must hold lists of single values. Received: lists", "Flatten"),
    (
        "tags",
        [[1]],
        "must hold strings. Received: int64, for example 1",
        'dtype="int64"',
    ),
    ("shops", [["1"]], "must hold integers. Received: string", "convert it to integ"),
    ("shops", [[1, 2.5]], "must hold integers. Received: 2.5 in row 1", "convert it"),
    ("codes", ["1,x"], "must hold integers between its separators. Received: ", "Corr"),
    ("codes", ["1;2"], "must hold integers between its separators.", 'dtype="string"'),
]


@pytest.mark.parametrize(("name", "values", "text", "way_out"), BAD)
def test_bad_columns(refused, name, values, text, way_out):
    refused(name, values, text, way_out)


def test_wire(kinds):
    rows = {
        "city": ["Zürich", None],
        "shop": [None, 5],
        "cities": [["a", "b", "c", "d"], []],
        "dashed": [["a"], ["b", "c"]],
        "shops": [[], [3]],
        "age": [1, 2],
        "price": [None, 3],
        "filled": [[1, 2], None],
        "hour": [None, 3],
    }
    sent = wire(kinds, rows, rows)
    assert list(sent) == list(rows)
    assert sent["city"].tolist() == ["Zürich".encode(), b""]
    assert sent["shop"].tolist() == [-1, 5] and sent["shop"].dtype == np.int64
    assert sent["cities"].tolist() == [[b"b", b"c", b"d"], [b""] * 3]
    assert sent["dashed"].tolist() == [[b"a", b"-"], [b"b", b"c"]]
    assert sent["shops"].tolist() == [[-1], [3]]
    for name in ("age", "price", "filled", "hour"):
        assert sent[name].dtype == np.float32
    assert sent["price"].tolist() == [-1, 3]
    assert sent["filled"].tolist() == [[1, 2], [0.5, 0.5]]
    assert math.isnan(sent["hour"][0])


def test_wire_of_lists_without_a_value(kinds):
    sent = wire(kinds, {"tags": [[], None], "shops": [[], []]}, ["tags", "shops"])
    assert sent["tags"].tolist() == [[b""], [b""]]
    assert sent["shops"].tolist() == [[-1], [-1]]


def test_wire_of_no_rows(kinds):
    sent = wire(
        kinds, {"tags": [], "city": [], "vector": []}, ["tags", "city", "vector"]
    )
    shapes = {name: values.shape for name, values in sent.items()}
    assert shapes == {"tags": (0, 1), "city": (0,), "vector": (0, 2)}


def test_wire_asks_for_every_column_of_the_spec(kinds):
    with raises('client: column "shop" must be one of the row\'s features.'):
        wire(kinds, {"city": ["a"]}, owner="client")


def test_wire_of_values_with_zero_bytes(kinds):
    assert wire(kinds, {"city": ["a\0"]}, ["city"])["city"].tolist() == [b"a\0"]


def test_pad():
    found = pad(np.array([1, 2, 3], np.int32), np.array([0, 2, 0, 1]), 9, 3)
    assert found.tolist() == [[9, 9, 9], [1, 2, 9], [9, 9, 9], [3, 9, 9]]
    assert found.dtype == np.int32


def test_one_missing_attribute_beside_one_value():
    spec = FeatureSpec(
        [
            Categorical("kind", side="item"),
            Categorical("item", side="item"),
            Sequence("seen", of="item", separator="|"),
            Sequence("kinds", of="kind", along="seen", separator="|"),
        ]
    )
    for missing in ("", None):
        rows = {"seen": ["a|b", "a", "", None], "kinds": ["x|", missing, "", missing]}
        names = ["seen", "kinds"]
        found = typed(spec, read_columns(rows, names), names)
        assert found["seen"].to_pylist() == [["a", "b"], ["a"], [], []]
        assert found["kinds"].to_pylist() == [["x", None], [None], [], []]
