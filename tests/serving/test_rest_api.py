"""Sections 7.3 to 7.6, asked over real HTTP."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

PREDICT = "/v1/models/sums:predict"
ROWS = {"instances": [{"a": 1, "b": 3}, {"a": 2, "b": 4}]}


@pytest.mark.parametrize(("levels", "text"), [(20, "20 dimensions"), (40, "level")])
def test_many_levels_do_not_end_the_server(web, levels, text):
    for name, value in (("string", "x"), ("float32", 1)):
        for _ in range(levels):
            value = [value]
        body = {"signature_name": name, "inputs": value}
        status, _, answer = web.ask("/v1/models/echo:predict", body)
        assert status == 400 and text in answer["error"], answer


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        (
            PREDICT,
            ROWS,
            {"predictions": [{"product": 3, "sum": 28}, {"product": 8, "sum": 42}]},
        ),
        (
            PREDICT,
            {"inputs": {"a": [1, 2], "b": [3, 4]}},
            {"outputs": {"product": [3, 8], "sum": [28, 42]}},
        ),
        (
            "/v1/models/sums/versions/1:predict",
            {"inputs": {"a": [1], "b": [1, 2]}},
            {"outputs": {"product": [1, 2], "sum": [2, 3]}},
        ),
        (
            "/v1/models/sums/labels/stable:predict",
            {"instances": [{"a": 1, "b": 1}]},
            {"predictions": [{"product": 1, "sum": 4}]},
        ),
        (
            "/v1/models/sums/versions/1:predict",
            {"signature_name": "matmul", "instances": [[1, 2, 3], [4, 5, 6]]},
            {"predictions": [[6], [15]]},
        ),
        (
            "/v1/models/sums/versions/1:predict",
            {"signature_name": "matmul", "instances": [{"x": [1, 2, 3]}], "id": None},
            {"predictions": [[6]]},
        ),
        (
            PREDICT,
            {"inputs": {"a": [], "b": []}},
            {"outputs": {"product": [], "sum": []}},
        ),
        (
            "/v1/models/texts:predict",
            {"signature_name": "both", "instances": ["é", {"b64": "dQ=="}]},
            {
                "predictions": [
                    {"raw_bytes": {"b64": "w6k="}, "text": "é"},
                    {"raw_bytes": {"b64": "dQ=="}, "text": "u"},
                ]
            },
        ),
        (
            "/v1/models/texts:predict",
            {"signature_name": "both", "inputs": {"b64": "dQA="}},
            {"outputs": {"raw_bytes": {"b64": "dQA="}, "text": "u\0"}},
        ),
        *(
            (
                PREDICT,
                {"inputs": {"a": x, "b": x}},
                {"outputs": {"product": x, "sum": y}},
            )
            for x, y in [
                (1, 14),
                ([[1, 1], [1, 1]], [[14, 14]] * 2),
                ([[[1]]], [[[14]]]),
            ]
        ),
        (
            "/v1/models/texts:predict",
            {"signature_name": "uneven", "inputs": [1, 2]},
            {"outputs": {"a": [1, 2], "whole": 3}},
        ),
        (
            "/v1/models/texts:classify",
            {"signature_name": "classify", "examples": [{"x": 0.25}, {"x": 1.0}]},
            {"results": [[["yes", 0.25], ["no", 0.75]], [["yes", 1], ["no", 0]]]},
        ),
        (
            "/v1/models/texts:regress",
            {"signature_name": "regress", "examples": [{}, {}], "context": {"x": 1.5}},
            {"results": [3, 3]},
        ),
    ],
    ids=range(15),
)
def test_answers(web, path, body, answer):
    status, headers, found = web.ask(path, body)
    assert (status, found) == (200, answer)
    assert headers["Content-Type"] == "application/json"


def test_a_content_type_and_unknown_fields_are_not_looked_at(web):
    headers = {"Content-Type": "text/plain; charset=latin-1"}
    assert web.ask(PREDICT, {**ROWS, "more": 1}, headers=headers)[0] == 200


def test_numbers_that_are_no_json_come_and_go(web):
    body = b'{"signature_name": "float64", "inputs": [NaN, Infinity, -Inf, 0.1, 9e6]}'
    status, headers, answer = web.ask("/v1/models/echo:predict", body)
    assert status == 200
    np.testing.assert_array_equal(
        answer["outputs"], [np.nan, np.inf, -np.inf, 0.1, 9e6]
    )


WHOLE = {
    "int8": [-128, 127],
    "int16": [-(2**15), 2**15 - 1],
    "int32": [-(2**31), 2**31 - 1],
    "int64": [-(2**63), 2**63 - 1],
    "uint8": [0, 255],
    "uint32": [0, 2**32 - 1],
    "uint64": [0, 2**64 - 1],
    "bool": [True, False],
    "string": ["", "é"],
}


@pytest.mark.parametrize("name", WHOLE)
def test_every_type_comes_back(web, name):
    body = {"signature_name": name, "instances": WHOLE[name]}
    status, _, answer = web.ask("/v1/models/echo:predict", body)
    assert (status, answer) == (200, {"predictions": WHOLE[name]})


S = '{"signature_name": '
ERRORS = [
    (PREDICT, b"", 400, "^JSON Parse error: The document is empty$"),
    (PREDICT, b"{", 400, r"^JSON Parse error: .* at offset: 1$"),
    (PREDICT, b"[1]", 400, "Is not object$"),
    (PREDICT, b"[" * 100_000, 400, "^JSON Parse error"),
    (PREDICT, b'{"instances": ' + b"[" * 100_000, 400, "^JSON Parse error"),
    (PREDICT, b'{"instances": ' + b"[" * 500 + b"]" * 500 + b"}", 400, "plain list"),
    (PREDICT, {}, 400, "^Missing 'inputs' or 'instances' key$"),
    (PREDICT, {**ROWS, "inputs": 1}, 400, "only one of 'inputs' or 'instances'"),
    (PREDICT, {**ROWS, "signature_name": 1}, 400, "key must be a string value.$"),
    (
        PREDICT,
        {**ROWS, "signature_name": "x"},
        400,
        '^Serving signature name: "x" not found in signature def$',
    ),
    (PREDICT, {"instances": []}, 400, "No values in 'instances' array"),
    (PREDICT, {"instances": [{"a": 1}]}, 400, "keys must be equal to: a,b$"),
    (
        PREDICT,
        {"inputs": {"a": [1]}},
        400,
        "^Missing named input: b in 'inputs' object",
    ),
    (PREDICT, {"inputs": {"a": ["x"], "b": [1]}}, 400, 'JSON Value: "x" Type: String'),
    (PREDICT, {"inputs": {"a": [1, 2], "b": [1, 2, 3]}}, 400, "[Ii]ncompatible shapes"),
    ("/v1/models/absent:predict", b"{", 400, "^JSON Parse error"),
    (
        "/v1/models/absent:predict",
        ROWS,
        404,
        r"not found for request: Latest\(absent\)$",
    ),
    ("/v1/models/absent:predict", {}, 404, "Servable not found"),
    ("/v1/models/sums/versions/9:predict", ROWS, 404, r"Specific\(sums, 9\)$"),
    ("/v1/models/sums/labels/x:predict", ROWS, 400, "version label: x$"),
    (
        "/v1/models/echo:predict",
        {"signature_name": "float16", "instances": [1]},
        501,
        "^Conversion of JSON Value: 1 to type: half$",
    ),
    (
        "/v1/models/echo:predict",
        {"signature_name": "uint16", "inputs": [1]},
        501,
        "to type: uint16$",
    ),
    (
        "/v1/models/texts:predict",
        {"signature_name": "uneven", "instances": [1, 2]},
        400,
        "^Tensor name: whole has no shape information $",
    ),
    (
        "/v1/models/texts:predict",
        {"signature_name": "shorter", "instances": [1, 2]},
        400,
        "^Tensor name: b has inconsistent batch size: 1 expecting: 2$",
    ),
    (
        "/v1/models/texts:predict",
        {"signature_name": "both", "instances": [{"b64": "/w=="}]},
        400,
        "no UTF-8",
    ),
    ("/v1/models/texts:classify", {}, 400, "key 'examples' is expected"),
    (
        "/v1/models/texts:classify",
        {"signature_name": "x", "examples": [{"x": 1.0}]},
        400,
        "No signature was found with the name: x$",
    ),
    (
        "/v1/models/texts:regress",
        {"signature_name": "regress", "examples": [{"x": 2}]},
        400,
        "x",
    ),
    ("/v1/models/absent:regress", {"examples": [{"x": 1.0}]}, 404, "absent"),
    ("/v1/models/absent", None, 404, "Could not find any versions of model absent$"),
    (
        "/v1/models/sums/versions/9",
        None,
        404,
        "Could not find version 9 of model sums$",
    ),
    ("/v1/models/absent/metadata", None, 404, r"Latest\(absent\)$"),
]


@pytest.mark.parametrize(
    ("path", "body", "code", "text"), ERRORS, ids=range(len(ERRORS))
)
def test_errors(web, path, body, code, text):
    status, headers, answer = web.ask(path, body)
    assert status == code
    assert headers["Content-Type"] == "application/json"
    assert list(answer) == ["error"]
    assert re.search(text, answer["error"]), answer


def test_status(web):
    available = {
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    wanted = [{"version": number, **available} for number in ("7", "2", "1")]
    path = "/v1/models/sums"
    assert web.ask(path)[::2] == (200, {"model_version_status": wanted})
    answer = {"model_version_status": wanted[1:2]}
    assert web.ask(path + "/versions/2")[::2] == (200, answer)
    assert web.ask(path + "/labels/any")[::2] == (200, {"model_version_status": wanted})


def test_metadata(web):
    status, _, answer = web.ask("/v1/models/sums/versions/2/metadata")
    assert status == 200
    spec = {"name": "sums", "signature_name": "", "version": "2"}
    assert answer["model_spec"] == spec
    definitions = answer["metadata"]["signature_def"]["signature_def"]
    assert set(definitions) == {"serving_default", "matmul", "__saved_model_init_op"}
    default = definitions["serving_default"]
    assert default["inputs"]["a"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "serving_default_a:0",
    }
    assert default["method_name"] == "tensorflow/serving/predict"
    assert default["defaults"] == {}


def test_large_texts_are_read_and_written_off_the_loop(web):
    values = np.random.default_rng(3).normal(size=[2000, 20]).astype("f")
    body = {"signature_name": "float32", "instances": values.tolist()}
    status, _, answer = web.ask("/v1/models/echo:predict", body)
    assert status == 200
    np.testing.assert_array_equal(np.float32(answer["predictions"]), values)
    body["instances"][1999] = [1]
    status, _, answer = web.ask("/v1/models/echo:predict", body)
    assert status == 400 and "element: 1999 " in answer["error"]


def test_a_graph_that_takes_too_long_holds_up_nobody(start_web, tmp_path):
    web = start_web(seconds=2.0)
    go = tmp_path / "go"
    slow = {"inputs": {"started": str(tmp_path / "started"), "go": str(go)}}
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(web.ask, "/v1/models/waiter:predict", slow)
        end = time.monotonic() + 30
        while not Path(tmp_path / "started").exists():
            assert time.monotonic() < end
            time.sleep(0.005)
        assert web.ask(PREDICT, ROWS)[0] == 200
        assert not running.done()
        status, _, answer = running.result()
    go.write_text("")
    assert status == 504
    assert list(answer) == ["error"]


def test_requests_at_a_time_do_not_mix(web):
    def ask(number):
        body = {"inputs": {"a": [number] * (number % 7 + 1), "b": [1]}}
        return web.ask(PREDICT, body)[2]["outputs"]["product"]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, range(60)))
    assert found == [[number] * (number % 7 + 1) for number in range(60)]


def test_json_of_any_kind_gets_a_status(web):
    junk = [None, True, 1, 1.5, "x", [], {}, [[]], {"a": None}, {"b64": "!"}, [[1], 2]]
    for key in ("instances", "inputs", "examples", "signature_name", "context"):
        for value in junk:
            for method in ("predict", "classify", "regress"):
                body = (
                    {"examples": [{}], key: value} if key == "context" else {key: value}
                )
                status, _, answer = web.ask(f"/v1/models/sums:{method}", body)
                assert status == 400, (body, answer)
                assert json.dumps(answer)
