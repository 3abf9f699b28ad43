"""TLS and mutual TLS, for gRPC and for REST, with certificates made here."""

import datetime
import ipaddress
import re
import ssl

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tfrec.serving import ServingError, ssl_config

BODY = b'{"inputs": {"a": [1], "b": [3]}}'
PEM = serialization.Encoding.PEM
USES = ("digital_signature", "content_commitment", "key_encipherment", "key_agreement")
USES += ("data_encipherment", "key_cert_sign", "crl_sign")
USES += ("encipher_only", "decipher_only")


class Signer:
    """An authority that signs certificates."""

    def __init__(self):
        self.key, self.certificate = self._sign("authority", None)

    def text(self):
        return self.certificate.public_bytes(PEM).decode()

    def issue(self, name, password=None):
        """PEM texts of a key and its certificate."""
        key, certificate = self._sign(name, self)
        secret = serialization.NoEncryption()
        if password:
            secret = serialization.BestAvailableEncryption(password)
        form = serialization.PrivateFormat.PKCS8
        text = key.private_bytes(PEM, form, secret).decode()
        return text, certificate.public_bytes(PEM).decode()

    def _sign(self, name, signer):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = signer.certificate.subject if signer else subject
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        names = [x509.DNSName("localhost")]
        names += [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        usage = dict.fromkeys(USES, signer is None) | {"digital_signature": True}
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        by = signer.key if signer else key
        by_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(signer is None, None), True)
            .add_extension(x509.SubjectAlternativeName(names), False)
            .add_extension(x509.KeyUsage(**usage), True)
            .add_extension(own, False)
            .add_extension(by_id, False)
        )
        return key, made.sign(by, hashes.SHA256())


@pytest.fixture(scope="module")
def ours():
    return Signer()


@pytest.fixture(scope="module")
def pair(ours):
    return ours.issue("server")


def write(folder, **fields):
    """A text SSLConfig, its PEM with line ends written as people write them."""
    path = folder / "ssl.config"
    lines = []
    for name, value in fields.items():
        if isinstance(value, bool):
            lines.append(f"{name}: {str(value).lower()}")
        else:
            shown = value.replace("\n", "\\n")
            lines.append(f'{name}: "{shown}"')
    path.write_text("# TLS\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("verify", [False, True], ids=["server", "mutual"])
def test_grpc(tmp_path, ours, pair, verify):
    key, certificate = pair
    fields = {"custom_ca": ours.text(), "client_verify": True} if verify else {}
    path = write(tmp_path, server_key=key, server_cert=certificate, **fields)
    config = ssl_config.read(path)
    with _server(config) as port:
        root = ours.text().encode()
        mine = [text.encode() for text in ours.issue("client")]
        theirs = [text.encode() for text in Signer().issue("client")]
        assert _calls(port, grpc.ssl_channel_credentials(root, *mine))
        plain = grpc.ssl_channel_credentials(root)
        assert _calls(port, plain) is not verify
        stranger = grpc.ssl_channel_credentials(root, *theirs)
        assert _calls(port, stranger) is not verify
        other = grpc.ssl_channel_credentials(Signer().text().encode(), *mine)
        assert not _calls(port, other)
        assert not _calls(port, None)


class _server:
    """A gRPC server that echoes."""

    def __init__(self, config):
        from concurrent.futures import ThreadPoolExecutor

        self._server = grpc.server(ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
        made = grpc.method_handlers_generic_handler("a.Service", {"Echo": handler})
        self._server.add_generic_rpc_handlers([made])
        self._port = self._server.add_secure_port("127.0.0.1:0", config.credentials())

    def __enter__(self):
        self._server.start()
        return self._port

    def __exit__(self, *_):
        self._server.stop(None).wait()


def _calls(port, credentials):
    """True when an echo comes back."""
    place = f"127.0.0.1:{port}"
    channel = grpc.insecure_channel(place)
    if credentials is not None:
        channel = grpc.secure_channel(place, credentials)
    with channel:
        try:
            return channel.unary_unary("/a.Service/Echo")(b"hi", timeout=10) == b"hi"
        except grpc.RpcError as error:
            assert error.code().name == "UNAVAILABLE"
            return False


@pytest.mark.parametrize("verify", [False, True], ids=["server", "mutual"])
def test_rest(tmp_path, start_web, ours, pair, verify):
    config = ssl_config.SslConfig(*pair, ours.text(), verify)
    web = start_web(context=config.context())
    path = "/v1/models/sums:predict"
    known = ssl.create_default_context(cadata=ours.text())
    if verify:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            web.ask(path, BODY, context=known)
    else:
        assert web.ask(path, BODY, context=known)[0] == 200
    pem = tmp_path / "client.pem"
    pem.write_text("".join(ours.issue("client")))
    known.load_cert_chain(pem)
    assert web.ask(path, BODY, context=known)[0] == 200
    with pytest.raises(ssl.SSLError):
        web.ask(path, BODY, context=ssl.create_default_context())
    old = ssl.create_default_context(cadata=ours.text())
    old.load_cert_chain(pem)
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert web.ask(path, BODY, context=old)[0] == 200


def test_nothing_older_than_tls_1_2(pair):
    assert ssl_config.SslConfig(*pair).context().minimum_version.name == "TLSv1_2"


def test_the_key_is_not_shown(pair):
    assert "PRIVATE" not in repr(ssl_config.SslConfig(*pair))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"server_key": ""}, "must have server_key and server_cert"),
        ({"server_cert": ""}, "must have server_key and server_cert"),
        ({"client_verify": True}, "must have custom_ca, since client_verify is true"),
        (
            {"server_key": "/etc/key.pem"},
            "must hold the PEM text of a key and its cert",
        ),
        ({"server_cert": "x"}, "must hold the PEM text of a key and its certificate"),
        ({"custom_ca": "x", "client_verify": True}, "must hold the PEM text of a key"),
        ({"server_key": "another"}, "must hold the PEM text of a key and its"),
        ({"server_key": "encrypted"}, "the key is encrypted"),
        ({"sever_key": ""}, "`ssl_config_file` must be a text-format"),
    ],
    ids=range(9),
)
def test_bad_files(tmp_path, ours, pair, change, text):
    named = {
        "another": ours.issue("other")[0],
        "encrypted": ours.issue("other", password=b"word")[0],
    }
    change = {name: named.get(value, value) for name, value in change.items()}
    fields = {"server_key": pair[0], "server_cert": pair[1], **change}
    with pytest.raises(ServingError, match=re.escape(text)) as caught:
        ssl_config.read(write(tmp_path, **fields))
    assert caught.value.code == "INVALID_ARGUMENT"
    assert "PRIVATE" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ServingError, match="ssl_config_file="):
        ssl_config.read(tmp_path / "absent")
