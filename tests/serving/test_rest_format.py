"""JSON both ways: bodies that a server reads, answers that become arrays."""

import json
import math

import hypothesis.extra.numpy as st_numpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.protobuf import meta_graph_pb2

from tfrec.serving import json_predict, json_text, rest_format, tensors

NAMES = ["float32", "float64", "int32", "int64", "uint8", "bool"]
SHAPES = st_numpy.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
ARRAYS = st.one_of(
    *(st_numpy.arrays(name, SHAPES) for name in NAMES),
    st_numpy.arrays(object, SHAPES, elements=st.binary(max_size=20)),
    st_numpy.arrays(object, SHAPES, elements=st.text(max_size=20).map(str.encode)),
)


@given(array=ARRAYS)
def test_what_is_sent_is_what_the_server_reads(array):
    """Every bit of every number and string, NaN and bytes that are no text."""
    request = rest_format.predict("m", None, "", {"x": array}, ())
    info = meta_graph_pb2.TensorInfo(dtype=tensors.type_of(array))
    document = json_text.parse(request.data)
    read, by_row = json_predict.arrays(document, {"x": info})
    assert not by_row
    assert read["x"].shape == array.shape
    assert read["x"].dtype == array.dtype
    if array.dtype == object:
        assert read["x"].tolist() == array.tolist()
    else:
        np.testing.assert_array_equal(read["x"], array)
    overhead = len('{"inputs":{"x":}}') + 2
    taken = int(rest_format.row_bytes(array).sum())
    assert len(request.data) - overhead <= taken


@given(array=ARRAYS)
def test_what_the_server_writes_is_what_is_read(array):
    if array.dtype == object:
        array = np.array([b"text"], object) if not _texts(array) else array
    body = json_text.dump(json_predict.answer({"x": array, "y": array}, by_row=False))
    told = {name: {"dtype": _dtype(array)} for name in "xy"}
    arrays, version = rest_format.read_predict(body, (), told)
    assert version is None
    assert list(arrays) == ["x", "y"]
    for found in arrays.values():
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    one = json_text.dump(json_predict.answer({"x": array}, by_row=False))
    alone, _ = rest_format.read_predict(one, (), {"x": {"dtype": _dtype(array)}})
    np.testing.assert_array_equal(alone["x"], array)


def _texts(array):
    try:
        return bool([text.decode() for text in array.flat])
    except UnicodeDecodeError:
        return False


def _dtype(array):
    return "string" if array.dtype == object else array.dtype.name


def test_places():
    assert rest_format.status("a/b c").place == "/v1/models/a%2Fb%20c"
    assert rest_format.status("m").data == b""
    for version, place in ((None, ""), (0, "/versions/0"), ("new", "/labels/new")):
        path = f"/v1/models/m{place}"
        asked = rest_format.predict("m", version, "rank", {"x": np.ones(1)}, ["y"])
        assert asked.place == f"{path}:predict"
        assert json.loads(asked.data) == {
            "signature_name": "rank",
            "inputs": {"x": [1.0]},
        }
        assert rest_format.metadata("m", version).place == f"{path}/metadata"


def test_one_user_and_many_items_have_their_own_numbers_of_rows():
    arrays = {"user": np.array([b"u"], object), "item": np.arange(3)}
    data = rest_format.predict("m", None, "", arrays, ()).data
    assert json.loads(data) == {"inputs": {"user": ["u"], "item": [0, 1, 2]}}


def test_bytes_and_outputs_that_nobody_told_of():
    data = b'{"outputs": {"ids": ["a"], "raw_bytes": [{"b64": "/w=="}], "n": [1.5]}}'
    arrays, _ = rest_format.read_predict(data, (), {})
    assert arrays["ids"].tolist() == [b"a"]
    assert arrays["raw_bytes"].tolist() == [b"\xff"]
    assert arrays["n"].tolist() == [1.5]
    only, _ = rest_format.read_predict(data, ["n"], {"n": {"dtype": "float"}})
    assert list(only) == ["n"]
    assert only["n"].dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinite_numbers_are_sent(dtype):
    array = np.array([[np.nan, np.inf], [-np.inf, 0.1]], dtype)
    request = rest_format.predict("m", None, "", {"x": array}, ())
    assert b"null" not in request.data
    info = meta_graph_pb2.TensorInfo(dtype=tensors.type_of(array))
    read, _ = json_predict.arrays(json_text.parse(request.data), {"x": info})
    np.testing.assert_array_equal(read["x"], array)


def test_infinite_numbers_are_read():
    data = b'{"outputs": [NaN, Infinity, -Infinity, 1.0]}'
    told = {"y": {"dtype": "float32"}}
    found = rest_format.read_predict(data, (), told)[0]["y"].tolist()
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf, 1.0]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"outputs": [[1], [1, 2]]}', b'{"outputs": ["x"]}']
)
def test_what_is_no_answer(data):
    with pytest.raises((ValueError, KeyError, TypeError)):
        rest_format.read_predict(data, (), {"y": {"dtype": "float32"}})
    with pytest.raises(ValueError, match="name of its only output is not known"):
        rest_format.read_predict(b'{"outputs": [1]}', (), {})
