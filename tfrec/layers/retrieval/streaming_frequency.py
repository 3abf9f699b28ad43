"""Streaming frequency estimation (Yi et al., RecSys 2019, algorithms 2 and 3)."""

import hashlib

import keras
import tensorflow as tf

from tfrec import _checks

# A prime > 2^32. Ids are taken modulo SPAN first, so that no product overflows.
PRIME = 2**32 + 15
SPAN = 2**31 - 1


@keras.saving.register_keras_serializable(package="tfrec")
class StreamingFrequency(keras.layers.Layer):
    """Log of how often each id is met, estimated from the stream of batches.

    At training step t, for each id y of the batch and each hash k, with
    `b = h_k(y)`: `B[k,b] <- (1 - lr) B[k,b] + lr (t - A[k,b])`, `A[k,b] <- t`
    (algorithm 2). `p(y) = min(1, 1 / max_k B[k, h_k(y)])` (algorithm 3: several ids
    in a bucket make its gaps short, so the largest B is the best). Out comes log p.
    In training the batch is counted first and then looked up; at inference nothing
    changes. A, B and t are weights that are not trained: they are saved, and a
    loaded layer goes on where it stopped. Id 0 (padding) is not counted.

    Differs: a bucket is updated once a step however many rows fall into it; p is
    then the chance that an id is in a batch. `sequential` is the paper's loop: each
    further row of the step sees a gap of 0, and p is the rows per batch, which may
    be more than 1. The two agree for ids that are rare in a batch; where many rows
    of a batch have the same id, in-batch softmax wants `sequential`.

    Args:
        num_buckets: int >= 1 for each hash; 4 times the number of ids or more.
        num_hashes: int >= 1.
        learning_rate: number in (0, 1).
        initial_gap: number > 0, in steps. Start of B.
        sequential: bool.

    Shapes: `(batch,)` int ids in, `(batch,)` float32 out.
    Raises: `ValueError` on a bad argument or an input that is not rank 1.

    >>> frequency = StreamingFrequency(100, learning_rate=0.5, initial_gap=1)
    >>> for _ in range(20):
    ...     found = frequency(np.array([7, 8]), training=True)  # in every batch
    >>> np.exp(found).round(3).tolist()
    [1.0, 1.0]
    """

    def __init__(
        self,
        num_buckets,
        num_hashes=1,
        learning_rate=0.01,
        initial_gap=100.0,
        sequential=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _checks.positive_int(self, num_buckets=num_buckets, num_hashes=num_hashes)
        _checks.rate(self, learning_rate=learning_rate)
        _checks.number(self, above=0, learning_rate=learning_rate)
        _checks.number(self, above=0, initial_gap=initial_gap)
        _checks.boolean(self, sequential=sequential)
        self.num_buckets = int(num_buckets)
        self.num_hashes = int(num_hashes)
        self.learning_rate = float(learning_rate)
        self.initial_gap = float(initial_gap)
        self.sequential = sequential
        self.supports_jit = False

    def build(self, input_shape):
        _checks.shape(self, inputs=(input_shape, "batch"))
        size = self.num_hashes * self.num_buckets
        options = {"trainable": False, "autocast": False}
        self.last_step = self.add_weight(
            name="last_step",
            shape=(size,),
            dtype="int64",
            initializer="zeros",
            **options,
        )
        self.gap = self.add_weight(
            name="gap",
            shape=(size,),
            dtype="float32",
            initializer=keras.initializers.Constant(self.initial_gap),
            **options,
        )
        self.step = self.add_weight(
            name="step", shape=(), dtype="int64", initializer="zeros", **options
        )

    def call(self, inputs, training=False):
        # tf on the variables reads and writes the batch's buckets, no whole array.
        ids = tf.cast(inputs, tf.int64)
        buckets = self._buckets(ids)
        if training:
            self._count(tf.boolean_mask(buckets, ids != 0))
        gap = tf.gather(self.gap.value, buckets)
        gap = tf.reduce_max(gap, axis=1)
        return -tf.math.log(gap if self.sequential else tf.maximum(gap, 1.0))

    def _buckets(self, ids):
        """`(batch, num_hashes)`: places in the flat arrays, by universal hashing."""
        ids = tf.math.floormod(ids, SPAN)
        places = [
            (ids * a + b) % PRIME % self.num_buckets + k * self.num_buckets
            for k, (a, b) in enumerate(map(_factors, range(self.num_hashes)))
        ]
        return tf.stack(places, axis=1)

    def _count(self, buckets):
        step = self.step.value.assign_add(1, read_value=False)
        with tf.control_dependencies([] if step is None else [step]):
            now = tf.identity(self.step.value)
        hit, _, times = tf.unique_with_counts(tf.reshape(buckets, (-1,)))
        kept = 1.0 - self.learning_rate
        seen = tf.cast(now - tf.gather(self.last_step.value, hit), tf.float32)
        gap = kept * tf.gather(self.gap.value, hit) + self.learning_rate * seen
        if self.sequential:
            gap *= tf.pow(kept, tf.cast(times - 1, tf.float32))
        self.gap.value.scatter_update(tf.IndexedSlices(gap, hit))
        now = tf.broadcast_to(now, tf.shape(hit))
        self.last_step.value.scatter_update(tf.IndexedSlices(now, hit))

    def compute_output_spec(self, inputs, training=False):
        return keras.KerasTensor(inputs.shape, "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "num_buckets": self.num_buckets,
            "num_hashes": self.num_hashes,
            "learning_rate": self.learning_rate,
            "initial_gap": self.initial_gap,
            "sequential": self.sequential,
        }


def _factors(k):
    """a in [1, 2^32) and b in [0, PRIME) of hash k, the same on every machine."""
    digest = hashlib.sha256(f"tfrec streaming frequency {k}".encode()).digest()
    a = int.from_bytes(digest[:8], "big") % (2**32 - 1) + 1
    return a, int.from_bytes(digest[8:16], "big") % PRIME
