"""A loop's channel, for threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tfrec.serving import ServingError
from tfrec.serving.address import parse
from tfrec.serving.blocking import Blocking
from tfrec.serving.credentials import Credentials
from tfrec.serving.grpc_format import Request
from tfrec.serving.rest_channel import RestChannel

SUMS = Request("sums", "/v1/models/sums:predict", b'{"inputs":{"a":[1],"b":[3]}}')


def threads():
    return [one for one in threading.enumerate() if one.name == "tfrec-client"]


def make(port):
    address = parse(f"http://127.0.0.1:{port}")
    return Blocking(RestChannel(address, Credentials(), 2**20))


def test_threads_share_it_and_it_ends(web):
    before = len(threads())
    channel = make(web.port)
    assert len(threads()) == before + 1
    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(lambda _: channel.call(SUMS, 20.0), range(40)))
    assert len(answers) == 1
    channel.close()
    channel.close()
    assert len(threads()) == before
    with pytest.raises(ServingError, match="client is closed"):
        channel.call(SUMS, 20.0)


def test_who_forgets_to_close_leaves_nothing(web):
    before = len(threads())
    channel = make(web.port)
    channel.call(SUMS, 20.0)
    del channel
    assert len(threads()) == before
