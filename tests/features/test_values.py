"""One value of a column, in every kind of array."""

import decimal
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf


def arrow(kind):
    return pd.ArrowDtype(kind)


TEXT = ["Ghent", None, "", "Zürich\t", "Ghent"]


READ = ["Ghent", None, None, "Zürich\t", "Ghent"]


BYTES = [None if value is None else value.encode() for value in TEXT]


@pytest.mark.parametrize(
    "values",
    [
        TEXT,
        tuple(TEXT),
        BYTES,
        np.array(TEXT, object),
        np.array(BYTES, object),
        pd.Series(TEXT, dtype=object),
        pd.Series(TEXT, dtype="str"),
        pd.Series(TEXT, dtype="string[python]"),
        pd.Series(TEXT, dtype="string[pyarrow]"),
        pd.Series(TEXT, dtype="category"),
        pd.Series(BYTES, dtype=object),
        pd.Series(BYTES, dtype="category"),
        pd.Series(TEXT, dtype=arrow(pa.string())),
        pd.Series(TEXT, dtype=arrow(pa.large_string())),
        pd.Series(BYTES, dtype=arrow(pa.binary())),
        pd.Series(["Ghent", np.nan, "", "Zürich\t", "Ghent"], dtype=object),
        pd.Series(["Ghent", pd.NA, "", "Zürich\t", "Ghent"], dtype=object),
        pd.Series(TEXT, index=[3, 3, 1, 0, -1]),
        pa.array(TEXT),
        pa.array(TEXT, pa.large_string()),
        pa.array(TEXT, pa.string_view()),
        pa.array(BYTES, pa.large_binary()),
        pa.array(TEXT).dictionary_encode(),
        pa.chunked_array([TEXT[:2], TEXT[2:]]),
        pa.chunked_array(
            [pa.array(t).dictionary_encode() for t in (TEXT[:2], TEXT[2:])]
        ),
        pa.array(["x", *TEXT])[1:],
    ],
    ids=lambda values: f"{type(values).__name__}-{getattr(values, 'dtype', '')}",
)
def test_every_kind_of_text(read, values):
    assert read("city", values) == READ


@pytest.mark.parametrize(
    "values",
    [
        np.array(["Ghent", "", "Zürich"]),
        np.char.encode(np.array(["Ghent", "", "Zürich"]), "utf-8"),
        tf.constant(["Ghent", "", "Zürich"]),
        pd.Index(["Ghent", "", "Zürich"]),
    ],
    ids=lambda values: type(values).__name__,
)
def test_text_that_cannot_hold_null(read, values):
    assert read("city", values) == ["Ghent", None, "Zürich"]


WHOLE = [0, -7, None, 2**53 - 1]


@pytest.mark.parametrize(
    "values",
    [
        WHOLE,
        [0, -7, math.nan, 2**53 - 1],
        [0.0, -7.0, math.nan, float(2**53 - 1)],
        np.array([0, -7, np.nan, 2**53 - 1]),
        np.array(WHOLE, object),
        np.ma.array([0, -7, 99, 2**53 - 1], mask=[0, 0, 1, 0]),
        pd.Series(WHOLE, dtype="Int64"),
        pd.Series(WHOLE, dtype="float64"),
        pd.Series(WHOLE, dtype="Float64"),
        pd.Series(WHOLE, dtype=object),
        pd.Series(pd.array(WHOLE, "Int64"), dtype="category"),
        pd.Series(WHOLE, dtype=arrow(pa.int64())),
        pd.Series([0, -7, -1, 2**53 - 1]),
        pa.array(WHOLE),
        pa.array(WHOLE, pa.float64()),
        pa.chunked_array([WHOLE[:1], WHOLE[1:]]),
        tf.constant([0, -7, -1, 2**53 - 1], tf.int64),
    ],
    ids=lambda values: f"{type(values).__name__}-{getattr(values, 'dtype', '')}",
)
def test_every_kind_of_integer(read, values):
    assert read("shop", values) == WHOLE


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "uint32"])
def test_small_integers(read, dtype):
    assert read("shop", np.array([1, 0, 100], dtype)) == [1, 0, 100]


@pytest.mark.parametrize(
    "values",
    [
        [True, None, False],
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series([True, None, False], dtype=object),
        pa.array([True, None, False]),
    ],
)
def test_truth_values_are_integers(read, values):
    assert read("shop", values) == [1, None, 0]
    assert read("shops", [[True, False], []]) == [[1, 0], []]


def test_the_whole_range_of_integers(read):
    values = [-(2**63), 2**63 - 1, 2**53 + 1, 0]
    assert read("shop", values) == values
    assert read("shop", np.array(values)) == values
    assert read("shop", [2**53 + 1, None]) == [2**53 + 1, None]
    assert read("shops", [values[:3]]) == [values[:3]]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1, 2.5], [1, 2.5]),
        ([True, False], [1, 0]),
        (np.array([1, 2], np.float16), [1, 2]),
        (np.array([1, 2], np.uint64), [1, 2]),
        ([decimal.Decimal("1.5")], [1.5]),
        (pd.Series([1, 2], dtype="Int8"), [1, 2]),
        (pd.Series([0.1], dtype="Float64"), [float(np.float32(0.1))]),
        (pd.Series([1, 2], dtype="category"), [1, 2]),
        (pd.Series([True, False], dtype="boolean"), [1, 0]),
        (tf.constant([1.5, 2]), [1.5, 2]),
        (pa.array([1, 2], pa.decimal128(5, 2)), [1, 2]),
        ([2**62], [2.0**62]),
        (np.array([1e-60]), [0]),
    ],
)
@pytest.mark.parametrize("name", ["age", "price", "hour"])
def test_every_kind_of_number(read, name, values, wanted):
    assert read(name, values) == wanted


@pytest.mark.parametrize(
    "values",
    [
        [1.0, None],
        [1.0, math.nan],
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1, None], dtype="Float32"),
        pd.Series([1, None], dtype=object),
        pa.array([1, None]),
        pd.Series([True, None], dtype="boolean"),
    ],
)
def test_missing_numbers(read, values):
    assert read("price", values) == [1, -1]
    hour = read("hour", values)
    assert hour[0] == 1 and math.isnan(hour[1])
    text = 'column "age" must not be missing. Received: NaN or null in row 1, 1 in all'
    with pytest.raises(ValueError, match=text):
        read("age", values)


def test_numbers_that_are_all_missing(read):
    assert read("price", [None, None]) == [-1, -1]
    assert all(map(math.isnan, read("hour", [None, math.nan])))


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2], [3, 4]],
        [(1, 2), (3.0, 4.0)],
        np.array([[1, 2], [3, 4]], np.float32),
        np.array([[1, 2], [3, 4]], np.float16),
        pd.Series([np.array([1, 2]), np.array([3, 4])]),
        pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2)),
        pa.array([[9, 9], [1, 2], [3, 4]], pa.list_(pa.float32(), 2))[1:],
        tf.constant([[1, 2], [3, 4]]),
        tf.ragged.constant([[1, 2], [3, 4]]),
    ],
)
def test_vectors(read, values):
    assert read("vector", values) == [[1, 2], [3, 4]] == read("filled", values)


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2], None, [None, 4]],
        [[1, 2], [], [math.nan, 4]],
        pa.array([[1, 2], None, [None, 4]], pa.list_(pa.float32(), 2)),
        pa.array([[9, 9], [1, 2], None, [None, 4]], pa.list_(pa.float64(), 2))[1:],
        pd.Series([np.array([1, 2]), None, np.array([np.nan, 4])]),
    ],
)
def test_missing_vectors_are_filled(read, values):
    assert read("filled", values) == [[1, 2], [0.5, 0.5], [0.5, 4]]


def test_all_vectors_missing(read):
    assert read("filled", [None, None]) == [[0.5, 0.5]] * 2
    assert read("vector", []) == []


BAD_UTF8 = pa.StringArray.from_buffers(
    1, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")
)


BAD = [
    (
        "city",
        [1, 2],
        "must hold strings. Received: int64, for example 1 (int).",
        "int64",
    ),
    ("city", [1.5], "must hold strings. Received: double", "to strings."),
    ("city", [True], "must hold strings. Received: bool", 'dtype="int64"'),
    (
        "city",
        pd.to_datetime(["2024-01-01"]),
        "must hold strings. Received: times",
        "to",
    ),
    ("city", [["a"]], "must hold strings. Received: list<", "MultiCategorical"),
    (
        "city",
        np.array([["a"]]),
        "must hold strings. Received: large_list<",
        "one value",
    ),
    ("city", [b"\xff"], "must hold UTF-8 text. Received: ", "Decode the bytes"),
    ("city", BAD_UTF8, "must hold UTF-8 text. Received: ", "hexadecimal text"),
    ("age", [1, True], "1 (int) in row 0 and True (bool) in row 1.", "Convert"),
    ("shop", np.array([2**63], "uint64"), "must hold int64 values. Received: ", ""),
    ("shop", ["1"], "must hold integers. Received: string, for example '1'", "string"),
    ("shop", [1.0, 2.5], "must hold integers. Received: 2.5 in row 1 (double).", "str"),
    ("shop", [math.inf], "must hold integers below 9007199254740992", "Int64"),
    (
        "shop",
        [float(2**53), math.nan],
        "9007199254740992.0 in row 0 (double).",
        "Int64",
    ),
    ("shop", np.array([2**24], "f4"), "below 16777216 where they are float.", "Int64"),
    ("shop", np.array([2**11], "f2"), "below 2048 where they are halffloat.", "Int64"),
    ("shop", [[1]], "must hold integers. Received: list<", "one value a row"),
    (
        "age",
        [None, 1.0],
        "must not be missing. Received: NaN or null in row 0",
        "`fill`",
    ),
    (
        "age",
        [None, None],
        "must not be missing. Received: NaN or null in row 0, 2",
        "Cl",
    ),
    (
        "age",
        [1, math.inf],
        "must hold finite float32 numbers. Received: inf in ",
        "Clip",
    ),
    (
        "age",
        [1, -1e39],
        "must hold finite float32 numbers. Received: -1e+39 in",
        "Clip",
    ),
    ("hour", [math.inf], "must hold finite float32 numbers.", "clean the column"),
    (
        "age",
        ["1"],
        "must hold numbers. Received: string, for example '1'",
        "Categorical",
    ),
    ("age", [[1.0]], "must hold numbers. Received: list<", "Convert the column"),
    ("age", pd.to_timedelta(["1s"]), "must hold numbers. Received: duration", "Conv"),
    ("age", pd.period_range("2024", periods=1), "must hold numbers.", "Convert"),
    ("vector", [1.0], "must hold lists of 2 numbers. Received: double", ""),
    (
        "vector",
        [[1, 2], [1]],
        "must hold lists of 2 numbers. Received: 1 numbers in",
        "",
    ),
    (
        "vector",
        [[1, 2], None],
        "Received: 0 numbers in row 1.",
        "Give the column a `fi",
    ),
    ("vector", [None], "Received: 0 numbers in row 0.", "drop the row"),
    ("filled", [[], [1, 2, 3]], "Received: 3 numbers in row 1.", ""),
    (
        "vector",
        [[1, 2], [1, None]],
        "must not be missing. Received: NaN or null in",
        "",
    ),
    ("vector", [[1, 2], [1, None]], "in row 1, 1 in all.", "Clean the rows"),
    ("filled", [None, [1, math.inf]], "Received: inf in row 1.", "Clip"),
    ("vector", [["a", "b"]], "must hold numbers. Received: string", "Convert"),
]


@pytest.mark.parametrize(("name", "values", "text", "way_out"), BAD)
def test_bad_columns(refused, name, values, text, way_out):
    refused(name, values, text, way_out)
