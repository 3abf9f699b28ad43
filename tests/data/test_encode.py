import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tfrec.data.encode import encode_block
from tfrec.encoder import IdEncoder
from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    Sequence,
)
from tfrec.features.carriers import read_columns

SPEC = FeatureSpec(
    [
        Categorical("c", side="user"),
        Categorical("i", side="user", dtype="int64"),
        MultiCategorical("m", side="item", table="c", max_length=2),
        Sequence("h", of="i", max_length=3, separator=","),
        Numeric("n", side="user", fill=5),
        Numeric("v", side="item", shape=(2,)),
        Bucketized("b", side="user", boundaries=(1, 2)),
    ]
)
ROWS = {
    "c": ["x", None, "new", "y"],
    "i": [7, 0, None, -1],
    "m": [["x", "y", "x"], [], ["new", ""], None],
    "h": ["0,7,0,7", "", "9", None],
    "n": [1, None, 0.5, 2],
    "v": [[1, 2], [3, 4], [5, 6], [7, 8]],
    "b": [0, 1, None, 9],
}
IDS = {
    "c": [2, 0, 1, 3],
    "i": [3, 2, 0, 0],
    "m": [[3, 2], [0, 0], [1, 0], [0, 0]],
    "h": [[3, 2, 3], [0, 0, 0], [1, 0, 0], [0, 0, 0]],
    "n": [1, 5, 0.5, 2],
    "v": ROWS["v"],
    "b": [2, 3, 0, 4],
}


@pytest.fixture
def encoder(tmp_path):
    learned = {"c": ["x", "y"], "i": [0, 7], "m": [["x"], []]}
    return IdEncoder(SPEC.adapt(learned, tmp_path))


def encode(encoder, rows):
    block = read_columns(rows, encoder.names)
    return encode_block(encoder, block, owner="reader")


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS).astype({"c": "category", "h": "category", "i": "Int64"}),
        pa.table(ROWS),
        pa.concat_tables([pa.table(ROWS)] * 2).slice(3, 4).take([1, 2, 3, 0]),
        pa.concat_tables([pa.table(ROWS)] * 2).slice(4, 4),
    ],
    ids=["dict", "frame", "categories", "arrow", "taken", "sliced"],
)
def test_encoded_columns(encoder, rows):
    found = encode(encoder, rows)
    assert list(found) == list(SPEC.names)
    assert {name: values.tolist() for name, values in found.items()} == IDS
    for name, values in found.items():
        assert isinstance(values, np.ndarray)
        assert values.dtype == ("float32" if name in "nv" else "int32")


def test_a_value_is_looked_up_once(encoder, monkeypatch):
    looked_up = []

    def lookup(column, values):
        looked_up.append((column.name, len(values)))
        return type(encoder).lookup(encoder, column, values)

    monkeypatch.setattr(encoder, "lookup", lookup)
    found = encode(encoder, {name: values * 500 for name, values in ROWS.items()})
    assert {name: values[-4:].tolist() for name, values in found.items()} == IDS
    assert looked_up == [("c", 3), ("i", 2), ("m", 3), ("h", 3)]


def test_nothing_but_missing_values(encoder):
    nothing = {
        **dict.fromkeys("cimhb", [None] * 2),
        "n": [None, None],
        "v": [[0, 0]] * 2,
    }
    found = encode(encoder, nothing)
    for name in "cimhb":
        assert not found[name].any() and len(found[name]) == 2


def test_no_rows(encoder):
    found = encode(encoder, {name: [] for name in SPEC.names})
    shapes = {name: values.shape for name, values in found.items()}
    assert shapes == {
        **dict.fromkeys("cinb", (0,)),
        **{"m": (0, 2), "h": (0, 3), "v": (0, 2)},
    }


def test_only_the_columns_of_the_encoder(encoder):
    part = IdEncoder(encoder.spec, ["h"])
    assert list(encode(part, {"h": ["7"]})) == ["h"]


def test_owner_is_named(encoder):
    with pytest.raises(ValueError, match=re.escape('reader: column "i" must hold in')):
        encode(encoder, {**ROWS, "i": ["7"] * 4})
