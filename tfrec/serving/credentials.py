"""What a client trusts, and what it shows of itself."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from tfrec import _checks
from tfrec.serving.address import Address

OWNER = "Credentials"
Path_ = str | os.PathLike[str]


@dataclass(frozen=True)
class Credentials:
    """Certificates and a token; what is left out is not used.

    Over an address without TLS (`host:port`, `http://`) a token can be read by
    whoever sees the traffic.

    Args:
        ca_file: PEM file of those who may sign the server's certificate. None: those
            that the system trusts.
        certificate_file: PEM file of the client's own certificate.
        key_file: PEM file of its key, not encrypted.
        token: str. Sent with each request as `authorization: Bearer TOKEN`.

    Raises: `ValueError` on a file that is not there or is no PEM, a certificate
    without its key, a token of other than visible ASCII characters.

    >>> Credentials(token="a-secret-of-tests")
    Credentials(ca_file=None, certificate_file=None, key_file=None)
    """

    ca_file: Path_ | None = None
    certificate_file: Path_ | None = None
    key_file: Path_ | None = None
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.token is not None:
            _checks.string(OWNER, token=self.token)
            if not all(32 < ord(character) < 127 for character in self.token):
                rule = "must hold visible ASCII characters only"
                found = f"{len(self.token)} characters"  # the token is not shown
                raise _checks.argument(OWNER, "token", rule, found)
        for name, other in (
            ("key_file", self.certificate_file),
            ("certificate_file", self.key_file),
        ):
            if other is not None and getattr(self, name) is None:
                rule = "must be given, since the other half of the pair is"
                raise _checks.argument(OWNER, name, rule, None)
        if self.ca_file is not None or self.certificate_file is not None:
            self.context()

    def check(self, address: Address) -> None:
        """Certificates need an address that speaks TLS.

        Raises: `ValueError`.
        """
        for name in ("ca_file", "certificate_file"):
            if getattr(self, name) is not None and not address.secure:
                rule = f'must start with "grpcs://" or "https://", since `{name}` is '
                rule += "given"
                raise _checks.argument("Client", "address", rule, address.text)

    def channel(self) -> grpc.ChannelCredentials:
        """What a gRPC channel over TLS is made with."""
        return grpc.ssl_channel_credentials(
            *(
                None if file is None else Path(file).read_bytes()
                for file in (self.ca_file, self.key_file, self.certificate_file)
            )
        )

    def context(self) -> ssl.SSLContext:
        """What HTTPS connections are made with."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise _unread("ca_file", self.ca_file, error) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate_file is not None:
            pair = (self.certificate_file, self.key_file)
            try:
                context.load_cert_chain(*pair, password=_no_password)
            except (OSError, ValueError) as error:
                raise _unread(
                    "certificate_file", self.certificate_file, error
                ) from error
        return context

    def headers(self) -> dict[str, str]:
        """What each request carries."""
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _unread(name: str, file: Path_ | None, error: Exception) -> Exception:
    rule = "must be a PEM file that can be read"
    if name == "certificate_file":
        rule += ", and `key_file` its key"
    return _checks.argument(OWNER, name, rule, file, f"{error}.")
