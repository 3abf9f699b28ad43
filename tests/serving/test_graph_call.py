"""Feeds, fetches and what a run is said to cost."""

import numpy as np
import pytest
import tensorflow as tf

from tfrec.serving.graph_call import MOST_DIMENSIONS, Cost, GraphCall, session_config


class PublicSession:
    """A session without the shortcut."""

    def __init__(self, session):
        self.make_callable = session.make_callable


def test_both_ways_of_running_agree():
    graph = tf.Graph()
    with graph.as_default():
        a = tf.compat.v1.placeholder(tf.float32, [None], "a")
        tf.identity(a * 2, "b")
        tf.identity(a + 1, "c")
    with tf.compat.v1.Session(graph=graph, config=session_config()) as session:
        for way in (session, PublicSession(session)):
            call = GraphCall(way, ["a:0"], ["b:0", "c:0", "b:0"])
            for seconds in (None, None, 5.0):
                results = [
                    array.tolist() for array in call([np.float32([1, 2])], seconds)
                ]
                assert results == [[2, 4], [2, 3], [2, 4]]
            assert call.warm(None) and call.warm(5.5) and not call.warm(1.0)
        call = None


@pytest.mark.parametrize("text", [b"u\0\0", b"", b"u"])
@pytest.mark.parametrize("seconds", [None, 5.0])
def test_a_scalar_string_keeps_its_zeros(text, seconds):
    graph = tf.Graph()
    with graph.as_default():
        tf.identity(tf.constant(text), "a")
    with tf.compat.v1.Session(graph=graph, config=session_config()) as session:
        (value,) = GraphCall(session, [], ["a:0"])([], seconds)
    assert value.shape == () and value.dtype == object and value.item() == text


def test_dimensions_are_bounded():
    """TensorFlow ends the process at a string tensor of more than 32."""
    graph = tf.Graph()
    with graph.as_default():
        a = tf.compat.v1.placeholder(tf.string, None, "a")
        tf.identity(a, "b")
    with tf.compat.v1.Session(graph=graph, config=session_config()) as session:
        call = GraphCall(session, ["a:0"], ["b:0"])
        most = np.full([1] * MOST_DIMENSIONS, b"x", object)
        assert call([most])[0].shape == most.shape
        for seconds in (None, 5.0):
            with pytest.raises(
                ValueError, match="^a:0 has 40 dimensions, at most 16 a"
            ):
                call([np.full([1] * 40, b"x", object)], seconds)


def test_what_is_unknown_counts_as_slow():
    cost = Cost()
    assert cost.slow(100)
    cost.learn(100, 0.0001)
    assert not cost.slow(100)
    assert not cost.slow(127)
    assert cost.slow(128)


def test_cost_moves_with_what_is_seen():
    cost = Cost()
    cost.learn(100, 1.0)
    for _ in range(50):
        cost.learn(100, 0.0001)
    assert not cost.slow(100)
    for _ in range(50):
        cost.learn(100, 0.01)
    assert cost.slow(100)
