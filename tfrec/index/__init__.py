"""A catalogue's vectors on disk: build, refresh, search, change in place."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrec.index.overlay import add as add
    from tfrec.index.overlay import block as block
    from tfrec.index.overlay import remove as remove
    from tfrec.index.overlay import unblock as unblock
    from tfrec.index.search import Index as Index
    from tfrec.index.versions import build as build
    from tfrec.index.versions import refresh as refresh

_HOMES = {
    "Index": "search",
    "add": "overlay",
    "block": "overlay",
    "build": "versions",
    "refresh": "versions",
    "remove": "overlay",
    "unblock": "overlay",
}
__all__ = ["Index", "add", "block", "build", "refresh", "remove", "unblock"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
