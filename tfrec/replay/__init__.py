"""What a server's request log is good for: replay, warm-up, skew."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrec.replay.answers import Report as Report
    from tfrec.replay.answers import replay as replay
    from tfrec.replay.records import read as read
    from tfrec.replay.records import write_warmup as write_warmup
    from tfrec.replay.shares import skew as skew

_HOMES = {
    "Report": "answers",
    "read": "records",
    "replay": "answers",
    "skew": "shares",
    "write_warmup": "records",
}
__all__ = ["Report", "read", "replay", "skew", "write_warmup"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
