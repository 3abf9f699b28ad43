"""Section 7.3 and 7.4: row and columnar requests, and their answers."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tfrec.serving import json_predict, json_text
from tfrec.serving.refusal import Refusal


class Info:
    """As much of a TensorInfo as is read."""

    def __init__(self, name):
        self.dtype = tf.as_dtype(name).as_datatype_enum


def inputs(**dtypes):
    return {name: Info(dtype) for name, dtype in dtypes.items()}


ONE, TWO = inputs(x="float32"), inputs(a="float32", b="string")


@pytest.mark.parametrize(
    ("document", "signature", "wanted"),
    [
        ({"instances": [1, 2]}, ONE, {"x": [1, 2]}),
        ({"instances": [[1, 2], [3, 4]]}, ONE, {"x": [[1, 2], [3, 4]]}),
        ({"instances": [{"x": 1}, {"x": 2}]}, ONE, {"x": [1, 2]}),
        ({"instances": [{"x": [[1]]}]}, ONE, {"x": [[[1]]]}),
        ({"instances": [[], []]}, ONE, {"x": np.zeros([2, 0]).tolist()}),
        (
            {"instances": [{"b": "u", "a": 1}, {"a": 2, "b": {"b64": "dg=="}}]},
            TWO,
            {"a": [1, 2], "b": [b"u", b"v"]},
        ),
        ({"instances": [{"b64": "dg=="}]}, inputs(b="string"), {"b": [b"v"]}),
        (
            {"instances": ["u", {"b64": "dg=="}]},
            inputs(b="string"),
            {"b": [b"u", b"v"]},
        ),
        ({"inputs": [1, 2]}, ONE, {"x": [1, 2]}),
        ({"inputs": 1}, ONE, {"x": 1}),
        ({"inputs": []}, ONE, {"x": []}),
        ({"inputs": {"x": [[1]]}}, ONE, {"x": [[1]]}),
        ({"inputs": {"b64": "dg=="}}, inputs(b="string"), {"b": b"v"}),
        (
            {"inputs": {"b": ["u"], "a": [1, 2, 3], "more": None}, "other": 5},
            TWO,
            {"a": [1, 2, 3], "b": [b"u"]},
        ),
    ],
    ids=range(14),
)
def test_requests(document, signature, wanted):
    arrays, by_row = json_predict.arrays(document, signature)
    assert by_row == ("instances" in document)
    assert {name: value.tolist() for name, value in arrays.items()} == wanted


@pytest.mark.parametrize(
    ("document", "signature", "text"),
    [
        ({}, ONE, "^Missing 'inputs' or 'instances' key$"),
        (
            {"inputs": 1, "instances": [1]},
            ONE,
            "expecting only one of 'inputs' or 'inst",
        ),
        ({"instances": []}, ONE, "No values in 'instances' array$"),
        ({"instances": {"x": 1}}, ONE, "Excepting 'instances' to be an list/array$"),
        ({"instances": 1}, ONE, "Excepting 'instances' to be an list/array$"),
        ({"inputs": 1}, {}, "^Failed to get input map for signature: DEFAULT$"),
        ({"signature_name": "s"}, {}, "^Failed to get input map for signature: s$"),
        (
            {"instances": [1]},
            TWO,
            "^instances is a plain list, but expecting list of obj",
        ),
        ({"instances": [{"b64": "dg=="}]}, TWO, "^instances is a plain list"),
        (
            {"inputs": [1]},
            TWO,
            "^inputs is a plain value/list, but expecting an object",
        ),
        (
            {"instances": [{"a": 1}]},
            TWO,
            "^Failed to process element: 0 of 'instances' list. JSON object: "
            r"\{\"a\":1\} keys must be equal to: a,b$",
        ),
        (
            {"instances": [{"a": 1, "b": "u"}, {"a": 1, "b": "u", "c": 1}]},
            TWO,
            "^Failed to process element: 1 of .* keys must be equal to: a,b$",
        ),
        (
            {"instances": [{"x": 1}, 2]},
            ONE,
            "^Expecting object but got list at item 1 of input list$",
        ),
        (
            {"instances": [1, {"x": 2}]},
            ONE,
            "^Expecting value/list but got object at item 1 of input list$",
        ),
        (
            {"instances": [[1, 2], [1, 2, 3]]},
            ONE,
            "^Failed to process element: 1 of 'instances' list. Error: "
            "INVALID_ARGUMENT: Expecting tensor size: 2 but got: 3$",
        ),
        (
            {"instances": [{"x": [1, 2]}, {"x": [[1], [2]]}]},
            ONE,
            "^Failed to process element: 1 key: x of 'instances' list. Error: "
            r"INVALID_ARGUMENT: Expecting shape \[2\] but got: \[2,1\]$",
        ),
        (
            {"instances": [[[1, 2], [3]]]},
            ONE,
            "^Failed to process element: 0 .* Encountered list at unexpected size: 1",
        ),
        (
            {"instances": [1, "x"]},
            ONE,
            'element: 1 .* JSON Value: "x" Type: String is not of expected type: flo',
        ),
        ({"instances": [None]}, ONE, "Type: Null is not of expected type: float$"),
        ({"inputs": {"a": 1}}, TWO, "^Missing named input: b in 'inputs' object.$"),
        (
            {"inputs": {"x": "1"}},
            ONE,
            '^JSON Value: "1" Type: String is not of expected',
        ),
        ({"inputs": None}, ONE, "^JSON Value: null Type: Null is not"),
    ],
    ids=range(22),
)
def test_bad_requests(document, signature, text):
    with pytest.raises(Refusal) as caught:
        json_predict.arrays(document, signature)
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert re.search(text, caught.value.message), caught.value.message


def test_a_row_of_as_many_levels_as_fit_does_not():
    value = 1.0
    for _ in range(32):
        value = [value]
    with pytest.raises(Refusal, match="Encountered list|too many levels"):
        json_predict.arrays({"instances": [value]}, ONE)


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_types_that_json_does_not_give(key):
    with pytest.raises(Refusal, match="Conversion of JSON Value: 1 to type: half") as e:
        json_predict.arrays({key: [1]}, inputs(x="float16"))
    assert e.value.code.name == "UNIMPLEMENTED"


def test_signature_names():
    assert json_predict.signature_name({}) == ""
    assert json_predict.signature_name({"signature_name": "s"}) == "s"
    text = "'signature_name' key must be a string value.$"
    for wrong in (None, 5, ["s"]):
        with pytest.raises(Refusal, match=text):
            json_predict.signature_name({"signature_name": wrong})


Y = np.float32([[1, 2], [3, 4]])
Z = np.array([5, 6])
S = np.array([b"u", b"\xff"], object)


@pytest.mark.parametrize(
    ("outputs", "by_row", "text"),
    [
        ({"y": Y}, True, '{"predictions":[[1.0,2.0],[3.0,4.0]]}'),
        ({"y": Y}, False, '{"outputs":[[1.0,2.0],[3.0,4.0]]}'),
        (
            {"y": Y, "z": Z},
            True,
            '{"predictions":[{"y":[1.0,2.0],"z":5},{"y":[3.0,4.0],"z":6}]}',
        ),
        ({"y": Y, "z": Z}, False, '{"outputs":{"y":[[1.0,2.0],[3.0,4.0]],"z":[5,6]}}'),
        (
            {"y": Y[0] / 1e6, "z": Z},
            True,
            '{"predictions":[{"y":1e-06,"z":5},{"y":2e-06,"z":6}]}',
        ),
        ({"s_bytes": S}, True, '{"predictions":[{"b64":"dQ=="},{"b64":"/w=="}]}'),
        ({"s": S[:1], "z": Z[:1]}, True, '{"predictions":[{"s":"u","z":5}]}'),
        ({"y": Y[:0], "z": Z[:0]}, True, '{"predictions":[]}'),
        ({"z": Z[0]}, False, '{"outputs":5}'),
        ({"y": Y, "z": Z[0]}, False, '{"outputs":{"y":[[1.0,2.0],[3.0,4.0]],"z":5}}'),
    ],
    ids=range(10),
)
def test_answers(outputs, by_row, text):
    answer = json_predict.answer(outputs, by_row=by_row)
    assert json_text.dump(answer).decode() == text


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"t": Z[0]}, "^Tensor name: t has no shape information $"),
        (
            {"a": np.zeros(5), "t": np.zeros(3)},
            "^Tensor name: t has inconsistent batch size: 3 expecting: 5$",
        ),
        ({"s": S}, "^Failed to write JSON value: a string that is no UTF-8"),
        ({"h": Y.astype("f2")}, "^Failed to write JSON value for tensor type: half$"),
    ],
    ids=range(4),
)
def test_answers_that_no_row_holds(outputs, text):
    with pytest.raises(Refusal, match=text) as caught:
        json_predict.answer(outputs, by_row=True)
    assert caught.value.code.name == "INVALID_ARGUMENT"
