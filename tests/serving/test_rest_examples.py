"""Section 7.5: Examples from JSON, results to JSON."""

import re

import numpy as np
import pytest
from tensorflow_serving.apis import classification_pb2, regression_pb2

from tfrec.serving import json_text, rest_examples
from tfrec.serving.refusal import Refusal


@pytest.mark.parametrize(
    ("value", "field", "wanted"),
    [
        (30, "int64_list", [30]),
        (True, "int64_list", [1]),
        ([False, 7, -(2**63), 2**63 - 1], "int64_list", [0, 7, -(2**63), 2**63 - 1]),
        (2.0, "float_list", [2]),
        ([0.5, 1e39, float("nan")], "float_list", [0.5, np.inf, np.nan]),
        ("é", "bytes_list", ["é".encode()]),
        (["u", {"b64": "/w=="}], "bytes_list", [b"u", b"\xff"]),
    ],
)
def test_features(value, field, wanted):
    feature = rest_examples.example({"f": value}).features.feature["f"]
    assert feature.WhichOneof("kind") == field
    found = list(getattr(feature, field).value)
    assert found == wanted or np.array_equal(found, wanted, equal_nan=True)


def test_an_empty_feature_has_no_kind():
    made = rest_examples.example({"f": []})
    assert made.features.feature["f"].WhichOneof("kind") is None


@pytest.mark.parametrize(
    ("features", "text"),
    [
        ([1], "^Example must be JSON object but got JSON Array$"),
        (None, "^Example must be JSON object but got JSON Null$"),
        ({"f": None}, "^Feature: f has element with unexpected JSON type: Null$"),
        ({"f": [[1]]}, "^Feature: f has element with unexpected JSON type: Array$"),
        ({"f": {"a": 1}}, "not formatted correctly for base64 data$"),
        (
            {"f": [1, 2.0]},
            "^Unexpected element type in feature: f expecting type: int64$",
        ),
        ({"f": [2.0, 1]}, "expecting type: float$"),
        ({"f": ["u", 1]}, "expecting type: bytes$"),
        ({"f": [1, "u"]}, "expecting type: int64$"),
        ({"f": 2**63}, "^Feature: f has uint64 element. Only int64 is supported.$"),
        ({"f": {"b64": "*"}}, "^Unable to base64 decode$"),
    ],
    ids=range(11),
)
def test_bad_features(features, text):
    with pytest.raises(Refusal) as caught:
        rest_examples.example(features)
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert re.search(text, caught.value.message), caught.value.message


def test_requests():
    asked = classification_pb2.ClassificationRequest()
    rest_examples.fill(asked, {"examples": [{"x": 1.0}, {}], "signature_name": "s"})
    assert asked.model_spec.signature_name == "s"
    assert asked.input.WhichOneof("kind") == "example_list"
    first, second = asked.input.example_list.examples
    assert first == rest_examples.example({"x": 1.0})
    assert not second.features.feature
    asked = regression_pb2.RegressionRequest()
    rest_examples.fill(asked, {"context": {"u": "v"}, "examples": [{"x": 1.0}]})
    both = asked.input.example_list_with_context
    assert both.context == rest_examples.example({"u": "v"})
    assert list(both.examples) == [first]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({}, "key 'examples' is expected and was not found$"),
        ({"examples": []}, "'examples' value is an empty array$"),
        ({"examples": {}}, "Expecting 'examples' value to be an list/array$"),
        ({"examples": [5]}, "^Example must be JSON object but got JSON Number$"),
        ({"examples": [{}], "context": 5}, "^Example must be JSON object"),
        ({"examples": [{}], "signature_name": 5}, "'signature_name' key must be a str"),
    ],
    ids=range(6),
)
def test_bad_requests(document, text):
    with pytest.raises(Refusal) as caught:
        rest_examples.fill(classification_pb2.ClassificationRequest(), document)
    assert re.search(text, caught.value.message), caught.value.message


def test_answers():
    response = classification_pb2.ClassificationResponse()
    for scores in ([0.5, 1 / 3], [2.0]):
        result = response.result.classifications.add()
        for number, score in enumerate(scores):
            result.classes.add(label=f"c{number}", score=score)
    text = '{"results":[[["c0",0.5],["c1",0.333333343]],[["c0",2.0]]]}'
    assert json_text.dump(rest_examples.classified(response)).decode() == text
    response = regression_pb2.RegressionResponse()
    for value in (1.5, -2, 1e-9):
        response.result.regressions.add(value=value)
    text = '{"results":[1.5,-2.0,1e-09]}'
    assert json_text.dump(rest_examples.regressed(response)).decode() == text


@pytest.mark.parametrize("name", ["classified", "regressed"])
def test_answers_of_nothing(name):
    response = {
        "classified": classification_pb2.ClassificationResponse(),
        "regressed": regression_pb2.RegressionResponse(),
    }[name]
    with pytest.raises(Refusal, match="^Cannot convert empty"):
        getattr(rest_examples, name)(response)
