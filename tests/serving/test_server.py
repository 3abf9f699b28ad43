"""What can be said before anything is loaded; running servers: test_local.py."""

import re
import socket

import pytest

from tfrec.serving import ServingError, serve
from tfrec.serving.server import LARGEST_MESSAGE, address, channel_arguments


def test_nothing_to_serve():
    with pytest.raises(ValueError, match=r"`path` must be given, or `model_config_f"):
        serve()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"port": -1}, "`port` must be an int >= 0"),
        ({"port": 70_000}, "`port` must be an int <= 65535"),
        ({"port": "8500"}, "`port` must be an int >= 0"),
        ({"host": ""}, "`host` must be a non-empty string"),
        ({"grpc_channel_arguments": "odd"}, "must be key=value,key=value"),
    ],
)
def test_bad_arguments(tmp_path, arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        serve(tmp_path, **arguments)


def test_a_port_that_is_taken(movies):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = f"cannot listen on 127.0.0.1:{port}"
        with pytest.raises(ServingError, match=text) as caught:
            serve(movies, port=port)
    assert caught.value.code == "UNAVAILABLE"


def test_a_host_that_is_not_ours(movies):
    with pytest.raises(ServingError, match=r"cannot listen on 203\.0\.113\.1:0"):
        serve(movies, host="203.0.113.1", port=0)


def test_addresses():
    assert address("127.0.0.1", 1) == "127.0.0.1:1"
    assert address("::", 1) == "[::]:1"


def test_channel_arguments_override_ours():
    assert dict(channel_arguments(""))["grpc.so_reuseport"] == 0
    found = dict(channel_arguments("grpc.max_receive_message_length=-1,a.b=c"))
    assert found["grpc.max_receive_message_length"] == -1
    assert found["grpc.max_send_message_length"] == LARGEST_MESSAGE
    assert found["a.b"] == "c"
