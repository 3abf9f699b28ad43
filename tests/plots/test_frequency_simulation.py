import numpy as np
import pytest

from tfrec.plots import frequency_simulation
from tfrec.plots.frequency_simulation import _draws


def test_before_the_first_step_all_are_at_the_initial_gap():
    q = np.arange(1000) ** 2 / np.sum(np.arange(1000) ** 2)
    wanted = np.abs(0.01 - 128 * q).sum() / 256  # 1 / initial_gap
    steps, errors = frequency_simulation(steps=1, switch=9, every=1)
    np.testing.assert_allclose(errors[0], wanted, rtol=1e-5)
    assert steps.tolist() == [0, 1] and errors[1] < errors[0]


def test_draws_are_successive_samples():
    random = np.random.default_rng(0)
    q = np.repeat(np.arange(200.0)[None] ** 2, 300, axis=0)
    found = _draws(random, q)
    assert found.shape == (300, 128)
    assert all(len(set(row)) == 128 for row in found)
    often = np.bincount(found.ravel(), minlength=200)
    assert often[0] < 30 and often[150:].min() > 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "rate, hashes, wanted",
    [(0.05, 1, 0.143), (0.01, 1, 0.176), (0.01, 4, 0.123)],
)
def test_reproduces_the_published_simulation(rate, hashes, wanted):
    """Reference: uniformly random hash tables, mean of 5 seeds at step 2,001."""
    options = {"learning_rate": rate, "num_hashes": hashes}
    _, errors = frequency_simulation(steps=2000, every=2000, **options)
    assert abs(errors[-1] - wanted) < 0.03


@pytest.mark.slow
def test_the_error_jumps_where_popularity_turns_round():
    steps, errors = frequency_simulation(
        learning_rate=0.05, steps=1200, switch=600, every=100
    )
    before, after = errors[steps == 600][0], errors[steps == 700][0]
    assert after > before + 0.1 and errors[-1] < after


def test_bad_arguments():
    with pytest.raises(ValueError, match="`num_buckets` must be an int >= 4"):
        frequency_simulation(num_hashes=4, num_buckets=3)
    with pytest.raises(
        ValueError, match="frequency_simulation: `every` must be an int"
    ):
        frequency_simulation(every=0)
