import keras
import numpy as np

from tfrec.layers.basic.draws import load_draws, save_draws


def test_state_goes_there_and_back():
    first, second = keras.random.SeedGenerator(1), keras.random.SeedGenerator(2)
    first.next()
    store = {"0": "a weight"}
    save_draws(first, store)
    assert load_draws(second, store) == {"0": "a weight"}
    np.testing.assert_array_equal(first.next(), second.next())


def test_no_generator_and_files_without_a_state():
    store = {"0": "a weight"}
    save_draws(None, store)
    assert store == {"0": "a weight"}
    generator = keras.random.SeedGenerator(1)
    assert load_draws(generator, store) == store
    save_draws(generator, store)
    assert load_draws(None, store) == {"0": "a weight"}
