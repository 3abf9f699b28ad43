import numpy as np

from tfrec.layers.basic.stacked_glorot import stacked_glorot


def test_each_matrix_of_a_stack_starts_as_if_alone():
    stack = np.asarray(stacked_glorot(16, 32, seed=1)((200, 16, 32)))
    wanted = np.sqrt(2 / (16 + 32))  # the standard deviation of a Glorot start
    np.testing.assert_allclose(stack.std(axis=(1, 2)), wanted, rtol=0.15)
    assert np.abs(stack).max() <= np.sqrt(6 / (16 + 32))


def test_two_matrices_and_two_weights_differ():
    stack = np.asarray(stacked_glorot(4, 4, seed=1)((2, 4, 4)))
    assert np.abs(stack[0] - stack[1]).max() > 0.1
    one, two = (np.asarray(stacked_glorot(4, 4)((4, 4))) for _ in range(2))
    assert np.abs(one - two).max() > 0.1
