"""The embedded server: loads servables, answers TensorFlow Serving's gRPC API."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import grpc

from tfrec import _checks
from tfrec.serving import sources
from tfrec.serving.errors import ServingError

LARGEST_MESSAGE = 2**31 - 1
LARGEST_PORT = 2**16 - 1
SECONDS_TO_DRAIN = 30.0


def serve(
    path: str | os.PathLike[str] | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8500,
    model_config_file: str | os.PathLike[str] | None = None,
    model_base_path: str | os.PathLike[str] | None = None,
    model_name: str = "default",
    grpc_channel_arguments: str = "",
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT; then ends what was accepted and returns.

    Args:
        path: a folder of servables (`saved_models/NAME`) or one servable.
        host: str. The address to listen on.
        port: int >= 0. 0: any free one.
        model_config_file: a `models.config` that names servables.
        model_base_path: one servable's folder, served as `model_name`.
        model_name: str.
        grpc_channel_arguments: str. `key=value,key=value` for gRPC itself, such as
            `grpc.max_receive_message_length=4194304`.
        ready: called with `"host:port"` once every servable is loaded and
            requests are answered.

    Raises: `ServingError` when a folder is missing or holds no servable, a version
    does not load, or the port is taken; `ValueError` on a bad argument.
    """
    _checks.string("serve", host=host, model_name=model_name)
    _checks.integer("serve", port=port)
    if port > LARGEST_PORT:
        rule = f"must be an int <= {LARGEST_PORT}"
        raise _checks.argument("serve", "port", rule, port)
    options = channel_arguments(grpc_channel_arguments)
    wanted = []
    if path is not None:
        wanted += sources.from_folder(path)
    if model_base_path is not None:
        wanted += sources.from_base_path(model_name, model_base_path)
    if model_config_file is not None:
        from tfrec.serving import model_config

        wanted += model_config.read(model_config_file)
    if not wanted:
        rule = "must be given, or `model_config_file`, or `model_base_path`"
        raise _checks.argument("serve", "path", rule, path)
    _check_free(host, port)
    from tfrec.serving.repository import Repository

    repository = Repository(wanted)
    try:
        asyncio.run(_run(repository, host, port, options, ready))
    finally:
        repository.close()


async def _run(
    repository: Any,
    host: str,
    port: int,
    options: list[tuple[str, Any]],
    ready: Callable[[str], None] | None,
) -> None:
    from tfrec.serving.services import Services

    services = Services(repository)
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers(services.handlers())
    try:
        bound = server.add_insecure_port(address(host, port))
    except RuntimeError as error:
        raise _taken(host, port, error) from error
    await server.start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, RuntimeError):  # not the main thread
            loop.add_signal_handler(number, stop.set)
    if ready is not None:
        ready(address(host, bound))
    await stop.wait()
    await server.stop(SECONDS_TO_DRAIN)
    services.close()


def address(host: str, port: int) -> str:
    """`host:port`, with brackets where the host is an IPv6 address.

    >>> address("::1", 8500)
    '[::1]:8500'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def channel_arguments(text: str) -> list[tuple[str, Any]]:
    """gRPC's options: ours, then those of `--grpc_channel_arguments`.

    Raises: `ValueError` on what is not `key=value`.
    """
    options: dict[str, Any] = {
        "grpc.so_reuseport": 0,  # else a second server takes half of the requests
        "grpc.max_receive_message_length": LARGEST_MESSAGE,
        "grpc.max_send_message_length": LARGEST_MESSAGE,
    }
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not key or not equals:
            rule = "must be key=value,key=value"
            raise _checks.argument("serve", "grpc_channel_arguments", rule, text)
        options[key] = int(value) if value.lstrip("-").isdigit() else value
    return list(options.items())


def _check_free(host: str, port: int) -> None:
    """Fails before minutes of loading, not after them."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise _taken(host, port, error) from error


def _taken(host: str, port: int, error: Exception) -> ServingError:
    return ServingError(
        f"serve: cannot listen on {address(host, port)}. Received: {error}. Stop what "
        "listens there, or choose another `port` (0: any free one).",
        "UNAVAILABLE",
    )
