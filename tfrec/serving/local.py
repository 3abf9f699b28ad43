"""The embedded server in a process of its own, for tests and notebooks."""

from __future__ import annotations

import os
import queue
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Sequence
from typing import IO, Any

from tfrec import _checks
from tfrec.serving.child import LISTENING, start
from tfrec.serving.errors import ServingError


def local_server(
    path: str | os.PathLike[str],
    *,
    port: int = 0,
    arguments: Sequence[str] = (),
    timeout: float = 120.0,
) -> LocalServer:
    """Starts a server in another process; returns once it answers.

    It ends with this process at the latest, even when that is killed.

        with local_server("saved_models/movies") as server:
            Client(server.address, "saved_models/movies").status("ranker")

    Args:
        path: a folder of servables (`saved_models/NAME`) or one servable.
        port: int >= 0. 0: any free one.
        arguments: further arguments of `tfrec serve`.
        timeout: number > 0. Seconds it may take to load.

    Raises: `ServingError` with the server's own words when it does not start.
    """
    _checks.integer("local_server", port=port)
    _checks.number("local_server", above=0, timeout=timeout)
    return LocalServer([os.fspath(path), "--port", str(port), *arguments], timeout)


class LocalServer:
    """A running server process; a context manager that stops it.

    Args:
        arguments: arguments of `tfrec serve`.
        timeout: number. Seconds it may take to load.

    Raises: `ServingError` when it does not start.
    """

    def __init__(self, arguments: Sequence[str], timeout: float) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()
        self._process = start(arguments, stderr=self._log)
        self._finalizer = weakref.finalize(self, _stop, self._process, 10.0)
        self.address = self._wait(timeout)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def stop(self, timeout: float = 40.0) -> int:
        """Ends the server after what it has accepted; returns its exit status.

        A server that is still there after `timeout` seconds is killed.
        """
        self._finalizer.detach()
        status = _stop(self._process, timeout)
        self._words = self.log()
        self._log.close()
        return status

    def log(self) -> str:
        """What the server has written to its standard error."""
        if self._log.closed:
            return self._words
        number = self._log.fileno()  # a seek would move the server's place, too
        words = os.pread(number, os.fstat(number).st_size, 0)
        return words.decode("utf-8", "replace")

    def __enter__(self) -> LocalServer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def _wait(self, timeout: float) -> str:
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(
            target=_forward, args=(self._process.stdout, lines), daemon=True
        ).start()
        try:
            line = lines.get(timeout=timeout)
        except queue.Empty:
            line, what = "", f"did not answer within {timeout} seconds"
        else:
            what = "did not start"
        if line.startswith(LISTENING):
            return line.removeprefix(LISTENING).strip()
        self.stop(timeout=0 if what != "did not start" else 10)
        words = "\n".join(self.log().strip().splitlines()[-8:])
        raise ServingError(f"local_server: the server {what}. Received:\n{words}")


def _forward(stream: Any, lines: queue.Queue[str]) -> None:
    """First line of the server's output, or "" when it ends without one."""
    lines.put(stream.readline())


def _stop(process: subprocess.Popen[str], timeout: float) -> int:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    return process.returncode
