"""How long a call may take, when it is tried again, and how a failure is told."""

from __future__ import annotations

import random
import time

from tfrec.serving.errors import ServingError

RETRIES = 3
FIRST_PAUSE = 0.1  # seconds; doubled from one retry to the next
SHORTEST = 0.001  # a transport is never given less; it then says that it is late
WAYS_OUT = {
    "UNAVAILABLE": "Is the server running there? `tfrec serve` prints its address.",
    "DEADLINE_EXCEEDED": "Send fewer rows, or give the client a longer `timeout`.",
    "RESOURCE_EXHAUSTED": "Lower `max_message_bytes` to the server's limit, or raise "
    "both.",
    "UNAUTHENTICATED": "Give the client `Credentials` with the server's `token`.",
}


class Deadline:
    """The end of a call.

    Args:
        seconds: number > 0.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left, never less than a millisecond."""
        return max(self._end - time.monotonic(), SHORTEST)

    def part(self, share: float) -> Deadline:
        """The end of a share, in (0, 1], of the time that is left."""
        return self if share == 1 else Deadline(self.left() * share)


class Retries:
    """Counts the failures of one request.

    UNAVAILABLE is tried again three times, after 0.1, 0.2 and 0.4 seconds, or up to
    half as much less so that clients do not come back all at once, as far as the
    deadline allows. No request of a client changes anything at the server.

    Args:
        deadline: `Deadline`.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._pauses = [FIRST_PAUSE * 2**retry for retry in range(RETRIES)]

    def pause(self, error: ServingError) -> float:
        """Seconds to wait before the next try.

        Raises: the error, when it is final.
        """
        if error.code != "UNAVAILABLE" or not self._pauses:
            raise error
        pause = self._pauses.pop(0) * random.uniform(0.5, 1.0)
        if pause >= self._deadline.left():
            raise error
        return pause


def failed(address: str, servable: str, code: str, details: str | None) -> ServingError:
    """What a client raises when a request failed.

    >>> print(failed("h:1", "ranker", "NOT_FOUND", "none such"))
    Client: servable "ranker" at h:1 answered NOT_FOUND: none such.
    """
    text = f'Client: servable "{servable}" at {address} answered {code}: '
    text += (details or "").rstrip()
    text += "" if text.endswith((".", "!", "?")) else "."
    return ServingError(f"{text} {WAYS_OUT.get(code, '')}".rstrip(), code)


def closed(address: str, servable: str) -> ServingError:
    """What a client raises that was closed before."""
    text = f'Client: servable "{servable}" at {address}: client is closed.'
    return ServingError(text, "CANCELLED")
