"""TLS from a `--ssl_config_file`: the PEM text itself, not names of files."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from tfrec.serving import text_configs
from tfrec.serving.errors import ServingError


@dataclass(frozen=True)
class SslConfig:
    """A certificate, its key, and whose clients are let in.

    Args:
        key: str. PEM text of the private key.
        certificate: str. PEM text of the certificate, then of what signed it.
        authorities: str. PEM text of those who sign clients' certificates.
        client_verify: bool. True: a client needs such a certificate.
    """

    key: str = field(repr=False)
    certificate: str = ""
    authorities: str = ""
    client_verify: bool = False

    def credentials(self) -> grpc.ServerCredentials:
        """What a gRPC server listens with."""
        return grpc.ssl_server_credentials(
            [(self.key.encode(), self.certificate.encode())],
            self.authorities.encode() or None,
            self.client_verify,
        )

    def context(self) -> ssl.SSLContext:
        """What an HTTP server listens with.

        Raises: `ssl.SSLError` when the key does not belong to the certificate, or
        something is no PEM.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.TemporaryDirectory() as folder:  # nobody else may read it
            path = Path(folder) / "server.pem"
            path.write_text(f"{self.certificate}\n{self.key}\n")
            context.load_cert_chain(path, password=_no_password)
        if self.authorities:
            context.load_verify_locations(cadata=self.authorities)
        if self.client_verify:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def read(path: str | os.PathLike[str]) -> SslConfig:
    """What a text-format SSLConfig says.

    Raises: `ServingError` when the file is not there, does not parse, or holds what
    no server can listen with.
    """
    message = text_configs.read("SSLConfig", path, "ssl_config_file")
    config = SslConfig(
        message.server_key,
        message.server_cert,
        message.custom_ca,
        message.client_verify,
    )
    if not config.key or not config.certificate:
        raise _bad(path, "must have server_key and server_cert")
    if config.client_verify and not config.authorities:
        raise _bad(path, "must have custom_ca, since client_verify is true")
    try:
        config.context()
    except (ssl.SSLError, ValueError) as error:
        rule = "must hold the PEM text of a key and its certificate"
        raise _bad(path, rule, f": {error}") from error
    return config


def _no_password() -> str:
    raise ValueError("the key is encrypted; a server cannot ask for its password")


def _bad(path: str | os.PathLike[str], rule: str, found: str = ".") -> ServingError:
    return ServingError(
        f"serve: `ssl_config_file` {rule}. Received: "
        f"ssl_config_file={os.fspath(path)!r}{found}",
        "INVALID_ARGUMENT",
    )
