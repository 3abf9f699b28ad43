"""Several servers on one port: the system spreads connections over them."""

from __future__ import annotations

import contextlib
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tfrec.serving.child import LISTENING, start
from tfrec.serving.options import Options
from tfrec.serving.server import REUSE, address, channel_arguments, check_free, taken


def run(path: str | None, told: Mapping[str, Any], ready: Callable[[str], None]) -> int:
    """Starts them, waits, and stops all when one ends; the exit status.

    Each is a fresh interpreter: TensorFlow cannot be forked. They end, too, when
    this process is killed.

    Args:
        path: what is served.
        told: fields of `Options`.
        ready: called with `"host:port"` once all answer.

    Raises: `ServingError` when the port is taken; `ValueError` on a bad argument.
    """
    options = Options(**told)
    channel_arguments(options.grpc_channel_arguments)
    check_free(options.host, options.port)
    with _reserved(options.host, options.port) as port:
        arguments = _arguments(path, {**told, "port": port})
        children = [start(arguments) for _ in range(options.processes)]
        stopping = _forward_signals(children)
        if all(_listens(child) for child in children):
            ready(address(options.host, port))
        return _wait(children, stopping)


@contextlib.contextmanager
def _reserved(host: str, port: int) -> Any:
    """A port that only the children can share; it takes no connection itself."""
    family, kind, protocol, _, place = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    )[0]
    with socket.socket(family, kind, protocol) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            holder.bind(place)
        except OSError as error:
            raise taken(address(host, port), error) from error
        yield holder.getsockname()[1]


def _arguments(path: str | None, told: Mapping[str, Any]) -> list[str]:
    """What one of them is told."""
    more = ",".join(filter(None, [told["grpc_channel_arguments"], f"{REUSE}=1"]))
    told = {**told, "processes": 1, "grpc_channel_arguments": more}
    flags = [f"--{name}={_text(value)}" for name, value in told.items()]
    return [*([path] if path else []), *flags]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _forward_signals(children: list[subprocess.Popen[str]]) -> threading.Event:
    stopping = threading.Event()

    def forward(number: int, frame: Any) -> None:
        stopping.set()
        _tell(children, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    return stopping


def _tell(children: list[subprocess.Popen[str]], number: int) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(number)


def _listens(child: subprocess.Popen[str]) -> bool:
    """True once it answers, False when it ends before."""
    return child.stdout is not None and child.stdout.readline().startswith(LISTENING)


def _wait(children: list[subprocess.Popen[str]], stopping: threading.Event) -> int:
    """The first status that is not 0. One that ends untold takes the others along."""
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    for child in children:
        threading.Thread(
            target=lambda child=child: ended.put(child.wait()), daemon=True
        ).start()
    statuses: list[int] = []
    while len(statuses) < len(children):
        statuses.append(ended.get())
        if not stopping.is_set():
            stopping.set()
            print("tfrec serve: a process ended, stops the others", file=sys.stderr)
            _tell(children, signal.SIGTERM)
    return next((abs(status) for status in statuses if status), 0)
