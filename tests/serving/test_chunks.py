"""Pieces fit, are as few as greed makes them, and keep the order."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.serving import chunks, messages

SCORE = {"score": {"dtype": "float32", "shape": [None]}}
SPEC = messages.model_spec("ranker", 1, "serving_default")


@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=60),
    st.integers(1024, 4096),
)
def test_every_piece_fits_and_the_next_row_might_not(texts, limit):
    inputs = {
        "user": np.array([b"somebody"], object),
        "item": np.array(texts, object),
        "tags": np.array([[text[:2], b""] for text in texts], object),
        "price": np.zeros((len(texts), 3), np.float32),
    }
    pieces = chunks.split(inputs, ["item", "tags", "price"], SCORE, limit)
    assert pieces[0].start == 0
    assert pieces[-1].stop == len(texts)
    for one, following in itertools.pairwise(pieces):
        assert one.stop == following.start
    for piece in pieces:
        part = {
            name: array if name == "user" else array[piece]
            for name, array in inputs.items()
        }
        assert len(messages.predict_request(SPEC, part, ["score"])) <= limit


def test_answers_are_bounded_too():
    inputs = {"x": np.zeros(1000, np.int64)}
    wide = {"vector": {"dtype": "float32", "shape": [None, 64]}}
    pieces = chunks.split(inputs, ["x"], wide, 100_000)
    rows = max(piece.stop - piece.start for piece in pieces)
    outputs = {"vector": np.ones((rows, 64), np.float32)}
    assert 90_000 < len(messages.predict_response(SPEC, outputs)) <= 100_000


@pytest.mark.parametrize(
    ("told", "size"),
    [
        ({"dtype": "int64", "shape": [None]}, 10),
        ({"dtype": "string", "shape": [None, 3]}, 192),
        ({"dtype": "float64", "shape": [None, None]}, 512),
        ({"dtype": "float32", "shape": []}, 4),
    ],
)
def test_what_an_answer_may_take(told, size):
    assert chunks._answer_bytes(told) == size


def test_what_fits_is_one_piece():
    inputs = {"x": np.zeros(10, np.float32)}
    assert chunks.split(inputs, ["x"], SCORE, 1024) == [slice(0, 10)]


def test_a_row_that_does_not_fit_is_named():
    inputs = {"x": np.array([b"a", b"b" * 2000], object)}
    text = r"`max_message_bytes` must hold one row, and row 1 takes up to 2\d{3} bytes"
    with pytest.raises(ValueError, match=text):
        chunks.split(inputs, ["x"], SCORE, 1024)
    wide = {"vector": {"dtype": "float32", "shape": [None, 4096]}}
    with pytest.raises(ValueError, match="row 0 takes up to"):
        chunks.split({"x": np.zeros(3)}, ["x"], wide, 1024)


def test_an_output_of_all_rows_cannot_be_cut():
    inputs = {"x": np.zeros(1000, np.float32)}
    whole = {"mean": {"dtype": "float32", "shape": []}}
    assert len(chunks.split(inputs, ["x"], whole, 10_000)) == 1
    with pytest.raises(ValueError, match='output "mean" is not one entry a row'):
        chunks.split(inputs, ["x"], whole, 1024)
