import keras
import numpy as np
import pytest

from tfrec.layers import Dropout
from tfrec.testing import check_layer
from tfrec.testing.layers import quiet_saving

X = np.ones((50, 40), "float32")


def test_matches_the_paper():
    y = np.asarray(Dropout(0.25, seed=1)(X, training=True))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(np.mean(y == 0) - 0.25) < 0.05
    assert abs(np.mean(y) - 1) < 0.05


def test_it_does_nothing_when_serving_or_at_rate_0():
    np.testing.assert_array_equal(Dropout(0.5)(X), X)
    np.testing.assert_array_equal(Dropout(0.0)(X, training=True), X)


def test_draws_differ_by_step_and_repeat_by_seed():
    first, second = Dropout(0.5, seed=3), Dropout(0.5, seed=3)
    one, two = first(X, training=True), first(X, training=True)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(second(X, training=True), one)
    np.testing.assert_array_equal(second(X, training=True), two)


def test_a_saved_model_goes_on_with_its_draws(tmp_path):
    inputs = keras.Input((40,))
    model = keras.Model(inputs, Dropout(0.5, seed=3)(inputs))
    model(X, training=True)
    with quiet_saving():
        model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(X, training=True), model(X, training=True))


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_contract(rate):
    check_layer(Dropout(rate, seed=1), X[:3])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"rate": 1},
            r"Dropout: `rate` must be a number in \[0, 1\). Received: rate=1",
        ),
        ({"rate": "0.5"}, r"`rate` must be a number in \[0, 1\)"),
        ({"rate": 0.5, "seed": 1.5}, "`seed` must be an int >= 0. Received: seed=1.5"),
        ({"rate": 0.5, "nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Dropout(**arguments)
