"""Sections 7.1, 7.2 and 9: routes, pages, headers, the token."""

import re

import pytest

from tfrec.serving.refusal import Refusal
from tfrec.serving.rest import HTTP
from tfrec.serving.rest_body import Bodies
from tfrec.serving.tokens import Token

PREDICT = "/v1/models/sums:predict"
ROWS = {"instances": [{"a": 1, "b": 3}]}
SECRET = "a-secret-of-the-tests"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/"),
        ("GET", "/v1/models/sums?x=1"),
        ("POST", PREDICT + "?x=1"),
        ("POST", "/v1/models/sums"),
        ("PUT", "/v1/models/sums"),
        ("DELETE", "/V1/anything/at/all"),
        ("PURGE", "/v1/models/sums"),
    ],
)
def test_anything_else_under_v1(web, method, path):
    status, headers, answer = web.ask(path, method=method)
    assert (status, answer) == (400, {"error": f"Malformed request: {method} {path}"})
    assert headers["Content-Type"] == "application/json"


def test_there_is_no_listing_under_v1(web):
    status, _, answer = web.ask("/v1/models")
    assert (status, answer) == (400, {"error": "Missing model name in request."})


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/models", "/monitoring/prometheus/metrics"]
)
def test_anything_else(web, path):
    status, headers, answer = web.ask(path)
    assert status == 404
    assert "json" not in headers["Content-Type"] and answer == b"Not Found\n"


def test_probes_and_listing(web):
    assert web.ask("/healthz")[::2] == (200, {"alive": True})
    assert web.ask("/healthz", method="HEAD")[::2] == (200, b"")
    assert web.ask("/readyz")[::2] == (200, {"ready": True})
    models = web.ask("/models")[2]["models"]
    assert list(models["sums"].items()) == [(n, "AVAILABLE") for n in ("7", "2", "1")]
    assert models["texts"] == {"1": "AVAILABLE"}
    assert web.ask("/healthz", b"{}")[0] == 405


def test_not_ready_while_a_configured_model_is_not(start_web, repository):
    class Half:
        """A repository that waits for a model."""

        def ready(self):
            return False

    class Services:
        repository = Half()

        def close(self):
            pass

    web = start_web(Services())
    assert web.ask("/readyz")[::2] == (503, {"ready": False})
    assert web.ask("/healthz")[0] == 200


def test_every_code(start_web):
    """Section 7.2, each code as if a method had refused with it."""
    wanted = {
        "CANCELLED": 499,
        "UNKNOWN": 500,
        "INVALID_ARGUMENT": 400,
        "DEADLINE_EXCEEDED": 504,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "PERMISSION_DENIED": 403,
        "RESOURCE_EXHAUSTED": 429,
        "FAILED_PRECONDITION": 400,
        "ABORTED": 409,
        "OUT_OF_RANGE": 400,
        "UNIMPLEMENTED": 501,
        "INTERNAL": 500,
        "UNAVAILABLE": 503,
        "DATA_LOSS": 500,
        "UNAUTHENTICATED": 401,
    }

    class Services:
        repository = None

        async def get_model_status(self, request, seconds, entrypoint):
            if request.model_spec.name == "bug":
                raise KeyError("secret")
            raise Refusal(request.model_spec.name, "é" + '"')

        def close(self):
            pass

    web = start_web(Services())
    for code, status in wanted.items():
        assert web.ask(f"/v1/models/{code}")[::2] == (status, {"error": 'é"'}), code
    assert set(HTTP) - {"OK"} <= set(wanted)
    assert web.ask("/v1/models/bug")[::2] == (500, {"error": "KeyError in server"})


ORIGIN = {"Origin": "https://shop.example"}
CORS = "Access-Control-Allow-"


def test_preflights(web):
    status, headers, answer = web.ask(PREDICT, method="OPTIONS", headers=ORIGIN)
    assert (status, answer) == (200, b"")
    assert CORS + "Origin" not in headers
    for bad in ({}, {"Origin": "null"}, {"Origin": "ftp://x"}):
        assert web.ask(PREDICT, method="OPTIONS", headers=bad)[0] == 400
    assert web.ask("/healthz", method="OPTIONS", headers=ORIGIN)[0] == 405


def test_other_origins_may_read_when_told_so(start_web, web):
    assert CORS + "Origin" not in web.ask(PREDICT, ROWS, headers=ORIGIN)[1]
    web = start_web(cors=True)
    for answer in (
        web.ask(PREDICT, ROWS, headers=ORIGIN),
        web.ask(PREDICT, method="OPTIONS", headers=ORIGIN),
        web.ask("/v1/models/absent"),
        web.ask("/odd"),
    ):
        assert answer[1][CORS + "Origin"] == "*"
        assert answer[1][CORS + "Methods"] == "POST, GET"
        assert answer[1][CORS + "Headers"] == "Content-Type"


def series(web, name, path="/metrics", **headers):
    """The number behind a series."""
    status, got, answer = web.ask(path, **headers)
    assert status == 200 and got["Content-Type"].startswith("text/plain")
    found = re.search(rf"^{re.escape(name)} (\S+)$", answer.decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_each_call_counts_once(web):
    good = ':tensorflow:serving:request_count{model_name="sums",status="OK"}'
    bad = (
        ':tensorflow:serving:request_count{model_name="sums",status="INVALID_ARGUMENT"}'
    )
    labels = '{model_name="sums",API="predict",entrypoint="REST"}'
    latency = f":tensorflow:serving:request_latency_count{labels}"
    stages = [
        f'tfrec_serving_stage_seconds_count{{model_name="sums",API="predict",stage="{s}"}}'
        for s in ("decode", "run", "encode")
    ]
    names = [good, bad, latency, *stages]
    before = [series(web, name) for name in names]
    for _ in range(3):
        assert web.ask(PREDICT, ROWS)[0] == 200
    assert web.ask(PREDICT, {})[0] == 400
    assert web.ask("/healthz")[0] == 200
    after = [series(web, name) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [3, 1, 3, 3, 3, 3]


def test_classify_counts_once_though_it_has_two_halves(web):
    good = ':tensorflow:serving:request_count{model_name="texts",status="OK"}'
    before = series(web, good)
    body = {"signature_name": "classify", "examples": [{"x": 1.0}]}
    assert web.ask("/v1/models/texts:classify", body)[0] == 200
    assert series(web, good) - before == 1


def test_metrics_where_the_configuration_wants_them(start_web):
    web = start_web(metrics_path="/monitoring/prometheus/metrics")
    for path in ("/metrics", "/monitoring/prometheus/metrics"):
        assert web.ask(path)[0] == 200


def test_a_token(start_web):
    web = start_web(token=Token(SECRET.encode()), cors=True)
    right = {"Authorization": f"Bearer {SECRET}"}
    for path, body in [
        (PREDICT, ROWS),
        ("/metrics", None),
        ("/models", None),
        ("/x", None),
    ]:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            status, got, answer = web.ask(path, body, headers=headers)
            assert (status, list(answer)) == (401, ["error"])
            assert got["WWW-Authenticate"] == "Bearer"
    assert web.ask(PREDICT, ROWS, headers=right)[0] == 200
    assert web.ask("/metrics", headers=right)[0] == 200
    for path in ("/healthz", "/readyz"):
        assert web.ask(path)[0] == 200
    status, got, _ = web.ask(PREDICT, method="OPTIONS", headers=ORIGIN)
    assert status == 200 and "Authorization" in got[CORS + "Headers"]


def test_a_body_without_the_token_is_not_read(start_web):
    web = start_web(token=Token(SECRET.encode()), bodies=Bodies(10))
    assert web.ask(PREDICT, b"x" * 100)[0] == 401
