"""The simulation of streaming frequency estimation (Yi et al., RecSys 2019)."""

import numpy as np
import tensorflow as tf

from tfrec import _checks
from tfrec.layers import StreamingFrequency

ITEMS, BATCH = 1000, 128


def frequency_simulation(
    *,
    learning_rate=0.01,
    num_hashes=1,
    num_buckets=5000,
    steps=20_000,
    switch=10_000,
    every=250,
    seed=0,
):
    """Errors of a `StreamingFrequency` on a stream whose popularity turns round.

    1,000 items i = 0, 1, ...; a step draws 128 different ones, one after the other
    with `q_i ~ i^2`, after step `switch` with `q_i ~ (999 - i)^2`. The error is
    `1 / (2 128) sum_i |p^_i - 128 q_i|` (section 6.1).

    Args:
        learning_rate, num_hashes: as in `StreamingFrequency`.
        num_buckets: int. Of all hashes together.
        steps, switch, every: ints >= 1, in steps; the error is taken each `every`.
        seed: int >= 0, of the stream.

    Returns: (steps, errors), two arrays.
    Raises: `ValueError` on a bad argument.

    >>> steps, errors = frequency_simulation(steps=2, switch=9, every=1)
    >>> steps.tolist(), errors.round(1).tolist()
    ([0, 1, 2], [0.5, 0.5, 0.5])
    """
    owner = "frequency_simulation"
    _checks.positive_int(
        owner, num_hashes=num_hashes, steps=steps, switch=switch, every=every
    )
    _checks.integer(owner, num_hashes, num_buckets=num_buckets)
    _checks.integer(owner, seed=seed)
    layer = StreamingFrequency(
        num_buckets // num_hashes, num_hashes, learning_rate, initial_gap=100.0
    )
    random = np.random.default_rng(seed)
    # Ids all over the place: hashes of consecutive ones would hardly collide.
    ids = 1 + random.choice(2**31 - 2, ITEMS, replace=False)
    layer(ids)

    @tf.function
    def learn(batches):
        for batch in batches:
            layer(batch, training=True)

    rising = np.arange(ITEMS) ** 2 / np.sum(np.arange(ITEMS) ** 2)
    at, errors = [], []
    for start in range(0, steps + 1, every):
        q = rising if start <= switch else rising[::-1]
        estimate = np.exp(layer(ids))
        at.append(start)
        errors.append(np.abs(estimate - BATCH * q).sum() / (2 * BATCH))
        count = min(every, steps - start)
        if count:
            after = np.arange(start, start + count) >= switch
            q = np.where(after[:, None], rising[::-1], rising)
            learn(ids[_draws(random, q)])
    return np.array(at), np.array(errors)


def _draws(random, q):
    """BATCH different items a row, drawn one after the other by `q`."""
    # The first of exponential clocks of rate q to ring: successive sampling.
    clocks = random.exponential(size=q.shape) / np.maximum(q, 1e-300)
    return np.argpartition(clocks, BATCH, axis=1)[:, :BATCH]
