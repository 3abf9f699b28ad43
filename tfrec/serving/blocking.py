"""A channel of an event loop, for threads that wait."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import Any

from tfrec.serving.grpc_format import Request


class Blocking:
    """Runs a channel on a loop in a thread of its own.

    Args:
        channel: `RestChannel` or `AsyncChannel`, not used before.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=self._loop.run_forever, name="tfrec-client", daemon=True
        )
        thread.start()
        self._finalizer = weakref.finalize(self, _stop, channel, self._loop, thread)

    def call(self, request: Request, seconds: float) -> bytes:
        """The answer to one request.

        Raises: `ServingError`.
        """
        if not self._finalizer.alive:
            asyncio.run(self._channel.call(request, seconds))  # says that it is closed
        asked = self._channel.call(request, seconds)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()

    def close(self) -> None:
        """Ends the connections and the thread."""
        self._finalizer()


def _stop(channel: Any, loop: Any, thread: threading.Thread) -> None:
    asyncio.run_coroutine_threadsafe(channel.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
