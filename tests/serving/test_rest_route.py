"""Section 7.1: paths."""

import re

import pytest

from tfrec.serving import rest_route
from tfrec.serving.refusal import Refusal


@pytest.mark.parametrize(
    ("method", "path", "api", "name", "version", "label"),
    [
        ("POST", "/v1/models/m:predict", "predict", "m", None, None),
        ("POST", "/V1/Models/M:PREDICT", "predict", "M", None, None),
        ("POST", "/v1/models/m/versions/12:classify", "classify", "m", 12, None),
        ("POST", "/v1/models/m/versions/0:predict", "predict", "m", 0, None),
        ("POST", "/v1/models/m/versions/0007:predict", "predict", "m", 7, None),
        ("POST", "/v1/models/m/labels/canary:regress", "regress", "m", None, "canary"),
        ("POST", "/v1/models/a%20b%3A%2Fc:predict", "predict", "a b:/c", None, None),
        ("POST", "/v1/models/m/labels/%C3%A9:predict", "predict", "m", None, "é"),
        ("GET", "/v1/models/m", "status", "m", None, None),
        (
            "GET",
            "/v1/models/m/versions/9223372036854775807",
            "status",
            "m",
            2**63 - 1,
            None,
        ),
        ("GET", "/v1/models/m/labels/stable", "status", "m", None, "stable"),
        ("GET", "/v1/models/m/metadata", "metadata", "m", None, None),
        ("GET", "/v1/models/m/versions/3/METADATA", "metadata", "m", 3, None),
        ("GET", "/v1/models/metadata", "status", "metadata", None, None),
    ],
)
def test_routes(method, path, api, name, version, label):
    found = rest_route.find(method, path)
    assert found.api == api
    assert found.spec.name == name
    choice = found.spec.WhichOneof("version_choice")
    if version is not None:
        assert (choice, found.spec.version.value) == ("version", version)
    elif label is not None:
        assert (choice, found.spec.version_label) == ("version_label", label)
    else:
        assert choice is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/"),
        ("GET", "/v1/models/m:predict"),
        ("GET", "/v1/models/m?x=1"),
        ("GET", "/v1/models/m/"),
        ("GET", "/v1/models/m/versions/x"),
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m:predict?x=1"),
        ("POST", "/v1/models/m:explain"),
        ("POST", "/v1/models/:predict"),
        ("POST", "/v1/models/m%3Apredict"),
        ("POST", "/v1/models/m/versions/-1:predict"),
        ("POST", "/v1/models/m/versions/\u0663:predict"),
        ("PUT", "/v1/models/m"),
        ("DELETE", "/v1/models/m"),
        ("HEAD", "/v1/models/m"),
    ],
)
def test_what_matches_no_route(method, path):
    with pytest.raises(Refusal) as caught:
        rest_route.find(method, path)
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message == f"Malformed request: {method} {path}"


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("GET", "/v1/models", "^Missing model name in request.$"),
        ("GET", "/v1/models/versions/3", "^Missing model name in request.$"),
        (
            "GET",
            "/v1/models/m/versions/18446744073709551615",
            "^Failed to convert version: 18446744073709551615 to numeric.$",
        ),
        (
            "POST",
            f"/v1/models/m/versions/{2**63}:predict",
            "^Failed to convert version: 9223372036854775808 ",
        ),
        ("POST", f"/v1/models/m/versions/{'9' * 5000}:predict", "convert version: 99"),
        ("POST", "/v1/models/%FF:predict", "^Failed to decode: %FF$"),
    ],
)
def test_refusals(method, path, text):
    with pytest.raises(Refusal) as caught:
        rest_route.find(method, path)
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert re.search(text, caught.value.message)
