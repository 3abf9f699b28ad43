"""Tensors both ways, against TensorFlow's own functions."""

import hypothesis.extra.numpy as st_numpy
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import types_pb2
from tensorflow.core.framework.tensor_pb2 import TensorProto

from tfrec.serving import tensors

KINDS = sorted(tensors.KINDS.values())
NUMBERS = [kind for kind in KINDS if kind.dtype != object]
PLAIN = [kind for kind in NUMBERS if kind.number != types_pb2.DT_BFLOAT16]
SHAPES = st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def named(kinds):
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: str(kind.number))


def proto_of(kind, shape, **fields):
    proto = TensorProto(dtype=kind.number, **fields)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def same(one, other):
    assert one.dtype == other.dtype
    assert one.shape == other.shape
    if one.dtype == object:
        assert one.tolist() == other.tolist()
    else:
        assert one.tobytes() == other.tobytes()


@named(PLAIN)
@pytest.mark.parametrize("content", [False, True])
@settings(max_examples=25)
@given(data=st.data())
def test_numbers_come_back(kind, content, data):
    array = data.draw(st_numpy.arrays(kind.dtype, SHAPES))
    proto = TensorProto.FromString(tensors.encode(array, content=content))
    assert bool(proto.tensor_content) == bool(content and array.size)
    same(tensors.decode(proto), array)
    same(tf.make_ndarray(proto), array)


@named(PLAIN)
@settings(max_examples=25)
@given(data=st.data())
def test_what_tensorflow_writes_is_read(kind, data):
    array = data.draw(st_numpy.arrays(kind.dtype, SHAPES))
    same(tensors.decode(tf.make_tensor_proto(array)), array)


@pytest.mark.parametrize("content", [False, True])
@given(bits=st.lists(st.integers(0, 2**16 - 1)))
def test_bfloat16_comes_back(content, bits):
    array = np.array(bits, np.uint16).view(tf.bfloat16.as_numpy_dtype)
    proto = TensorProto.FromString(tensors.encode(array, content=content))
    same(tensors.decode(proto), array)
    same(tf.make_ndarray(proto), array)


@given(st_numpy.arrays(object, SHAPES, elements=st.binary(max_size=200)))
def test_strings_come_back(array):
    proto = TensorProto.FromString(tensors.encode(array))
    same(tensors.decode(proto), array)
    same(tensors.decode(tf.make_tensor_proto(array, tf.string)), array)


def test_text_and_fixed_width_bytes_are_strings():
    for array in (np.array(["é", "b"]), np.array(["é".encode(), b"b"])):
        proto = TensorProto.FromString(tensors.encode(array))
        assert list(proto.string_val) == ["é".encode(), b"b"]


def test_strings_in_tensor_content_are_read():
    long = b"y" * 300
    string = types_pb2.DT_STRING
    proto = TensorProto(dtype=string, tensor_content=b"\x01\x00\xac\x02" + b"x" + long)
    proto.tensor_shape.dim.add(size=3)
    assert tensors.decode(proto).tolist() == [b"x", b"", long]
    for content in (b"\x01", b"\xff" * 20, b"\x09\x00\x00x"):
        proto.tensor_content = content
        with pytest.raises(ValueError):
            tensors.decode(proto)


def test_the_order_of_bytes_and_strides_do_not_matter():
    swapped = np.arange(6, dtype=">f4").reshape(2, 3).T
    for content in (False, True):
        proto = TensorProto.FromString(tensors.encode(swapped, content=content))
        same(tensors.decode(proto), swapped.astype("<f4", order="C"))


@named(PLAIN)
def test_the_last_value_is_repeated(kind):
    two = np.array([0, 1]).astype(kind.dtype)
    proto = TensorProto.FromString(tensors.encode(two))
    del proto.tensor_shape.dim[:]
    proto.tensor_shape.dim.add(size=5)
    same(tensors.decode(proto), np.array([0, 1, 1, 1, 1]).astype(kind.dtype))


@named(KINDS)
def test_no_values_are_zeros(kind):
    filled = tensors.decode(proto_of(kind, [2, 2]))
    assert filled.shape == (2, 2)
    assert filled.reshape(-1).tolist() == (
        [b""] * 4 if kind.dtype == object else np.zeros(4, kind.dtype).tolist()
    )


def test_the_last_string_is_repeated_and_more_values_are_dropped():
    kind = tensors.KINDS[types_pb2.DT_STRING]
    proto = proto_of(kind, [3], string_val=[b"a", b"b"])
    assert tensors.decode(proto).tolist() == [b"a", b"b", b"b"]
    proto = proto_of(kind, [1], string_val=[b"a", b"b"])
    assert tensors.decode(proto).tolist() == [b"a"]
    number = tensors.KINDS[types_pb2.DT_FLOAT]
    proto = proto_of(number, [1], float_val=[1, 2])
    assert tensors.decode(proto).tolist() == [1]


def test_an_unknown_rank_is_a_scalar():
    proto = TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[2])
    proto.tensor_shape.unknown_rank = True
    assert tensors.decode(proto).shape == ()


def test_a_bool_is_true_for_any_byte():
    kind = tensors.KINDS[types_pb2.DT_BOOL]
    array = tensors.decode(proto_of(kind, [3], tensor_content=b"\x00\x01\x07"))
    assert array.tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ([-1], {}),
        ([1 << 50], {"float_val": [1]}),
        ([1 << 40, 1 << 40], {"float_val": [1]}),
        ([1 << 40, 1 << 40, 0], {}),
        ([2], {"tensor_content": b"123"}),
        ([1 << 50], {"tensor_content": b"1234"}),
        ([1] * 300, {"float_val": [1]}),
    ],
)
def test_what_is_no_tensor_is_refused(shape, fields):
    with pytest.raises(ValueError):
        tensors.decode(proto_of(tensors.KINDS[types_pb2.DT_FLOAT], shape, **fields))


def test_what_strings_would_take_is_bounded():
    kind = tensors.KINDS[types_pb2.DT_STRING]
    proto = proto_of(kind, [100_000], string_val=[b"x" * 100_000])
    with pytest.raises(ValueError, match="too large"):
        tensors.decode(proto)


def test_values_that_came_are_not_bounded():
    kind = tensors.KINDS[types_pb2.DT_FLOAT]
    proto = proto_of(kind, [4], float_val=[1, 2, 3, 4])
    assert tensors.decode(proto, max_fill_bytes=0).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("number", [0, types_pb2.DT_VARIANT, 9999])
def test_a_dtype_that_no_array_has_is_refused(number):
    with pytest.raises(ValueError, match="cannot hold"):
        tensors.decode(TensorProto(dtype=number))


@pytest.mark.parametrize("array", [np.array([object()]), np.array([1], "M8[s]")])
def test_what_no_tensor_holds_is_an_error(array):
    with pytest.raises(TypeError, match=r"[Tt]ensor"):
        tensors.encode(array)


def test_type_names_are_tensorflows():
    assert tensors.type_name(types_pb2.DT_FLOAT) == "float"
    assert tensors.type_name(types_pb2.DT_INT64) == "int64"
    assert tensors.type_name(4242) == "unknown dtype 4242"


def test_names_of_types_are_tensorflows():
    for name, number in types_pb2.DataType.items():
        assert tensors.type_name(number) == name.removeprefix("DT_").lower()
    for number in (-1, 34, 100, 999):
        assert tensors.type_name(number) == f"unknown dtype {number}"
