"""Who is let in, and by which door: TLS, the token, REST and the metrics' page."""

from __future__ import annotations

from typing import Any

import grpc

from tfrec import _checks
from tfrec.serving import ssl_config, text_configs, tokens
from tfrec.serving.errors import ServingError
from tfrec.serving.options import Options

METRICS_PATH = "/monitoring/prometheus/metrics"


class Access:
    """What the options' files say of access; read before anything is loaded.

    Args:
        options: `Options`.

    Raises: `ServingError` when a file is missing or holds what cannot be;
    `ValueError` when options do not go together.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        port = options.rest_api_port
        if port and port == options.port:
            rule = "must not be the port of gRPC"
            raise _checks.argument("serve", "rest_api_port", rule, port)
        if not port:
            for name in ("monitoring_config_file", "rest_api_enable_ssl"):
                if value := getattr(options, name):
                    raise _checks.argument(
                        "serve", name, "needs `rest_api_port`", value
                    )
        if options.rest_api_enable_ssl and not options.ssl_config_file:
            rule = "needs `ssl_config_file`"
            raise _checks.argument("serve", "rest_api_enable_ssl", rule, True)
        self._token = tokens.read(options.token_file) if options.token_file else None
        self._ssl = None
        if options.ssl_config_file:
            self._ssl = ssl_config.read(options.ssl_config_file)
        self._metrics_path = _metrics_path(options.monitoring_config_file)

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        """What a `grpc.aio` server asks before each call."""
        return [] if self._token is None else [tokens.Interceptor(self._token)]

    def add_port(self, server: grpc.aio.Server, place: str) -> int:
        """Lets a server listen at `place`; returns the port."""
        if self._ssl is None:
            return server.add_insecure_port(place)
        return server.add_secure_port(place, self._ssl.credentials())

    async def start_rest(self, services: Any, *, reuse_port: bool = False) -> Any:
        """A running `RestServer`, or None when REST is off.

        Raises: `ServingError` when the port is taken.
        """
        options = self._options
        if not options.rest_api_port:
            return None
        from tfrec.serving.rest import Rest
        from tfrec.serving.rest_body import Bodies
        from tfrec.serving.rest_server import RestServer

        rest = Rest(
            services,
            seconds=options.rest_api_timeout_in_ms / 1000,
            cors=options.rest_api_enable_cors_support,
            metrics_path=self._metrics_path,
            token=self._token,
            bodies=Bodies(options.rest_api_max_body_bytes),
        )
        server = RestServer(rest, drain=options.drain_seconds)
        context = None
        if options.rest_api_enable_ssl and self._ssl is not None:
            context = self._ssl.context()
        port = options.rest_api_port
        await server.start(options.host, port, context, reuse_port=reuse_port)
        return server


def _metrics_path(file: str) -> str:
    """Where a MonitoringConfig wants the metrics; empty: nowhere.

    Raises: `ServingError`.
    """
    if not file:
        return ""
    config = text_configs.read("MonitoringConfig", file, "monitoring_config_file")
    path = config.prometheus_config.path or METRICS_PATH
    if not path.startswith("/"):
        raise ServingError(
            "serve: `monitoring_config_file` must have a path that starts with /. "
            f"Received: monitoring_config_file={file!r} with path {path!r}.",
            "INVALID_ARGUMENT",
        )
    return path if config.prometheus_config.enable else ""
