"""The most frequent items of a document, as the recommender's graph gives them."""

import json

import numpy as np
import pytest

from tfrec.features import Categorical, FeatureSpec
from tfrec.serving import popular
from tfrec.serving.documents import Document


def document(dtype, ids):
    spec = FeatureSpec([Categorical("item", side="item", dtype=dtype)])
    return Document(
        {
            "format": 1,
            "servable": "recommender",
            "inputs": {},
            "outputs": {"item_id": {"dtype": dtype, "shape": [None, None]}},
            "popular": {"item_id": ids, "score": [0.4, 0.3, 0.2, 0.1]},
            "spec": json.loads(spec.to_json()),
        }
    )


TEXT = document("string", ["a", "b", "ü", "d"])
NUMBERS = document("int64", [10, 20, 30, 2**60])


def ask(told, rows=1, n=2, exclude=((),), allow=((),)):
    dtype = object if told is TEXT else np.int64
    lists = {
        name: np.array(value, dtype).reshape(len(value), -1)
        for name, value in (("exclude", exclude), ("allow", allow))
    }
    return popular.answer(told, rows, {"n": np.int32(n), **lists})


def test_the_best_n_for_every_row():
    found = ask(TEXT, rows=2)
    assert found["item_id"].tolist() == [[b"a", b"b"]] * 2
    np.testing.assert_array_equal(found["score"], np.float32([[0.4, 0.3]] * 2))
    np.testing.assert_array_equal(found["score"], found["retrieval_score"])
    assert found["count"].tolist() == [2, 2]
    assert found["source"].tolist() == [b"popular"] * 2


def test_one_list_of_exclusions_serves_all_rows():
    found = ask(TEXT, rows=2, exclude=[["a", "ü"]])
    assert found["item_id"].tolist() == [[b"b", b"d"]] * 2


@pytest.mark.parametrize("told", [TEXT, NUMBERS], ids=["string", "int64"])
def test_shorter_rows_are_filled(told):
    ids = [b"a", b"b"] if told is TEXT else [10, 20]
    filler = b"" if told is TEXT else -1
    given = ["a", "b"] if told is TEXT else ids
    found = ask(told, rows=2, n=4, allow=[[given[0], filler], given])
    assert found["item_id"].tolist() == [[ids[0], filler], ids]
    assert found["count"].tolist() == [1, 2]
    assert found["score"][0, 1] == popular.LOWEST


def test_nothing_left():
    found = ask(NUMBERS, exclude=[[10, 20, 30, 2**60]])
    assert found["item_id"].shape == (1, 0)
    assert found["count"].tolist() == [0]


def test_ids_and_dtypes_are_exact():
    found = ask(NUMBERS, exclude=[[10, 20, 30]])
    assert found["item_id"].tolist() == [[2**60]]
    assert found["item_id"].dtype == np.int64
    assert found["count"].dtype == np.int32
    assert found["score"].dtype == np.float32


@pytest.mark.parametrize("n", [0, -1])
def test_n_is_checked_as_in_the_graph(n):
    with pytest.raises(ValueError, match="Client: `n` must be an int >= 1"):
        ask(TEXT, n=n)
