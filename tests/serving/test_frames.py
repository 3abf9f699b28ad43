"""DataFrames in and out."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tfrec.serving import frames

FRAME = pd.DataFrame({"a": [1, 2]}, index=[5, 3])


def test_rows_of_every_kind():
    expected = FRAME.reset_index(drop=True)
    assert frames.of("rows", FRAME) is FRAME
    for rows in ({"a": [1, 2]}, [{"a": 1}, {"a": 2}], pa.table({"a": [1, 2]})):
        assert frames.of("rows", rows).equals(expected)
    text = "Client: `items` must be a DataFrame, a dict of columns or a list of dicts."
    with pytest.raises(ValueError, match=re.escape(text)):
        frames.of("items", {"a": 1})


def test_outputs_become_columns():
    outputs = {
        "score": np.float32([0.5, 1.5]),
        "vector": np.arange(4.0).reshape(2, 2),
        "name": np.array([b"\xc3\xa9", b"b"], object),
        "raw": np.array([b"\xff", b"b"], object),
        "ids": np.array([[b"x", b"y"], [b"z", b""]], object),
    }
    found = frames.with_outputs(FRAME, outputs)
    assert list(found.index) == [5, 3]
    assert list(FRAME) == ["a"]
    assert found["score"].dtype == np.float32
    assert found.loc[3, "vector"].tolist() == [2.0, 3.0]
    assert found["name"].tolist() == ["é", "b"]
    assert found["raw"].tolist() == [b"\xff", b"b"]
    assert found.loc[5, "ids"].tolist() == ["x", "y"]


@pytest.mark.parametrize("array", [np.float32(1), np.ones(3)])
def test_an_output_that_is_not_one_entry_a_row(array):
    text = 'Client: column "y" must be one entry a row to become a column. Received: '
    with pytest.raises(ValueError, match=re.escape(text)):
        frames.with_outputs(FRAME, {"y": np.asarray(array)})


def test_names_that_are_taken():
    frames.check_free(FRAME, ["b"])
    text = 'Client: column "a" must not be among the rows\' columns, the result has one'
    with pytest.raises(ValueError, match=re.escape(text)):
        frames.check_free(FRAME, ["b", "a"])


def test_one_row():
    row = {"id": "u", "history": ["a"]}
    assert frames.one_row(row) == [row]
    assert frames.one_row(pd.Series(row)) == [row]
    lists = {"id": ["u"], "history": [["a"]]}
    assert frames.one_row(lists) is lists
