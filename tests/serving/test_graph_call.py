"""Feeds, fetches and what a run is said to cost."""

import numpy as np
import tensorflow as tf

from tfrec.serving.graph_call import Cost, GraphCall, session_config


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
