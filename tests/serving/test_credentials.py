"""Certificates and tokens, checked before anything is sent."""

import re

import pytest

from tfrec.serving import Client, Credentials
from tfrec.serving.address import parse

TOKEN = "a-secret-of-tests"


def test_a_token_becomes_a_header_and_is_not_shown():
    credentials = Credentials(token=TOKEN)
    assert credentials.headers() == {"authorization": f"Bearer {TOKEN}"}
    assert TOKEN not in repr(credentials)
    assert Credentials().headers() == {}


def test_nothing_older_than_tls_1_2(certificates):
    context = Credentials(ca_file=certificates / "ca.pem").context()
    assert context.minimum_version.name == "TLSv1_2"
    assert [one["serialNumber"] for one in context.get_ca_certs()]


def test_certificates_need_tls(certificates):
    pair = (certificates / "client.pem", certificates / "client.key")
    for credentials, name in (
        (Credentials(ca_file=certificates / "ca.pem"), "ca_file"),
        (Credentials(None, *pair), "certificate_file"),
    ):
        credentials.check(parse("grpcs://h:1"))
        text = 'Client: `address` must start with "grpcs://" or "https://", since '
        with pytest.raises(ValueError, match=re.escape(f"{text}`{name}` is given")):
            Client("h:1", {}, credentials=credentials)
    Credentials(token=TOKEN).check(parse("h:1"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"token": ""}, "Credentials: `token` must be a non-empty string"),
        ({"token": "two words"}, "`token` must hold visible ASCII characters only"),
        ({"token": "line\n"}, "`token` must hold visible ASCII characters only"),
        ({"ca_file": "absent.pem"}, "`ca_file` must be a PEM file that can be read"),
        ({"ca_file": "client.key"}, "`ca_file` must be a PEM file that can be read"),
        (
            {"certificate_file": "client.pem"},
            "`key_file` must be given, since the other half of the pair is",
        ),
        ({"key_file": "client.key"}, "`certificate_file` must be given, since"),
        (
            {"certificate_file": "client.pem", "key_file": "server.key"},
            "`certificate_file` must be a PEM file that can be read, and `key_file` "
            "its key",
        ),
    ],
)
def test_bad_arguments(certificates, arguments, text):
    given = {
        name: value if name == "token" else certificates / value
        for name, value in arguments.items()
    }
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        Credentials(**given)
    assert "two words" not in str(caught.value)
