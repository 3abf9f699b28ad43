import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers import StreamingFrequency
from tfrec.layers.retrieval.streaming_frequency import PRIME, SPAN, _factors
from tfrec.testing import check_layer
from tfrec.testing.layers import quiet_saving

RANDOM = np.random.default_rng(0)


class ByHand:
    """Algorithms 2 and 3 in loops, exact integers and float64."""

    def __init__(self, buckets, hashes, rate, start, sequential):
        self.a = np.zeros((hashes, buckets))
        self.b = np.full((hashes, buckets), float(start))
        self.rate, self.sequential, self.step = rate, sequential, 0

    def places(self, item):
        for k, row in enumerate(self.b):
            a, b = _factors(k)
            yield k, (a * (int(item) % SPAN) + b) % PRIME % len(row)

    def train(self, items):
        self.step += 1
        hits = [place for item in items if item for place in self.places(item)]
        for k, b in hits if self.sequential else set(hits):
            gap = self.step - self.a[k, b]
            self.b[k, b] = (1 - self.rate) * self.b[k, b] + self.rate * gap
            self.a[k, b] = self.step

    def log_p(self, items):
        gaps = np.array([max(self.b[place] for place in self.places(i)) for i in items])
        return -np.log(gaps if self.sequential else np.maximum(gaps, 1))


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("hashes", [1, 3])
def test_matches_the_paper(hashes, sequential):
    """Few buckets: many ids share one."""
    options = (7, hashes, 0.2, 5.0, sequential)
    layer, wanted = StreamingFrequency(*options), ByHand(*options)
    for _ in range(12):
        ids = RANDOM.integers(0, 30, 10)
        found = layer(ids.astype("int32"), training=True)
        wanted.train(ids)
        np.testing.assert_allclose(found, wanted.log_p(ids), atol=1e-5)
    ids = np.arange(100)
    np.testing.assert_allclose(layer(ids), wanted.log_p(ids), atol=1e-5)


def test_hashes_are_exact_and_differ():
    layer = StreamingFrequency(1000, 4)
    layer.build((None,))
    ids = np.array([1, 2, SPAN - 1, 2**31 + 5, 2**62 + 11])
    found = layer._buckets(tf.constant(ids)).numpy()
    for k in range(4):
        a, b = _factors(k)
        wanted = [(a * (int(i) % SPAN) + b) % PRIME % 1000 for i in ids]
        assert (found[:, k] - 1000 * k).tolist() == wanted
        assert 1 <= a < 2**32 and a * (SPAN - 1) + b < 2**63
    assert len({_factors(k) for k in range(4)}) == 4
    spread = layer._buckets(tf.range(20_000, dtype=tf.int64)).numpy() % 1000
    for k in range(4):  # 20 ids a bucket on average
        counts = np.bincount(spread[:, k], minlength=1000)
        assert counts.max() < 60 and np.std(counts) < 10
    pairs = np.corrcoef(spread.T)[np.triu_indices(4, 1)]
    assert np.abs(pairs).max() < 0.05


@pytest.mark.parametrize("sequential, first", [(False, 90.3), (True, 81.27)])
def test_a_bucket_hit_twice_in_a_batch(sequential, first):
    layer = StreamingFrequency(50, 1, 0.1, 100.0, sequential)
    none = np.zeros(2, "int32")
    for ids in (none, none, np.array([7, 7])):
        found = layer(ids, training=True)
    np.testing.assert_allclose(np.exp(-found.numpy()), first, rtol=1e-5)
    for ids in (none, none, none, none, np.array([7])):
        found = layer(ids, training=True)
    np.testing.assert_allclose(np.exp(-found.numpy()), 0.9 * first + 0.5, rtol=1e-5)


def test_an_id_of_every_seventh_batch():
    """E[B_n] - delta = (1 - lr)^n (B_0 - delta) (section 5)."""
    layer = StreamingFrequency(50, 1, 0.05, 100.0)
    step = tf.function(lambda ids: layer(ids, training=True))
    for n in range(1, 41):
        for _ in range(6):
            step(tf.constant([0]))
        gap = np.exp(-step(tf.constant([3])).numpy())
        np.testing.assert_allclose(gap, 7 + 0.95**n * (100 - 7), rtol=1e-4)


def test_the_largest_gap_of_all_hashes_is_taken():
    many, alone = StreamingFrequency(9, 3, 0.1), []
    for ids in RANDOM.integers(1, 40, (30, 8)):
        many(ids, training=True)
    ids = np.arange(1, 40)
    for k in range(3):
        place = many._buckets(tf.constant(ids)).numpy()[:, k]
        alone.append(many.gap.numpy()[place])
    np.testing.assert_allclose(np.exp(-many(ids)), np.max(alone, axis=0), rtol=1e-5)
    assert (np.max(alone, axis=0) > alone[0]).any()


def test_nothing_changes_at_inference_or_for_padding():
    layer = StreamingFrequency(20, 2)
    layer(np.array([3, 4]), training=True)
    before = [weight.numpy() for weight in layer.weights]
    layer(np.array([3, 9, 9]))
    for weight, old in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    layer(np.zeros(5, "int32"), training=True)
    np.testing.assert_array_equal(layer.gap, before[1])
    assert int(layer.step) == 2  # a batch of padding is a step all the same


def test_a_saved_layer_goes_on_where_it_stopped(tmp_path):
    inputs = keras.Input((), dtype="int32")
    layer = StreamingFrequency(30, 2, 0.1)
    model = keras.Model(inputs, layer(inputs))
    batches = RANDOM.integers(1, 50, (20, 8))
    for ids in batches[:10]:
        model(ids, training=True)
    with quiet_saving():
        model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for ids in batches[10:]:
        found = [m(ids, training=True) for m in (model, loaded)]
        np.testing.assert_array_equal(*found)
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not model.trainable_weights and len(model.weights) == 3


def test_contract():
    ids = np.array([1, 5, 5, 0, 2_000_000_000], "int32")
    check_layer(StreamingFrequency(40, 2, sequential=True), ids)


def drawn(random, weights, steps, size):
    """Distinct items of each step, drawn one after another without replacement."""
    with np.errstate(divide="ignore"):
        keys = np.log(weights) + random.gumbel(size=(steps, len(weights)))
    return np.argpartition(-keys, size, axis=1)[:, :size]


# The sheet's table: the error at a plateau, and so many steps after the switch.
BANDS = {
    (0.05, 1, 5000): {0: 0.141, 500: 0.243, 2000: 0.179, 5000: 0.157},
    (0.01, 1, 5000): {0: 0.114, 500: 0.542, 2000: 0.209, 5000: 0.135},
    (0.01, 2, 2500): {0: 0.065, 500: 0.530, 2000: 0.158, 5000: 0.084},
    (0.01, 4, 1250): {0: 0.048, 500: 0.509, 2000: 0.127, 5000: 0.057},
}


@pytest.mark.slow
def test_the_simulation_of_the_paper():
    """Section 6.1: the popularity of 1000 items is turned around in mid-stream."""
    items, size, switch = 1000, 128, 5000
    squares = np.arange(items, dtype=float) ** 2
    shares = [w / w.sum() for w in (squares, squares[::-1])]
    random = np.random.default_rng(0)
    steps = np.concatenate([drawn(random, q, switch, size) for q in shares])
    # Ids at random: those in a row meet too seldom in a bucket.
    ids = 1 + random.permutation(2**20)[:items]
    steps = tf.constant(ids[steps])
    layers = {
        key: StreamingFrequency(key[2], key[1], key[0], initial_gap=100.0)
        for key in BANDS
    }
    for layer in layers.values():
        layer.build((None,))

    @tf.function
    def run(start, end):
        for t in tf.range(start, end):
            for layer in layers.values():
                layer(steps[t], training=True)

    errors, start = {key: {} for key in BANDS}, 0
    for after in (0, 500, 2000, 5000):
        run(start, switch + after)
        start = switch + after
        target = size * shares[after > 0]
        for key, layer in layers.items():
            p = np.exp(layer(ids))
            errors[key][after] = np.abs(p - target).sum() / (2 * size)
    for key, wanted in BANDS.items():
        found = errors[key]
        np.testing.assert_allclose(
            list(found.values()), list(wanted.values()), atol=0.03
        )
    slow, fast = errors[0.01, 1, 5000], errors[0.05, 1, 5000]
    assert fast[500] < slow[500] and fast[0] > slow[0]
    assert errors[0.01, 4, 1250][0] < errors[0.01, 2, 2500][0] < slow[0]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_buckets": 0}, "`num_buckets` must be an int >= 1"),
        ({"num_hashes": 0}, "StreamingFrequency: `num_hashes` must be an int >= 1"),
        ({"learning_rate": 1}, r"`learning_rate` must be a number in \[0, 1\)"),
        ({"learning_rate": 0}, "`learning_rate` must be a number > 0"),
        ({"initial_gap": 0}, "`initial_gap` must be a number > 0"),
        ({"sequential": 1}, "`sequential` must be True or False"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        StreamingFrequency(**{"num_buckets": 9, **arguments})


def test_bad_inputs():
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(batch\)"):
        StreamingFrequency(9)(np.ones((2, 3), "int32"))
