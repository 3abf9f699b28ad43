import numpy as np
import pytest

from tfrec.evaluation.catalogue import Catalogue, as_ids, flatten


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "i"),
        (np.array([1, 2], "uint8"), "i"),
        (np.array([1, 2], object), "i"),
        ([np.int32(1), 2], "i"),
        (["a", "b"], "U"),
        ([np.str_("a"), "b"], "U"),
        (np.array(["a", "b"], object), "U"),
        ([b"a"], "S"),
        ([], "i"),
        (np.array([], object), "i"),
    ],
)
def test_kinds_of_ids(values, kind):
    ids = as_ids("top_k", "item_ids", values)
    assert ids.dtype.kind == kind and ids.tolist() == list(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1]], "top_k: `item_ids` must have shape (ids)"),
        ([1.0], "must be all integers or all strings, none missing"),
        ([True], "Received: item_ids='bool'"),
        (["a", 1.5, None], "Received: item_ids='NoneType, float, str'"),
        (["a", 1], "Received: item_ids='int, str'"),
        (["a", float("nan")], "none missing. Received: item_ids='float, str'"),
        (["a", b"b"], "Received: item_ids='bytes, str'"),
        (np.array(["a", 1], object), "Received: item_ids='int, str'"),
        ([2**64 - 1], "`item_ids` must fit into int64"),
        ([2**80], "`item_ids` must fit into int64"),
    ],
)
def test_bad_ids(values, message):
    with pytest.raises(ValueError) as error:
        as_ids("top_k", "item_ids", values)
    assert message in str(error.value)


def test_flatten_takes_ragged_lists():
    ids, row = flatten("top_k", "exclude", [(), None, np.array(["x", "yy"]), ["z"]], 4)
    assert ids.tolist() == ["x", "yy", "z"] and row.tolist() == [2, 2, 3]
    ids, row = flatten("top_k", "exclude", np.array([[1, 2], [3, 4]]), 2)
    assert ids.tolist() == [1, 2, 3, 4] and row.tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="`exclude` must hold ids of one kind"):
        flatten("top_k", "exclude", [[1], ["a"]], 2)


def test_places_and_back():
    rng = np.random.default_rng(0)
    for ids in [
        rng.permutation(100) * 7 - 300,
        np.array([f"i{i}" for i in range(100)]),
    ]:
        items = Catalogue("top_k", 100, ids)
        places = items.places("exclude", ids[[5, 99, 0]])
        assert places.tolist() == [5, 99, 0]
        assert items.ids(places).tolist() == ids[[5, 99, 0]].tolist()
    assert items.places("exclude", np.array(["zz", "", "i1"])).tolist() == [-1, -1, 1]
    assert items.ids(np.array([[3, -1]])).tolist() == [["i3", ""]]


def test_an_id_twice_is_named():
    with pytest.raises(ValueError, match=r"must not hold an id twice.*\['b', 'c'\]"):
        Catalogue("top_k", 5, ["c", "b", "a", "b", "c"])
