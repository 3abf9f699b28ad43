import pytest
import tensorflow as tf

from tfrec import data
from tfrec.features import Categorical, FeatureSpec, Numeric, Sequence


def test_counts_what_the_vocabulary_lacks(tmp_path):
    rows = {
        "city": ["a", "b", "new", None, "newer"],
        "past": [["a", "new"], [], ["a"], None, ["x", "y"]],
        "age": [1.0, 2.0, 3.0, 4.0, 5.0],
    }
    columns = [
        Categorical("city", side="user"),
        Sequence("past", of="city"),
        Numeric("age", side="user"),
    ]
    spec = FeatureSpec(columns).adapt(
        {"city": ["a", "b"], "past": [[], []], "age": [0.0, 0.0]}, tmp_path
    )
    found = data.coverage(data.from_pandas(rows, spec, batch_size=2))
    assert found.to_dict("records") == [
        {
            "column": "city",
            "values": 4,
            "unknown": 2,
            "unknown_share": 0.5,
            "missing": 1,
        },
        {
            "column": "past",
            "values": 5,
            "unknown": 3,
            "unknown_share": 0.6,
            "missing": 2,
        },
    ]
    only = data.from_pandas(rows, spec, columns=["city"], batch_size=5)
    assert list(data.coverage(only)["column"]) == ["city"]


def test_errors():
    with pytest.raises(TypeError, match="`dataset` must be a tf.data.Dataset"):
        data.coverage([1])
    endless = tf.data.Dataset.from_tensors({"a": [1]}).repeat()
    with pytest.raises(ValueError, match=r"must have an end.*Drop `repeat`"):
        data.coverage(endless)
