import decimal
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
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    Sequence,
    wire,
)
from tfrec.features.rows import pad, read_columns, typed

SPEC = FeatureSpec(
    [
        Categorical("city", side="user"),
        Categorical("shop", side="item", dtype="int64"),
        MultiCategorical("tags", side="item", max_length=3),
        MultiCategorical("words", side="item", separator="|", max_length=3),
        Sequence("cities", of="city", max_length=3),
        Sequence("shops", of="shop", max_length=3),
        Sequence("codes", of="shop", max_length=3, separator=","),
        Sequence("dashed", of="city", max_length=3, separator="|", padding="-"),
        Numeric("age", side="user"),
        Numeric("price", side="item", fill=-1.0),
        Numeric("vector", side="item", shape=(2,)),
        Numeric("filled", side="item", shape=(2,), fill=0.5),
        Bucketized("hour", side="context", boundaries=(6, 12)),
    ]
)


def read(name, values):
    """What `typed` makes of one column, as a list."""
    arrays = read_columns({name: values}, [name])
    return typed(SPEC, arrays, [name])[name].to_pylist()


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


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
def test_every_kind_of_text(values):
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
def test_text_that_cannot_hold_null(values):
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
def test_every_kind_of_integer(values):
    assert read("shop", values) == WHOLE


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "uint32"])
def test_small_integers(dtype):
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
def test_truth_values_are_integers(values):
    assert read("shop", values) == [1, None, 0]
    assert read("shops", [[True, False], []]) == [[1, 0], []]


def test_the_whole_range_of_integers():
    values = [-(2**63), 2**63 - 1, 2**53 + 1, 0]
    assert read("shop", values) == values
    assert read("shop", np.array(values)) == values
    assert read("shop", [2**53 + 1, None]) == [2**53 + 1, None]
    assert read("shops", [values[:3]]) == [values[:3]]


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
def test_every_kind_of_list(name, values):
    assert read(name, values) == KEPT


@pytest.mark.parametrize("dtype", [object, "str", "category", arrow(pa.large_string())])
def test_separated_strings_are_lists(dtype):
    values = ["a|b", "", None, "a||c|", "1|2|3|4"]
    assert read("words", pd.Series(values, dtype=dtype)) == KEPT
    assert read("words", ["é|ü".encode(), None]) == [["é", "ü"], []]
    assert read("words", pa.array([*values, "x"])[:-1]) == KEPT


def test_nothing_between_separators_is_no_value():
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
def test_lists_of_integers(values):
    if isinstance(values, tf.RaggedTensor):
        values = tf.cast(values, tf.int64)
    assert read("shops", values) == KEPT_NUMBERS


def test_separated_integers():
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
def test_lists_without_any_value(values):
    for name in ("tags", "words", "shops", "codes"):
        assert read(name, values) == [[], []]


def test_columns_without_any_value():
    """pandas calls them float64, whatever they would hold."""
    for name in ("city", "shop"):
        for values in ([np.nan, np.nan], pd.Series([None, np.nan], dtype=float)):
            assert read(name, values) == [None, None]


def test_id_0_is_a_value():
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
def test_every_kind_of_number(name, values, wanted):
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
def test_missing_numbers(values):
    assert read("price", values) == [1, -1]
    hour = read("hour", values)
    assert hour[0] == 1 and math.isnan(hour[1])
    with raises('column "age" must not be missing. Received: NaN or null in row 1, 1'):
        read("age", values)


def test_numbers_that_are_all_missing():
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
def test_vectors(values):
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
def test_missing_vectors_are_filled(values):
    assert read("filled", values) == [[1, 2], [0.5, 0.5], [0.5, 4]]


def test_all_vectors_missing():
    assert read("filled", [None, None]) == [[0.5, 0.5]] * 2
    assert read("vector", []) == []


def frame(**columns):
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    "rows",
    [
        frame(city=["a", "b"], age=[1, 2]),
        frame(age=[1, 2], more=["x", "y"], city=["a", "b"]),
        {"age": [1, 2], 3: [0, 0], "city": np.array(["a", "b"])},
        [{"city": "a", "age": 1}, {"age": 2, "city": "b", "more": 3}],
        pa.table({"more": [1, 2], "age": [1, 2], "city": ["a", "b"]}),
        pa.table({"age": [1, 2], "city": ["a", "b"]}).to_batches()[0],
        pa.concat_tables(
            [pa.table({"age": [n], "city": [c]}) for n, c in ((1, "a"), (2, "b"))]
        ),
    ],
)
def test_every_kind_of_rows(rows):
    """Extra columns and their order do not count."""
    arrays = read_columns(rows, ["city", "age"])
    assert list(arrays) == ["city", "age"]
    assert [array.to_pylist() for array in arrays.values()] == [["a", "b"], [1, 2]]


def test_names_that_are_numbers():
    for rows in (pd.DataFrame({0: [1], 1: [2]}), {0: [1], 1: [2]}):
        assert read_columns(rows, ["1"])["1"].to_pylist() == [2]


def test_no_rows():
    for rows in (frame(city=[]), {"city": []}, [], pa.table({"city": []})):
        assert read_columns(rows, ["city"])["city"].to_pylist() == []


BAD_UTF8 = pa.StringArray.from_buffers(
    1, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")
)
MIXED = "must hold values of one type. Received: "

# What a column gets, its error, and the way out of it.
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
    ("tags", [[b"ok", b"\xff"]], "must hold UTF-8 text.", "Decode the bytes"),
    ("words", [b"ok|\xff"], "must hold UTF-8 text.", "Decode the bytes"),
    ("city", ["\ud800"], f"{MIXED}'utf-8' codec can't encode", "Convert the column"),
    ("city", ["a", 1], f"{MIXED}'a' (str) in row 0 and 1 (int) in row 1.", "Convert"),
    ("city", ["a", None, 1.5], "'a' (str) in row 0 and 1.5 (float) in row 2.", "Con"),
    ("city", [pd.NA, "a", 1], "'a' (str) in row 1 and 1 (int) in row 2.", "Convert"),
    ("city", pd.Series(["a", 1]), "'a' (str) in row 0 and 1 (int) in row 1.", "Con"),
    ("age", [1, 2.5, "a"], "1 (int) in row 0 and 'a' (str) in row 2.", "Convert"),
    ("age", [1, True], "1 (int) in row 0 and True (bool) in row 1.", "Convert"),
    ("tags", ["a", ["a"]], "'a' (str) in row 0 and ['a'] (list) in row 1.", "Con"),
    ("tags", [np.array([1, 2]), "a"], "(ndarray) in row 0 and 'a' (str) in row", "Con"),
    ("shops", [[1, "a"]], f"{MIXED}Could not convert 'a' with type str", "Convert"),
    ("shop", [2**63], f"{MIXED}Python int too large", "Convert"),
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
    ("tags", ["a"], "must hold lists. Received: string", "give the column a `separa"),
    ("tags", [b"a"], "must hold lists. Received: binary", "give the column a `separa"),
    ("tags", [1], "must hold lists. Received: int64", "Wrap each row's values"),
    ("tags", [[["a"]]], "must hold lists of single values. Received: lists", "Flatten"),
    ("tags", np.zeros((1, 1, 1)), f"{MIXED}an array of 3 dimensions", "Convert"),
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
    ("age", [1j], f"{MIXED}", "Convert the column"),
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
    (
        "city",
        "a",
        "a list or array with one entry a row. Received: 'a' (str).",
        '{"city',
    ),
    (
        "city",
        None,
        "a list or array with one entry a row.",
        'pass lists: {"city": [val',
    ),
    ("age", 3, "a list or array with one entry a row. Received: 3 (int).", "one row"),
    ("age", np.float32(3), "with one entry a row.", "For one row pass lists"),
    ("age", np.array(3), "with one entry a row.", "For one row pass lists"),
    ("age", tf.constant(3), "with one entry a row.", "For one row pass lists"),
    ("tags", {"a", "b"}, "with one entry a row.", "For one row pass lists"),
    ("tags", {"a": 1}, "with one entry a row.", "For one row pass lists"),
    ("age", iter([1]), "with one entry a row.", "For one row pass lists"),
    ("tags", tf.sparse.from_dense([["a"]]), MIXED, "Convert the column"),
]


@pytest.mark.parametrize(("name", "values", "text", "way_out"), BAD)
def test_bad_columns(name, values, text, way_out):
    column = f'column "{name}" '
    with raises(text) as error:
        read(name, values)
    message = str(error.value)
    assert message.startswith(f"FeatureSpec: {column}")
    assert way_out in message.split("Received: ", 1)[1]


TWICE = pd.DataFrame([["a", "b"]], columns=["city", "city"])


@pytest.mark.parametrize(
    ("rows", "text", "kind"),
    [
        (
            frame(town=["a"]),
            'FeatureSpec: column "city" must be one of the row\'s features. Received: '
            '"town". Add "city" to the input or drop it from the spec.',
            ValueError,
        ),
        (frame(citty=["a"]), 'from the spec. Did you mean "citty"?', ValueError),
        ({}, "Received: no columns. Add", ValueError),
        ({5: ["a"]}, 'Received: "5". Add "city"', ValueError),
        (
            TWICE,
            'column "city" must stand once in the rows. Received: it 2',
            ValueError,
        ),
        (pa.Table.from_arrays([["a"], ["b"]], ["city", "city"]), "once", ValueError),
        (
            [{"city": "a"}, {"town": "b"}],
            'every row. Received: row 1 with "',
            ValueError,
        ),
        (
            [{"town": "b"}],
            "must be one of the row's features. Received: \"",
            ValueError,
        ),
        ("rows.parquet", "`rows` must be a DataFrame, a dict of columns", TypeError),
        (None, "`rows` must be a DataFrame", TypeError),
        ([1, 2], "`rows` must be a DataFrame", TypeError),
        (np.zeros((2, 2)), "`rows` must be a DataFrame", TypeError),
        (pd.Series(["a"], name="city"), "`rows` must be a DataFrame", TypeError),
    ],
)
def test_bad_rows(rows, text, kind):
    with raises(text, kind):
        read_columns(rows, ["city"])


def test_unequal_lengths():
    text = 'owner: columns must have equal lengths. Received: "city": 2, "age": 1.'
    with raises(text):
        read_columns({"city": ["a", "b"], "age": [1]}, ["city", "age"], owner="owner")


def test_wire():
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
    sent = wire(SPEC, rows, rows)
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


def test_wire_of_lists_without_a_value():
    sent = wire(SPEC, {"tags": [[], None], "shops": [[], []]}, ["tags", "shops"])
    assert sent["tags"].tolist() == [[b""], [b""]]
    assert sent["shops"].tolist() == [[-1], [-1]]


def test_wire_of_no_rows():
    sent = wire(
        SPEC, {"tags": [], "city": [], "vector": []}, ["tags", "city", "vector"]
    )
    shapes = {name: values.shape for name, values in sent.items()}
    assert shapes == {"tags": (0, 1), "city": (0,), "vector": (0, 2)}


def test_wire_asks_for_every_column_of_the_spec():
    with raises('client: column "shop" must be one of the row\'s features.'):
        wire(SPEC, {"city": ["a"]}, owner="client")


def test_wire_of_values_with_zero_bytes():
    assert wire(SPEC, {"city": ["a\0"]}, ["city"])["city"].tolist() == [b"a\0"]


def test_pad():
    found = pad(np.array([1, 2, 3], np.int32), np.array([0, 2, 0, 1]), 9, 3)
    assert found.tolist() == [[9, 9, 9], [1, 2, 9], [9, 9, 9], [3, 9, 9]]
    assert found.dtype == np.int32
