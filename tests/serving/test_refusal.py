"""Codes and the length of messages."""

import grpc
import pytest

from tfrec.serving.refusal import Refusal, code_name


def test_a_long_message_is_cut_between_characters():
    refusal = Refusal("NOT_FOUND", "a" + "é" * 1000)
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.message == "a" + "é" * 511 + "...TRUNCATED"
    assert Refusal("NOT_FOUND", "x" * 1024).message == "x" * 1024


@pytest.mark.parametrize(("number", "name"), [(3, "INVALID_ARGUMENT"), (99, "UNKNOWN")])
def test_numbers_have_names(number, name):
    assert code_name(number) == name
