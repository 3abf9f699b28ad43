"""Where a server is, and which of its two protocols is spoken there."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from tfrec import _checks

OWNER = "Client"
SCHEMES = {  # protocol, and whether TLS is spoken
    "grpc": ("grpc", False),
    "grpcs": ("grpc", True),
    "http": ("rest", False),
    "https": ("rest", True),
}


class Address(NamedTuple):
    """A server's place.

    Args:
        text: str. As it was given, for errors.
        protocol: str. `"grpc"` or `"rest"`.
        secure: bool. True: TLS.
        target: str. What gRPC connects to, or the start of each URL.
    """

    text: str
    protocol: str
    secure: bool
    target: str


def parse(text: str) -> Address:
    """The address that a client was given.

    Args:
        text: str. `"host:port"` or `"grpc://host:port"` for gRPC, `"grpcs://..."`
            for gRPC over TLS, `"unix:/path"` for a socket of this machine,
            `"http://host:port"` or `"https://..."` for REST. A URL may have a path,
            which stands before `/v1/`.

    Raises: `ValueError` on anything else.

    >>> parse("https://models.example/shop").target
    'https://models.example/shop'
    """
    _checks.string(OWNER, address=text)
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address(text, "grpc", False, text)
    scheme, mark, _ = text.partition("://")
    if not mark:
        scheme = "grpc"
    if scheme not in SCHEMES:
        hint = _checks.closest(scheme, SCHEMES).strip()
        rule = f"must start with one of {_checks.quoted(SCHEMES)} where it has a scheme"
        raise _checks.argument(OWNER, "address", rule, text, hint)
    protocol, secure = SCHEMES[scheme]
    try:
        parts = urlsplit(text if mark else f"grpc://{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:  # a port that is none, a bracket too many
        raise _wrong(text) from error
    if not host or parts.username is not None or parts.query or parts.fragment:
        raise _wrong(text)
    path = parts.path.rstrip("/")
    if protocol == "rest":
        return Address(text, protocol, secure, f"{scheme}://{parts.netloc}{path}")
    if port is None or path:
        raise _wrong(text)
    return Address(text, protocol, secure, parts.netloc)


def _wrong(text: str) -> Exception:
    rule = 'must be like "host:8500", "grpcs://host:8500" or "http://host:8501"'
    return _checks.argument(OWNER, "address", rule, text)
