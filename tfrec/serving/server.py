"""The embedded server: loads servables, answers TensorFlow Serving's API."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import grpc

from tfrec import _checks
from tfrec.serving import sources
from tfrec.serving.access import Access
from tfrec.serving.errors import ServingError
from tfrec.serving.options import Options
from tfrec.serving.refusal import Refusal

logger = logging.getLogger(__name__)
LARGEST_MESSAGE = 2**31 - 1
MOST_REQUESTS = 1000
SWITCH_SECONDS = 0.0005  # how long a load may keep the interpreter from a request
AT_ONCE = 1  # exit status after a second signal


def serve(
    path: str | os.PathLike[str] | None = None,
    *,
    ready: Callable[[str], None] | None = None,
    **options: Any,
) -> None:
    """Serves until SIGTERM or SIGINT; then ends what was accepted and returns.

    A second signal ends the process at once.

    Args:
        path: a folder of servables (`saved_models/NAME`) or one servable.
        ready: called with `"host:port"` once every servable is loaded and
            requests are answered.
        **options: fields of `tfrec.serving.options.Options`, named as the flags of
            `tfrec serve` are: `port=0`, `model_config_file="models.config"`, ...

    Raises: `ServingError` when a folder is missing or holds no servable, a first
    version does not load, or the port is taken; `ValueError` on a bad argument.
    """
    told = Options(**options)
    wanted = sources_of(path, told)
    arguments = channel_arguments(told.grpc_channel_arguments)
    access = Access(told)
    reuse = bool(dict(arguments).get("grpc.so_reuseport"))
    check_free(told.host, told.port, reuse=reuse)
    check_free(told.host, told.rest_api_port, reuse=reuse)
    sys.setswitchinterval(SWITCH_SECONDS)
    asyncio.run(_main(path, told, arguments, access, wanted, ready))


def sources_of(
    path: str | os.PathLike[str] | None,
    options: Options,
    served: Collection[str] = (),
) -> list[sources.Source]:
    """What is to be served; `served` are the names that are served now.

    Raises: `ServingError`, `ValueError`.
    """
    wanted = []
    if path is not None:
        wanted += sources.from_folder(path)
    if options.model_base_path:
        wanted += sources.from_base_path(options.model_name, options.model_base_path)
    if options.model_config_file:
        from tfrec.serving import model_config

        wanted += model_config.read(options.model_config_file, served)
    elif not wanted:
        rule = "must be given, or `model_config_file`, or `model_base_path`"
        raise _checks.argument("serve", "path", rule, path)
    names: dict[str, sources.Source] = {}
    for source in wanted:
        if names.setdefault(source.name, source) is not source:
            raise ServingError(
                f'serve: servable "{source.name}" must be named once. Received: it '
                f"also in {source.folder}. Rename one of the two.",
                "INVALID_ARGUMENT",
            )
    return wanted


async def _main(
    path: Any,
    options: Options,
    arguments: list[tuple[str, Any]],
    access: Access,
    wanted: list[sources.Source],
    ready: Callable[[str], None] | None,
) -> None:
    await _Server(path, options, arguments, access).run(wanted, ready)


class _Server:
    """One process's server, from its first load to its last request.

    Args:
        path: the folder that `serve` got, or None.
        options: `Options`.
        arguments: gRPC's options.
        access: `Access`. Who is let in.
    """

    def __init__(
        self,
        path: Any,
        options: Options,
        arguments: list[tuple[str, Any]],
        access: Access,
    ) -> None:
        from tfrec.serving import batching, loading
        from tfrec.serving.manager import Manager
        from tfrec.serving.repository import Repository

        self._path = path
        self._options = options
        self._arguments = arguments
        self._access = access
        parameters = batching.Parameters()
        if options.batching_parameters_file:
            parameters = batching.read(options.batching_parameters_file)
        self._parameters = parameters if options.enable_batching else None
        # What is loaded by now lives for ever: a collection that skips it takes
        # milliseconds and not tenths of a second, in which no request is answered.
        gc.collect()
        gc.freeze()
        self._repository = Repository()
        self._manager = Manager(
            self._repository,
            loading.loader(options),
            poll_seconds=options.file_system_poll_wait_seconds,
            retries=options.max_num_load_retries,
            retry_seconds=options.load_retry_interval_micros / 1e6,
            threads=options.num_load_threads or 1,
            labels_ahead=options.allow_version_labels_for_unavailable_models,
        )
        self._stop = asyncio.Event()

    async def run(
        self, wanted: list[sources.Source], ready: Callable[[str], None] | None
    ) -> None:
        """Loads, serves until told to stop, drains."""
        self._take_signals()
        try:
            if await self._load(wanted):
                await self._serve(ready)
        finally:
            self._manager.close()

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ValueError, RuntimeError):  # not the main thread
                loop.add_signal_handler(number, self._told_to_stop)

    def _told_to_stop(self) -> None:
        if self._stop.is_set():
            os._exit(AT_ONCE)
        self._stop.set()

    async def _load(self, wanted: list[sources.Source]) -> bool:
        """True when all is loaded, False when told to stop before.

        Raises: `ServingError`.
        """
        loaded: asyncio.Future[Any] = asyncio.wrap_future(
            self._manager.set(wanted, first=True)
        )
        stopped: asyncio.Future[Any] = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({loaded, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not loaded.done():
            loaded.cancel()
            return False
        try:
            loaded.result()
        except Refusal as refusal:
            text = f"serve: Failed to start server. Error: {refusal.message}"
            raise ServingError(text, refusal.code.name) from refusal
        return True

    async def _serve(self, ready: Callable[[str], None] | None) -> None:
        from tfrec.serving.batching import Batcher
        from tfrec.serving.health import Health
        from tfrec.serving.services import Services

        options = self._options
        batcher = Batcher(self._parameters) if self._parameters else None
        manager = self._manager if not dict(self._arguments)[REUSE] else None
        try:
            services = Services(self._repository, manager, options, batcher)
        except OSError as error:
            text = f"serve: `request_log_dir` must be a folder. Received: {error}."
            raise ServingError(text, "FAILED_PRECONDITION") from error
        health = Health()
        server = grpc.aio.server(
            interceptors=self._access.interceptors(),
            options=self._arguments,
            maximum_concurrent_rpcs=options.grpc_max_threads or MOST_REQUESTS,
        )
        server.add_generic_rpc_handlers(services.handlers())
        if options.enable_grpc_healthcheck_service:
            server.add_generic_rpc_handlers([health.handler()])
        place = address(options.host, options.port)
        try:
            bound = self._access.add_port(server, place)
            if options.grpc_socket_path:
                place = f"unix:{os.path.abspath(options.grpc_socket_path)}"
                self._access.add_port(server, place)
        except RuntimeError as error:
            raise taken(place, error) from error
        await server.start()
        reuse = bool(dict(self._arguments)[REUSE])
        rest = await self._access.start_rest(services, reuse_port=reuse)
        polling = asyncio.ensure_future(self._poll_config())
        if ready is not None:
            ready(address(options.host, bound))
        await self._stop.wait()
        logger.info("stopping: ends what was accepted, refuses the rest")
        polling.cancel()
        health.stop()
        stopping = [server.stop(options.drain_seconds)]
        stopping += [rest.stop()] if rest is not None else []
        await asyncio.gather(*stopping)
        services.close()

    async def _poll_config(self) -> None:
        """Reads the models.config again and again; what is wrong with it is said."""
        path = self._options.model_config_file
        pause = self._options.model_config_file_poll_wait_seconds
        if not path or not pause:
            return
        loop = asyncio.get_running_loop()
        applied, said = await loop.run_in_executor(None, _content, path), ""
        while True:
            await asyncio.sleep(pause)
            content = await loop.run_in_executor(None, _content, path)
            if content is not None and content == applied:
                continue
            try:
                served = self._repository.configured()
                found = await loop.run_in_executor(
                    None, sources_of, self._path, self._options, served
                )
                await asyncio.wrap_future(self._manager.set(found))
                applied, said = content, ""
                logger.info("%s is in force", path)
            except (ServingError, Refusal, CancelledError) as error:
                if str(error) != said:
                    said = str(error)
                    logger.warning("%s: %s", path, error)


def _content(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def address(host: str, port: int) -> str:
    """`host:port`, with brackets where the host is an IPv6 address.

    >>> address("::1", 8500)
    '[::1]:8500'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


REUSE = "grpc.so_reuseport"


def channel_arguments(text: str) -> list[tuple[str, Any]]:
    """gRPC's options: ours, then those of `--grpc_channel_arguments`.

    Raises: `ValueError` on what is not `key=value`.
    """
    options: dict[str, Any] = {
        REUSE: 0,  # else a second server takes half of the requests
        "grpc.max_receive_message_length": LARGEST_MESSAGE,
        "grpc.max_send_message_length": LARGEST_MESSAGE,
        # Who connects and says nothing, or is gone without a word, is dropped.
        "grpc.server_handshake_timeout_ms": 20_000,
        "grpc.keepalive_time_ms": 60_000,
        "grpc.keepalive_timeout_ms": 20_000,
        "grpc.keepalive_permit_without_calls": 1,
    }
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not key or not equals:
            rule = "must be key=value,key=value"
            raise _checks.argument("serve", "grpc_channel_arguments", rule, text)
        options[key] = int(value) if value.lstrip("-").isdigit() else value
    return list(options.items())


def check_free(host: str, port: int, *, reuse: bool = False) -> None:
    """Fails before minutes of loading, not after them.

    Raises: `ServingError`.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            probe.bind(place)
    except OSError as error:
        raise taken(address(host, port), error) from error


def taken(place: str, error: Exception) -> ServingError:
    """The error of an address that cannot be listened on."""
    return ServingError(
        f"serve: cannot listen on {place}. Received: {error}. Stop what "
        "listens there, or choose another `port` (0: any free one).",
        "UNAVAILABLE",
    )
