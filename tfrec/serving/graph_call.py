"""Runs a loaded graph: given arrays in, fetched arrays out, nothing in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tensorflow.core.protobuf import config_pb2

IN_CALLERS_THREAD = -1


class GraphCall:
    """A callable of a TF1 Session for fixed feeds and fetches.

    It is made at the first run: making one prunes and optimises the graph.

    Args:
        session: `tf.compat.v1.Session` that holds the graph.
        feeds: tensor names, in the order of the arrays that a run gets.
        fetches: tensor names, in the order of the arrays that a run gives.
    """

    def __init__(
        self, session: Any, feeds: Sequence[str], fetches: Sequence[str]
    ) -> None:
        self._session = session
        self._feeds = list(feeds)
        self._fetches = list(dict.fromkeys(fetches))
        self._places = [self._fetches.index(name) for name in fetches]
        self._lock = threading.Lock()
        self._callable: Callable[..., Any] | None = None

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        run = self._callable
        if run is None:
            with self._lock:
                run = self._callable = self._callable or self._make()
        results = run(*arrays)
        return [results[place] for place in self._places]

    def _make(self) -> Callable[..., Any]:
        make = getattr(self._session, "_make_callable_from_options", None)
        if make is None:  # the public way does the same, slower
            return self._session.make_callable(self._fetches, self._feeds)
        options = config_pb2.CallableOptions(feed=self._feeds, fetch=self._fetches)
        options.run_options.inter_op_thread_pool = IN_CALLERS_THREAD
        return make(options)


class Cost:
    """Seconds that runs took, by the size of what they got.

    A moving mean for every power of two of bytes, so that one row and a
    thousand rows are told apart. Threads may share it.
    """

    SLOW = 0.002
    SHARE_OF_NEWEST = 0.2

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}

    def slow(self, size: int) -> bool:
        """True when a run of `size` bytes is likely to hold up others, or unknown."""
        return self._seconds.get(size.bit_length(), self.SLOW) >= self.SLOW

    def learn(self, size: int, seconds: float) -> None:
        """Counts a run of `size` bytes that took `seconds`."""
        key = size.bit_length()
        mean = self._seconds.get(key, seconds)
        self._seconds[key] = mean + self.SHARE_OF_NEWEST * (seconds - mean)
