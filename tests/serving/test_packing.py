"""Wire format against protobuf's own writer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.framework.tensor_pb2 import TensorProto

from tfrec.serving import packing


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_varints_are_what_protobuf_writes(values):
    packed = packing.field(10, packing.varints(np.array(values, np.int64)))
    written = TensorProto(int64_val=values).SerializeToString()
    assert packed == (written or packing.field(10, b""))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_unsigned_varints_are_what_protobuf_writes(values):
    packed = packing.field(17, packing.varints(np.array(values, np.uint64)))
    assert packed == b"\x8a\x01" + packed[2:]
    assert packed == TensorProto(uint64_val=values).SerializeToString()


@given(st.integers(0, 2**40))
def test_a_varint_is_the_varint_of_an_array(value):
    assert packing.varint(value) == packing.varints(np.array([value]))


@pytest.mark.parametrize("length", [0, 1, 127, 128, 20_000])
def test_a_field_carries_its_length(length):
    proto = TensorProto.FromString(packing.field(4, b"x" * length))
    assert proto.tensor_content == b"x" * length
