"""Addresses, told apart by their scheme."""

import re

import pytest

from tfrec.serving.address import parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:8500", ("grpc", False, "localhost:8500")),
        ("[::1]:8500", ("grpc", False, "[::1]:8500")),
        ("grpc://h:8500", ("grpc", False, "h:8500")),
        ("grpcs://h:443/", ("grpc", True, "h:443")),
        ("unix:/run/tfrec.sock", ("grpc", False, "unix:/run/tfrec.sock")),
        ("http://h:8501/", ("rest", False, "http://h:8501")),
        ("https://h/models/", ("rest", True, "https://h/models")),
    ],
)
def test_addresses(text, expected):
    assert parse(text) == (text, *expected)


LIKE = '`address` must be like "host:8500", "grpcs://host:8500" or "http://host:8501"'


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "Client: `address` must be a non-empty string. Received: address=''"),
        ("host", LIKE),
        ("host:port", LIKE),
        (":8500", LIKE),
        ("grpc://h:8500/path", LIKE),
        ("http://user:word@h:8501", LIKE),
        ("http://h:8501?x=1", LIKE),
        ("h:8500#x", LIKE),
        ("unix:", LIKE),
        ("htps://h", 'must start with one of "grpc", "grpcs", "http", "https"'),
        ("htps://h", 'Did you mean "https"?'),
    ],
)
def test_what_is_none(text, error):
    with pytest.raises(ValueError, match=re.escape(error)):
        parse(text)
