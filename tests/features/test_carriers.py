"""Rows in every kind of container."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf

from tfrec.features.carriers import read_columns


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


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


MIXED = "must hold values of one type. Received: "

BAD = [
    ("city", ["\ud800"], f"{MIXED}'utf-8' codec can't encode", "Convert the column"),
    ("city", ["a", 1], f"{MIXED}'a' (str) in row 0 and 1 (int) in row 1.", "Convert"),
    ("city", ["a", None, 1.5], "'a' (str) in row 0 and 1.5 (float) in row 2.", "Con"),
    ("city", [pd.NA, "a", 1], "'a' (str) in row 1 and 1 (int) in row 2.", "Convert"),
    ("city", pd.Series(["a", 1]), "'a' (str) in row 0 and 1 (int) in row 1.", "Con"),
    ("age", [1, 2.5, "a"], "1 (int) in row 0 and 'a' (str) in row 2.", "Convert"),
    ("tags", ["a", ["a"]], "'a' (str) in row 0 and ['a'] (list) in row 1.", "Con"),
    ("shops", [[1, "a"]], f"{MIXED}Could not convert 'a' with type str", "Convert"),
    ("shop", [2**63], f"{MIXED}Python int too large", "Convert"),
    ("tags", np.zeros((1, 1, 1)), f"{MIXED}an array of 3 dimensions", "Convert"),
    ("age", [1j], f"{MIXED}", "Convert the column"),
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
def test_bad_columns(refused, name, values, text, way_out):
    refused(name, values, text, way_out)


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
