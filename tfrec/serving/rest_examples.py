"""Classify and Regress over JSON: features to Examples, results to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2

from tfrec.serving import json_text
from tfrec.serving.json_predict import signature_name
from tfrec.serving.json_tensor import string
from tfrec.serving.json_text import invalid, type_name

FIELDS = {int: "int64_list", bool: "int64_list", float: "float_list"}
INT64_END = 2**63


def fill(request: Any, document: Mapping[str, Any]) -> None:
    """Fills a ClassificationRequest or RegressionRequest from a parsed body.

    Raises: `Refusal`.
    """
    request.model_spec.signature_name = signature_name(document)
    examples = document.get("examples")
    shown = json_text.show(document) if not examples else ""
    if "examples" not in document:
        rule = "key 'examples' is expected and was not found"
        raise invalid(f"JSON Value: {shown} When method is classify, {rule}")
    if not isinstance(examples, list):
        shown = json_text.show(document)
        rule = "Expecting 'examples' value to be an list/array"
        raise invalid(f"JSON Value: {shown} {rule}")
    if not examples:
        raise invalid(f"JSON Value: {shown} 'examples' value is an empty array")
    target = request.input.example_list
    if "context" in document:
        target = request.input.example_list_with_context
        target.context.CopyFrom(example(document["context"]))
    target.examples.extend(map(example, examples))


def example(features: Any) -> Any:
    """An Example of features that are a value or a flat list each.

    Whole numbers and bools go to `int64_list`, numbers with a point or an exponent
    to `float_list`, strings and `{"b64": ...}` to `bytes_list`.

    Raises: `Refusal`.

    >>> example({"age": 30}).features.feature["age"].int64_list.value[0]
    30
    """
    if not isinstance(features, dict):
        kind = type_name(features)
        raise invalid(f"Example must be JSON object but got JSON {kind}")
    made = example_pb2.Example()
    for name, value in features.items():
        feature = made.features.feature[name]
        values = value if isinstance(value, list) else [value]
        if values:
            field = _field(name, values)
            getattr(feature, field).value.extend(_converted(name, field, values))
    return made


def _field(name: str, values: list[Any]) -> str:
    first = ""
    for value in values:
        if isinstance(value, (str, dict)):
            field = "bytes_list"
        elif type(value) in FIELDS:
            field = FIELDS[type(value)]
        else:
            kind = type_name(value)
            text = f"Feature: {name} has element with unexpected JSON type: {kind}"
            raise invalid(text)
        first = first or field
        if field != first:
            kind = first.removesuffix("_list")
            text = f"Unexpected element type in feature: {name} expecting type: {kind}"
            raise invalid(text)
    return first


def _converted(name: str, field: str, values: list[Any]) -> Any:
    if field == "bytes_list":
        return map(string, values)
    if field == "float_list":
        with np.errstate(over="ignore"):
            return np.array(values, np.float64).astype(np.float32).tolist()
    if max(values) >= INT64_END:
        text = f"Feature: {name} has uint64 element. Only int64 is supported."
        raise invalid(text)
    return map(int, values)


def classified(response: Any) -> dict[str, Any]:
    """The answer for a ClassificationResponse, for `json_text.dump`."""
    results = response.result.classifications
    if not results:
        raise invalid("Cannot convert empty ClassificationResults to JSON")
    return {
        "results": [
            [[entry.label, _score(entry.score)] for entry in result.classes]
            for result in results
        ]
    }


def regressed(response: Any) -> dict[str, Any]:
    """The answer for a RegressionResponse, for `json_text.dump`."""
    results = response.result.regressions
    if not results:
        raise invalid("Cannot convert empty RegressionResults to JSON")
    values = np.array([entry.value for entry in results], np.float32)
    return {"results": json_text.plain(values)}


def _score(value: float) -> Any:
    return json_text.plain(np.array(value, np.float32))
