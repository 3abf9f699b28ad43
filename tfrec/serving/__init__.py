"""The embedded server and the client. Loads TensorFlow on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrec.serving.async_client import AsyncClient as AsyncClient
    from tfrec.serving.client import Client as Client
    from tfrec.serving.credentials import Credentials as Credentials
    from tfrec.serving.errors import ServingError as ServingError
    from tfrec.serving.local import LocalServer as LocalServer
    from tfrec.serving.local import local_server as local_server
    from tfrec.serving.server import serve as serve

_HOMES = {
    "AsyncClient": "async_client",
    "Client": "client",
    "Credentials": "credentials",
    "LocalServer": "local",
    "ServingError": "errors",
    "local_server": "local",
    "serve": "server",
}
__all__ = [
    "AsyncClient",
    "Client",
    "Credentials",
    "LocalServer",
    "ServingError",
    "local_server",
    "serve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
