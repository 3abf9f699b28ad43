import numpy as np
import pytest
import tensorflow as tf

from tfrec.export import recommender_parts as parts
from tfrec.features import Categorical, Crossed, FeatureSpec, Numeric, Sequence

SPEC = FeatureSpec(
    [
        Categorical("user", side="user", hash_buckets=10),
        Sequence("history", of="item", max_length=3),
        Categorical("town", side="user", hash_buckets=5),
        Crossed("both", ("user", "town"), side="user", hash_buckets=7),
        Numeric("age", side="user"),
        Categorical("hour", side="context", hash_buckets=10),
        Categorical("item", side="item", hash_buckets=10),
    ]
)


def known(**ids):
    found = parts.known(SPEC, {k: tf.constant(v) for k, v in ids.items()}, 2)
    return found.numpy().tolist()


def test_a_user_with_an_id_of_its_own_is_known():
    assert known(user=[0, 2]) == [False, True]
    assert known(user=[1, 0]) == [False, False]
    assert known(history=[[0, 0, 0], [1, 5, 0]]) == [False, True]
    assert known(user=[2, 0], history=[[0], [0]]) == [True, False]
    assert known(user=[3]) == [True, True]  # one row for all


def test_what_says_nothing_of_a_user_does_not_count():
    assert known(user=[0, 0], hour=[5, 5], both=[4, 4]) == [False, False]
    assert known(age=[30.0, 40.0]) == [True, True]  # nothing to tell by


def test_one_vector_is_one_interest():
    vector = tf.constant([[1.0, 2.0], [3.0, 4.0]], tf.float16)
    found = parts.interests(vector)
    assert found.dtype == tf.float32
    assert found.numpy().tolist() == [[[1, 2]], [[3, 4]]]
    assert parts.interests([vector]).shape == (2, 1, 2)


def test_dead_interests_are_copies_of_the_first():
    vectors = tf.reshape(tf.range(12.0), [2, 3, 2])
    found = parts.interests([vectors, tf.constant([1, 2])]).numpy()
    np.testing.assert_array_equal(found[0], [[0, 1]] * 3)
    np.testing.assert_array_equal(found[1], [[6, 7], [8, 9], [6, 7]])
    np.testing.assert_array_equal(parts.interests(vectors), vectors)


def test_two_specs_in_one():
    ranker = FeatureSpec(
        [
            Categorical("item", side="item", hash_buckets=99),
            Numeric("price", side="item"),
        ],
        labels=["click"],
    )
    both = parts.merged(SPEC, ranker)
    assert list(both.names) == [*SPEC.names, "price"]
    assert both["item"] == SPEC["item"]
    assert not both.labels
    assert parts.merged(SPEC, SPEC) is SPEC


@pytest.mark.parametrize(
    "other",
    [
        Categorical("item", side="item", dtype="int64", hash_buckets=10),
        Categorical("item", side="user", hash_buckets=10),
        Numeric("item", side="item"),
    ],
    ids=["dtype", "side", "kind"],
)
def test_one_name_for_two_things(other):
    with pytest.raises(ValueError, match='column "item" must be of one kind'):
        parts.merged(SPEC, FeatureSpec([other]))


@pytest.mark.parametrize(
    "ids", [[b"a", b"\xc3\xa9 b"], [3, 2**60]], ids=["text", "int"]
)
def test_places_of_the_items(ids, tmp_path):
    dtype = object if isinstance(ids[0], bytes) else np.int64
    table = parts.places(tmp_path / "catalogue.txt", np.array(ids, dtype))
    asked = [ids[1], ids[0], b"x" if dtype is object else 7]
    assert table.lookup(tf.constant(asked)).numpy().tolist() == [1, 0, -1]


def test_float32():
    assert parts.float32(tf.ones([2], tf.bfloat16)).dtype == tf.float32
