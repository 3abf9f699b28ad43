"""What a server can be told: one field an option, `tfrec serve` has a flag for each.

Names are TensorFlow Serving's where it has the option.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tfrec import _checks

LARGEST_PORT = 2**16 - 1


def option(default: Any, help: str, metavar: str | None = None) -> Any:
    """A field of `Options`, with the help and the metavar of its flag."""
    metadata = {"help": help, "metavar": metavar}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Options:
    """Options of a server; the defaults are TensorFlow Serving's but for `host`.

    Raises: `ValueError` on a value of the wrong type or range.

    >>> Options(port=0).file_system_poll_wait_seconds
    1
    """

    host: str = option(
        "127.0.0.1", "address to listen on; 0.0.0.0 lets other machines in"
    )
    port: int = option(8500, "gRPC port; 0: any free one, printed once it answers")
    grpc_socket_path: str = option("", "listen on this UNIX socket, too", "PATH")
    model_config_file: str = option("", "a models.config that names servables", "FILE")
    model_config_file_poll_wait_seconds: int = option(
        0, "read the models.config again this often; 0: never", "SECONDS"
    )
    model_name: str = option("default", "name of the servable in --model_base_path")
    model_base_path: str = option("", "folder of one servable's versions", "FOLDER")
    file_system_poll_wait_seconds: int = option(
        1, "look for new versions this often; 0 or -1: only at the start", "SECONDS"
    )
    max_num_load_retries: int = option(5, "times that a failed load is tried again")
    load_retry_interval_micros: int = option(60_000_000, "pause before each of them")
    num_load_threads: int = option(0, "loads at a time; 0: one")
    allow_version_labels_for_unavailable_models: bool = option(
        False, "a new label may name a version that is not loaded yet"
    )
    allow_reload_config_request: str = option(
        "local",
        "whether HandleReloadConfigRequest is answered: always, never, or local "
        "(only while the server listens on this machine alone)",
        "WHEN",
    )
    saved_model_tags: str = option("serve", "tags of the graph to load", "TAG,...")
    enable_model_warmup: bool = option(True, "replay a version's warm-up requests")
    num_request_iterations_for_warmup: int = option(1, "replay them this often")
    enable_batching: bool = option(False, "run requests together")
    batching_parameters_file: str = option("", "a text BatchingParameters", "FILE")
    enable_serialization_as_tensor_content: bool = option(
        False, "numbers go to tensor_content, which many clients do not read"
    )
    enable_grpc_healthcheck_service: bool = option(False, "serve grpc.health.v1")
    grpc_max_threads: int = option(
        0, "gRPC requests at a time, more are refused; 0: 1000 (none needs a thread)"
    )
    grpc_channel_arguments: str = option(
        "", "options of gRPC, as grpc.max_receive_message_length=4194304", "K=V,..."
    )
    rest_api_port: int = option(0, "port of REST and the metrics; 0: neither")
    rest_api_timeout_in_ms: int = option(30_000, "time a graph may take over REST")
    rest_api_enable_cors_support: bool = option(
        False, "pages of other origins may read REST's answers"
    )
    rest_api_max_body_bytes: int = option(
        32 * 2**20, "largest body over REST, before and after gzip"
    )
    rest_api_enable_ssl: bool = option(
        False, "REST takes TLS with --ssl_config_file, too"
    )
    monitoring_config_file: str = option("", "a text MonitoringConfig", "FILE")
    ssl_config_file: str = option("", "a text SSLConfig: gRPC takes only TLS", "FILE")
    token_file: str = option(
        "", "requests need its bearer token, but for health checks", "FILE"
    )
    max_queued_requests: int = option(
        512, "requests that may wait for a thread, more are refused"
    )
    max_fill_bytes: int = option(
        4 * 2**20, "largest tensor that a request may have made of a repeated value"
    )
    request_log_dir: str = option(
        "", "write a sample of requests and their answers into this folder", "FOLDER"
    )
    request_log_sample_rate: float = option(
        0.0, "share of requests that are logged, 0 to 1"
    )
    request_log_max_bytes: int = option(
        2**30, "largest sum of the log's files; the oldest are deleted"
    )
    drain_seconds: int = option(30, "time to end what was accepted, after SIGTERM")
    tensorflow_session_parallelism: int = option(
        0, "threads of a graph, both within and between ops; 0: the two below"
    )
    tensorflow_intra_op_parallelism: int = option(0, "threads of an op; 0: all cores")
    tensorflow_inter_op_parallelism: int = option(
        0, "threads between ops; 0: all cores"
    )
    processes: int = option(
        1, "processes that share the port, each with all servables in memory"
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool):
                _checks.boolean("serve", **{field.name: value})
            elif isinstance(field.default, int):
                never = field.name == "file_system_poll_wait_seconds"
                _checks.integer("serve", -1 if never else 0, **{field.name: value})
            elif isinstance(field.default, float):
                _checks.number("serve", 0, 1, **{field.name: value})
            elif not isinstance(value, str):
                raise _checks.argument("serve", field.name, "must be a string", value)
        _checks.string("serve", host=self.host, model_name=self.model_name)
        _checks.positive_int("serve", processes=self.processes)
        _checks.positive_int("serve", request_log_max_bytes=self.request_log_max_bytes)
        when = self.allow_reload_config_request
        choices = ("always", "never", "local")
        _checks.one_of("serve", choices, allow_reload_config_request=when)
        for name in ("port", "rest_api_port"):
            port = getattr(self, name, 0)
            if port > LARGEST_PORT:
                rule = f"must be an int <= {LARGEST_PORT}"
                raise _checks.argument("serve", name, rule, port)
        logs, rate = self.request_log_dir, self.request_log_sample_rate
        if bool(logs) != bool(rate):
            name, other = "request_log_dir", "request_log_sample_rate"
            if rate:
                name, other = other, name
            rule = f"needs `{other}`"
            raise _checks.argument("serve", name, rule, logs or rate)
        if self.batching_parameters_file and not self.enable_batching:
            raise _checks.argument(
                "serve",
                "batching_parameters_file",
                "needs `enable_batching`",
                self.batching_parameters_file,
            )

    @property
    def local(self) -> bool:
        """True when only this machine can reach the server."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")
