"""JSON's text: what is accepted, and how numbers are written."""

import json
import math
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.serving import json_text
from tfrec.serving.refusal import Refusal


@pytest.mark.parametrize(
    ("token", "value"),
    [
        (b"NaN", math.nan),
        (b"Infinity", math.inf),
        (b"-Infinity", -math.inf),
        (b"Inf", math.inf),
        (b"-Inf", -math.inf),
    ],
)
def test_tokens_of_no_json(token, value):
    document = json_text.parse(b'{"a Inf \\" Inf": [1, ' + token + b', "Inf", 2.5]}')
    (key, values), *_ = document.items()
    assert key == 'a Inf " Inf'
    assert values[0] == 1 and isinstance(values[0], int)
    assert values[1] == value or (math.isnan(values[1]) and math.isnan(value))
    assert values[2:] == ["Inf", 2.5]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "^JSON Parse error: The document is empty$"),
        (b"{", r"^JSON Parse error: .+ at offset: 1$"),
        (b'{"a": nope}', r"^JSON Parse error: .+ at offset: 6$"),
        (b'{"a": 1,}', "^JSON Parse error"),
        (b'{"a": NaN,}', r"^JSON Parse error: .+ at offset: \d+$"),
        (b'{"a": "\xff"}', "^JSON Parse error"),
        (b'{"a": "\xffNaN"}', "^JSON Parse error"),
        (b'{"a": 1e999}', "^JSON Parse error"),
        (b'{"a": [NaN, 1e999]}', "^JSON Parse error: Number too big"),
        (b'{"a": [NaN, 1' + b"0" * 400 + b"]}", "^JSON Parse error: Number too big"),
        (b"[1]", r"^JSON Value: \[1\] Is not object$"),
        (b'"x"', '^JSON Value: "x" Is not object$'),
        (b"NaN", "^JSON Value: null Is not object$"),
        (b"[" * 100_000, "^JSON Parse error"),
        (b"[" * 100_000 + b"NaN", "^JSON Parse error"),
        (b'{"a":' * 100_000, "^JSON Parse error"),
        (b'{"Inf":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "^JSON Parse error"),
        (b'NaN "' + b'\\"' * 300_000, "^JSON Parse error"),
        (b'{"a": "\\ud800"}', "^JSON Parse error"),
        (b'{"a": [NaN, "\\ud800"]}', "^JSON Parse error: .*surrogates"),
        (b'{"\\udfff": NaN}', "^JSON Parse error: .*surrogates"),
    ],
    ids=range(21),
)
def test_bad_bodies(body, text):
    with pytest.raises(Refusal) as caught:
        json_text.parse(body)
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert re.search(text, caught.value.message), caught.value.message


def test_escapes_beside_the_tokens_of_no_json():
    found = json_text.parse(b'{"\\u00e9": ["\\ud83d\\ude00", NaN]}')
    assert found["é"][0] == "\N{GRINNING FACE}"


def test_lists_are_bounded_before_they_are_made(monkeypatch):
    monkeypatch.setattr(json_text, "MOST_LISTS", 4)
    assert json_text.parse(b'{"a": [[], []]}') == {"a": [[], []]}
    with pytest.raises(Refusal, match="^the body has more than 4 lists and objects$"):
        json_text.parse(b'{"a": [[], [], [], {}]}')


def test_both_parsers_read_integers_alike():
    digits = ["9223372036854775808", "18446744073709551615", "18446744073709551616"]
    digits += ["-9223372036854775808", "-9223372036854775809", "1" * 30]
    plain = b'{"a": [' + ",".join(digits).encode() + b"]}"
    slow = b'{"a": [' + ",".join([*digits, "NaN"]).encode() + b"]}"
    found, again = json_text.parse(plain)["a"], json_text.parse(slow)["a"][:-1]
    assert found == again
    assert list(map(type, found)) == list(map(type, again))
    assert list(map(type, found)) == [int, int, float, int, float, float]


def test_what_is_shown_is_cut():
    assert json_text.show("x" * 500) == '"' + "x" * 199 + "..."
    assert json_text.show([float("nan"), None]) == "[null,null]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2, "2.0"),
        (-0.0, "-0.0"),
        (0.2, "0.2"),
        (123456, "123456.0"),
        (1234567, "1234567.0"),
        (1048576, "1048576.0"),
        (9e6, "9e+06"),
        (0.0001, "0.0001"),
        (0.00003, "3e-05"),
        (1 / 3, "0.333333343"),
        (16777216, "16777216.0"),
        (1e9, "1e+09"),
        (3.4028235e38, "3.40282347e+38"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
    ],
)
def test_float32(value, text):
    array = np.float32([value])
    assert json_text.dump(json_text.plain(array)).decode() == f"[{text}]"
    assert json_text.number(array[0]) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1 / 3, "0.33333333333333331"),
        (2.0, "2.0"),
        (1e6, "1e+06"),
        (1234567.0, "1234567.0"),
        (1e22, "1e+22"),
    ],
)
def test_float64(value, text):
    assert json_text.dump(json_text.plain(np.array([value]))).decode() == f"[{text}]"


FLOATS = st.one_of(
    st.floats(width=32),
    st.floats(-1000, 1000, width=32),
    st.integers(-(10**7), 10**7).map(float),
    st.tuples(st.integers(-(10**6), 10**6), st.integers(0, 9)).map(
        lambda pair: pair[0] / 10 ** pair[1]
    ),
)


@settings(max_examples=100, deadline=None)
@given(values=st.lists(FLOATS, max_size=40), name=st.sampled_from(["f4", "f8"]))
def test_arrays_are_written_as_each_number(values, name):
    array = np.array(values, np.float64).astype(name)
    text = json_text.dump(json_text.plain(array)).decode()
    assert text == "[" + ",".join(map(json_text.number, array)) + "]"
    back = np.array(json.loads(text), np.float64).astype(name)
    np.testing.assert_array_equal(back, array)


def test_random_bits_are_written_as_each_number():
    bits = np.random.default_rng(7).integers(0, 2**32, 20_000, np.uint64)
    array = bits.astype(np.uint32).view(np.float32)
    text = json_text.dump(json_text.plain(array)).decode()
    assert text[1:-1].split(",") == [json_text.number(value) for value in array]


@pytest.mark.parametrize("name", json_text.PLAIN)
def test_whole_numbers_keep_every_digit(name):
    if name == "bool":
        values, text = [True, False], "[true,false]"
    else:
        limits = np.iinfo(name)
        values, text = [limits.min, limits.max], f"[{limits.min},{limits.max}]"
    assert json_text.dump(json_text.plain(np.array(values, name))).decode() == text


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.float32(1.5), "1.5"),
        (np.array(7, np.int64), "7"),
        (np.array(True), "true"),
        (np.float32([[1, 2], [3, 1e-9]]), "[[1.0,2.0],[3.0,1e-09]]"),
        (np.zeros([0, 3], np.float32), "[]"),
        (np.zeros([2, 0], np.int32), "[[],[]]"),
        (np.float32([[1, 2], [3, 4]]).T, "[[1.0,3.0],[2.0,4.0]]"),
        (np.array([b"a", "é".encode()], object), '["a","é"]'),
    ],
)
def test_shapes(array, text):
    assert json_text.dump(json_text.plain(array)).decode() == text


def test_bytes_and_text():
    array = np.array([[b"\xff\x00"], [b""]], object)
    answer = json_text.plain(array, content=True)
    assert json_text.dump(answer) == b'[[{"b64":"/wA="}],[{"b64":""}]]'
    with pytest.raises(Refusal, match=r"no UTF-8 .* named \.\.\._bytes"):
        json_text.plain(array)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("float16", "half"), ("bfloat16", "bfloat16"), ("uint16", "uint16")],
)
def test_types_that_json_has_no_number_for(name, kind):
    array = np.zeros(1, tf.as_dtype(name).as_numpy_dtype)
    text = f"^Failed to write JSON value for tensor type: {kind}$"
    with pytest.raises(Refusal, match=text):
        json_text.plain(array)
