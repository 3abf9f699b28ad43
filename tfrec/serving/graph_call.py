"""Runs a loaded graph: given arrays in, fetched arrays out, nothing in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tensorflow.core.protobuf import config_pb2

IN_CALLERS_THREAD = -1
STOPPABLE_POOL = 1
STOPPABLE_THREADS = 16  # one endless graph must not take all of them
MOST_DIMENSIONS = 16  # above 32, in or out, a string tensor ends the process
LIMITS = [125 * 2**power for power in range(12)]  # milliseconds, to four minutes


def session_config(intra_op: int = 0, inter_op: int = 0) -> Any:
    """The ConfigProto of a session whose runs can be stopped.

    Args:
        intra_op, inter_op: int. Threads of an op and between ops; 0: all cores.
    """
    config = config_pb2.ConfigProto(intra_op_parallelism_threads=intra_op)
    pools = config.session_inter_op_thread_pool
    pools.add(num_threads=inter_op)
    pools.add(num_threads=STOPPABLE_THREADS, global_name="tfrec_stoppable")
    return config


class GraphCall:
    """A callable of a TF1 Session for fixed feeds and fetches.

    It is made at the first run: making one prunes and optimises the graph. How
    long a run may take is part of a callable, so there is one for each power of
    two of seconds that is asked for, and a run ends at twice its limit at most.

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
        self._callables: dict[int, Callable[..., Any]] = {}

    def __call__(
        self, arrays: Sequence[np.ndarray], seconds: float | None = None
    ) -> list[np.ndarray]:
        """The fetches, an array each; with `seconds` the graph is stopped late then.

        Raises: `ValueError` on an array of more than `MOST_DIMENSIONS`.
        """
        for place, array in enumerate(arrays):
            if array.ndim > MOST_DIMENSIONS:
                text = f"{self._feeds[place]} has {array.ndim} dimensions, at most "
                raise ValueError(f"{text}{MOST_DIMENSIONS} are taken")
        limit = _limit(seconds)
        run = self._callables.get(limit)
        if run is None:
            run = self._made(0)  # whoever has no limit must not wait for its making
            run = self._made(limit)
        results = run(*arrays)
        return [_array(results[place]) for place in self._places]

    def warm(self, seconds: float | None) -> bool:
        """True when a run with this limit has nothing to make any more."""
        return _limit(seconds) in self._callables

    def _made(self, limit: int) -> Callable[..., Any]:
        with self._lock:
            if limit not in self._callables:
                self._callables[limit] = self._make(limit)
            return self._callables[limit]

    def _make(self, limit: int) -> Callable[..., Any]:
        make = getattr(self._session, "_make_callable_from_options", None)
        if make is None:  # the public way does the same, slower, and cannot stop
            return self._session.make_callable(self._fetches, self._feeds)
        options = config_pb2.CallableOptions(feed=self._feeds, fetch=self._fetches)
        options.run_options.timeout_in_ms = limit
        # In its caller's thread a graph cannot be stopped.
        pool = STOPPABLE_POOL if limit else IN_CALLERS_THREAD
        options.run_options.inter_op_thread_pool = pool
        return make(options)


def _array(result: Any) -> Any:
    """A scalar string comes as bytes, of which NumPy would cut zeros at the end."""
    if not isinstance(result, bytes):
        return result
    made = np.empty((), object)
    made[()] = result
    return made


def _limit(seconds: float | None) -> int:
    """Milliseconds, the next of `LIMITS`; 0: none.

    >>> _limit(0.2), _limit(5.0), _limit(None)
    (250, 8000, 0)
    """
    if seconds is None:
        return 0
    return next((limit for limit in LIMITS if seconds * 1000 <= limit), 0)


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
