import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.optimizers import RowSparseSGD

START = np.arange(8.0).reshape(4, 2).astype("float32")


def test_matches_the_definition():
    optimizer = RowSparseSGD(0.5, weight_decay=0.5)
    table = keras.Variable(START)
    parts = tf.constant([[1.0, 2], [3, 4], [5, 6]])
    optimizer.apply([tf.IndexedSlices(parts, [2, 0, 2], [4, 2])], [table])
    wanted = START.copy()
    wanted[0] += [-1.5, -2] - 0.25 * START[0]
    wanted[2] += [-3, -4] - 0.25 * START[2]
    np.testing.assert_array_equal(table, wanted)


def test_it_has_no_slots():
    optimizer = RowSparseSGD()
    optimizer.build([keras.Variable(START)])
    assert [v.name for v in optimizer.variables] == ["iteration", "learning_rate"]


def test_bad_arguments():
    with pytest.raises(ValueError, match="momentum"):
        RowSparseSGD(momentum=0.9)


def test_contract():
    optimizer = RowSparseSGD(0.2, clipvalue=2.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert again.get_config()["clipvalue"] == 2.0
