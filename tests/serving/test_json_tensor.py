"""Section 7.3: parsed JSON, typed by the signature."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfrec.serving import json_tensor, json_text
from tfrec.serving.json_tensor import array, is_object, string
from tfrec.serving.refusal import Refusal


def kind_of(name):
    return tf.as_dtype(name).as_datatype_enum


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("float32", [1, 2.5, -3], [1, 2.5, -3]),
        ("float32", 1e39, np.inf),
        ("float32", [-1e39, 2**63], [-np.inf, 2**63]),
        ("float64", [2**64 - 1, 1e308], [2.0**64, 1e308]),
        ("int32", [-(2**31), 2**31 - 1], [-(2**31), 2**31 - 1]),
        ("int64", [-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1]),
        ("uint32", [0, 2**32 - 1], [0, 2**32 - 1]),
        ("uint64", [0, 2**64 - 1], [0, 2**64 - 1]),
        ("int8", [[-128], [127]], [[-128], [127]]),
        ("uint8", 255, 255),
        ("bool", [True, False], [True, False]),
        ("string", ["a", "é", {"b64": "/wA="}], [b"a", "é".encode(), b"\xff\0"]),
        ("string", {"b64": ""}, b""),
        ("float32", [], np.zeros([0])),
        ("string", [[], []], np.zeros([2, 0])),
        ("int64", [[[1], [2]], [[3], [4]]], [[[1], [2]], [[3], [4]]]),
    ],
)
def test_values(name, value, wanted):
    made = array(value, kind_of(name))
    assert made.dtype == tf.as_dtype(name).as_numpy_dtype
    assert made.shape == np.shape(wanted)
    assert made.tolist() == np.array(wanted, made.dtype).tolist()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("float32", "x", 'JSON Value: "x" Type: String is not of expected type: float'),
        (
            "float32",
            [1, True],
            "JSON Value: true Type: True is not of expected type: f",
        ),
        ("float64", [None], "JSON Value: null Type: Null is not of expected type: dou"),
        ("float32", ["1.5"], 'JSON Value: "1.5" Type: String is not of expected'),
        ("float32", {"a": 1}, 'JSON Value: {"a":1} Type: Object is not of expected'),
        ("int32", 1.0, "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ("int32", [0, 2**31], "JSON Value: 2147483648 Type: Number is not of expected"),
        ("int8", -(2**31) - 1, "Type: Number is not of expected type: int8"),
        ("uint8", True, "JSON Value: true Type: True is not of expected type: uint8"),
        ("int64", 2**63, "Type: Number is not of expected type: int64"),
        ("uint32", -1, "JSON Value: -1 Type: Number is not of expected type: uint32"),
        ("uint64", -1, "JSON Value: -1 Type: Number is not of expected type: uint64"),
        (
            "int64",
            1e3,
            "JSON Value: 1000.0 Type: Number is not of expected type: int64",
        ),
        ("bool", 1, "JSON Value: 1 Type: Number is not of expected type: bool"),
        ("bool", "true", "is not of expected type: bool"),
        ("string", 5, "JSON Value: 5 Type: Number is not of expected type: string"),
        (
            "string",
            {"b64": 5},
            'JSON Value: {"b64":5} not formatted correctly for base',
        ),
        ("string", {"b64": "", "c": 1}, "not formatted correctly for base64 data"),
        ("string", {"b64": "*"}, "Unable to base64 decode"),
        ("string", {"b64": "A"}, "Unable to base64 decode"),
        ("string", "\ud800", "half of a surrogate pair"),
        (
            "float32",
            [[1, 2], [3]],
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        ("float32", [[1], 2], "JSON Value: 2 found at incorrect level: 2 in the JSON"),
        ("float32", [1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        ("float32", [[], [1]], "Encountered list at unexpected size: 1 at level: 1"),
    ],
)
def test_wrong_values(name, value, text):
    with pytest.raises(Refusal) as caught:
        array(value, kind_of(name))
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert text in caught.value.message


@pytest.mark.parametrize(
    ("name", "kind"),
    [("float16", "half"), ("uint16", "uint16"), ("complex64", "complex64")],
)
def test_types_that_json_does_not_give(name, kind):
    with pytest.raises(
        Refusal, match=f"^Conversion of JSON Value: 1 to type: {kind}$"
    ) as e:
        array([1], kind_of(name))
    assert e.value.code.name == "UNIMPLEMENTED"


def test_piece_by_piece(monkeypatch):
    monkeypatch.setattr(json_tensor, "PIECE", 3)
    for name, values in [
        ("float32", [1.5, 2, 3, 4, 5, 6, 7]),
        ("string", list("abcdefg")),
    ]:
        made = array([values, values], kind_of(name))
        wanted = [v.encode() for v in values] if name == "string" else values
        assert made.tolist() == [wanted, wanted]
    with pytest.raises(Refusal, match='JSON Value: "x" Type: String'):
        array([1, 2, 3, 4, "x"], kind_of("int64"))


def test_many_levels():
    value = 1.0
    for _ in range(900):
        value = [value]
    with pytest.raises(Refusal, match="list at unexpected level: 32"):
        array(value, kind_of("float32"))


def test_padding_of_base64_may_be_left_out():
    assert string({"b64": "/wA"}) == string({"b64": "/wA="}) == b"\xff\0"


def test_what_is_an_object():
    assert is_object({}) and is_object({"b64": 1}) and is_object({"b64": "", "a": 1})
    assert not is_object({"b64": ""}) and not is_object([]) and not is_object("x")


NAMES = ["float32", "float64", "int8", "int32", "int64", "uint8", "uint32", "uint64"]
ARRAYS = st.sampled_from([*NAMES, "bool"]).flatmap(
    lambda name: hnp.arrays(name, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
)


@settings(max_examples=150, deadline=None)
@given(ARRAYS)
def test_there_and_back(value):
    """Whatever shape and type: written, parsed and typed, it is the same."""
    body = b'{"x":' + json_text.dump(json_text.plain(value)) + b"}"
    shape = value.shape  # after an axis of size 0 JSON has no more lists
    if 0 in shape:
        shape = shape[: shape.index(0) + 1]
    made = array(json_text.parse(body)["x"], kind_of(value.dtype.name))
    assert made.dtype == value.dtype
    np.testing.assert_array_equal(made, value.reshape(shape))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=9), max_size=5), st.booleans())
def test_strings_there_and_back(values, content):
    made = np.empty(len(values), object)
    made[:] = values
    try:
        text = json_text.dump({"x": json_text.plain(made, content=content)})
    except Refusal:
        assert not content
        return
    assert array(json_text.parse(text)["x"], kind_of("string")).tolist() == values


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["b64", "a"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(JUNK, st.sampled_from([*NAMES, "bool", "string", "float16"]))
def test_any_json_gives_an_array_or_a_refusal(value, name):
    body = json.dumps({"x": value}).encode()
    try:
        made = array(json_text.parse(body)["x"], kind_of(name))
    except Refusal as refusal:
        assert re.search("JSON|list|Unable", refusal.message)
    else:
        assert made.dtype == tf.as_dtype(name).as_numpy_dtype
