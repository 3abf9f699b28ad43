"""TensorFlow Serving's REST API, and the pages that probes and scrapers read."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from tfrec.serving import metrics, rest_route
from tfrec.serving.refusal import Refusal
from tfrec.serving.rest_api import RestApi
from tfrec.serving.rest_body import Bodies, BodyRefusal
from tfrec.serving.series import CONTENT_TYPE
from tfrec.serving.tokens import REFUSED, Token

logger = logging.getLogger(__name__)
OPEN = ("/healthz", "/readyz")  # these need no token
HTTP = {
    "OK": 200,
    **dict.fromkeys(("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"), 400),
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}  # all others: 500


class Rest:
    """Answers HTTP requests with a server's services.

    Args:
        services: `Services`.
        seconds: float. Time that a graph may take.
        cors: bool. True: pages of other origins may read the answers.
        metrics_path: str. Where metrics are found beside `/metrics`; empty: nowhere.
        token: `Token` or None. What requests need, but for `OPEN`.
        bodies: `Bodies`. Reads the requests' bodies.
    """

    def __init__(
        self,
        services: Any,
        *,
        seconds: float = 30.0,
        cors: bool = False,
        metrics_path: str = "",
        token: Token | None = None,
        bodies: Bodies | None = None,
    ) -> None:
        self._repository = services.repository
        self._api = RestApi(services, seconds, bodies or Bodies())
        self._token = token
        self._headers = {"Server": "tfrec"}
        if cors:
            allowed = "Content-Type" if token is None else "Content-Type, Authorization"
            self._headers["Access-Control-Allow-Origin"] = "*"
            self._headers["Access-Control-Allow-Methods"] = "POST, GET"
            self._headers["Access-Control-Allow-Headers"] = allowed
        self._pages: dict[str, Callable[[], web.Response]] = {
            "/healthz": lambda: self._json({"alive": True}),
            "/readyz": self._ready,
            "/models": lambda: self._json({"models": self._listing()}),
            "/metrics": self._metrics,
        }
        if metrics_path:
            self._pages[metrics_path] = self._metrics

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """The answer to an HTTP request; never raises but when it is cancelled."""
        path, method = request.raw_path, request.method
        if self._token is not None and path not in OPEN and method != "OPTIONS":
            if not self._token.allows(request.headers.get("Authorization")):
                refused = self._error(401, REFUSED)
                refused.headers["WWW-Authenticate"] = "Bearer"
                return refused
        if path[:4].lower() == "/v1/":
            if method != "OPTIONS":
                return await self._v1(request)
            origin = request.headers.get("Origin", "").lower()
            if origin.startswith(("http://", "https://")):
                return web.Response(headers=self._headers)
            return self._error(400, f"Malformed request: {method} {path}")
        page = self._pages.get(path)
        if page is None:
            return web.Response(status=404, text="Not Found\n", headers=self._headers)
        if method not in ("GET", "HEAD"):
            return self._error(405, f"Malformed request: {method} {path}")
        return page()

    def close(self) -> None:
        """Frees what is held for requests."""
        self._api.close()

    async def _v1(self, request: web.BaseRequest) -> web.Response:
        begin = time.perf_counter()
        model = api = ""
        try:
            api, spec = rest_route.find(request.method, request.raw_path)
            model = spec.name
            answer = await getattr(self._api, api)(spec, request)
            code, response = "OK", self._body(200, answer)
        except BodyRefusal as refusal:
            code = refusal.code.name
            response = self._error(refusal.http, refusal.message)
            response.force_close()  # the rest of the body is not read
        except Refusal as refusal:
            code = refusal.code.name
            response = self._error(HTTP.get(code, 500), refusal.message)
        except asyncio.TimeoutError:
            code, response = "DEADLINE_EXCEEDED", self._error(504, "Deadline Exceeded")
        except ConnectionError:  # nobody is there to be answered
            code, response = "CANCELLED", self._error(499, "Connection lost")
        except Exception as error:
            logger.exception("a request failed in a way nobody thought of")
            text = f"{type(error).__name__} in server"
            code, response = "INTERNAL", self._error(500, text)
        metrics.observe(model, api, "REST", code, time.perf_counter() - begin)
        return response

    def _ready(self) -> web.Response:
        ready = bool(self._repository.ready())
        return self._json({"ready": ready}, status=200 if ready else 503)

    def _listing(self) -> dict[str, dict[str, str]]:
        return {
            name: {str(version): state for version, state in versions.items()}
            for name, versions in self._repository.listing().items()
        }

    def _metrics(self) -> web.Response:
        headers = {**self._headers, "Content-Type": CONTENT_TYPE}
        return web.Response(body=metrics.text().encode(), headers=headers)

    def _json(self, document: Any, status: int = 200) -> web.Response:
        return self._body(status, orjson.dumps(document))

    def _error(self, status: int, message: str) -> web.Response:
        return self._body(status, orjson.dumps({"error": message}))

    def _body(self, status: int, body: bytes) -> web.Response:
        kind = "application/json"
        return web.Response(
            status=status, body=body, content_type=kind, headers=self._headers
        )
