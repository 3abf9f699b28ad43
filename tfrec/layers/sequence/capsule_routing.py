"""Behaviour-to-interest routing of MIND (arXiv:1904.08030, section 3.3)."""

import keras
from keras import ops

from tfrec import _checks
from tfrec.layers.basic.masked_softmax import masked_softmax

SIGMA = 1.0  # of the routing logits' start; the paper finds 0.1 to 5 alike


@keras.saving.register_keras_serializable(package="tfrec")
class CapsuleRouting(keras.layers.Layer):
    """Clusters the behaviours of a history into a few interest capsules.

    `K' = max(1, min(K, floor(log2 n)))` of a row with n real steps (eq. 9), in
    integers; `e^_i = e_i S`, one S for all pairs; `b_ij ~ N(0, 1)`. Each round:
    `w_ij = softmax over j < K' of b_ij`, `z_j = sum_i w_ij e^_i`, `u_j = squash(z_j)`
    with `squash(z) = |z|^2 / (1 + |z|^2) z / |z|`, `b_ij += u_j . e^_i` (Algorithm
    1). Gradients run through the last round's z alone.

    Differs: the b_ij of the start are drawn once, stored with the weights and never
    trained, so that a request has one answer. A step has the row of b of its rank
    among the row's real steps, so that it does not matter where padding stands.
    log2 is rounded down, which the paper leaves open.

    Args:
        num_interests: int >= 1. K.
        units: int >= 1. Width of a capsule.
        max_length: int >= 1. Of a longer history the newest steps count, that is
            the last ones.
        num_rounds: int >= 1.
        seed: int >= 0 or None.

    Call arguments:
        inputs: `(batch, time, dim)` float, oldest step first.
        mask: `(batch, time)` bool, True = real; None: all are.

    Shapes: capsules `(batch, num_interests, units)` and K' `(batch,)` int32 out;
    capsules from K' on are zero. Routing runs in float32. Masks: as said; what
    stands at masked steps does not matter, NaN included; without a real step all
    capsules are zero and K' is 1.
    Raises: `ValueError` on a bad argument, an input that is not rank 3 or a mask
    that is not rank 2.

    >>> layer = CapsuleRouting(num_interests=3, units=4, max_length=8)
    >>> capsules, alive = layer(ops.ones((2, 5, 6)))
    >>> capsules.shape, alive.numpy().tolist()
    (TensorShape([2, 3, 4]), [2, 2])
    """

    def __init__(
        self,
        num_interests=4,
        units=64,
        max_length=50,
        num_rounds=3,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _checks.positive_int(
            self,
            num_interests=num_interests,
            units=units,
            max_length=max_length,
            num_rounds=num_rounds,
        )
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.num_interests = int(num_interests)
        self.units = int(units)
        self.max_length = int(max_length)
        self.num_rounds = int(num_rounds)
        self.seed = seed if seed is None else int(seed)
        self.supports_masking = True

    def compute_mask(self, inputs, mask=None):
        return None  # interests, not steps

    def build(self, input_shape):
        _checks.shape(self, inputs=(input_shape, "batch, time, dim"))
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[2], self.units),
            initializer=keras.initializers.GlorotUniform(seed=self.seed),
        )
        other = None if self.seed is None else self.seed + 1
        self.logits = self.add_weight(
            name="logits",
            shape=(self.max_length, self.num_interests),
            initializer=keras.initializers.RandomNormal(stddev=SIGMA, seed=other),
            trainable=False,
            autocast=False,
        )

    def call(self, inputs, mask=None):
        if mask is None:
            mask = ops.ones(ops.shape(inputs)[:2], "bool")
        _checks.shape(self, mask=(mask.shape, "batch, time"))
        mask, rank = self._newest(ops.cast(mask, "int32"))
        live, alive = self._live(ops.sum(ops.cast(mask, "int32"), axis=1))
        x = ops.where(mask[:, :, None], inputs, ops.zeros_like(inputs))
        votes = ops.cast(ops.matmul(x, self.kernel), "float32")  # e^ (B, T, d)
        still = ops.stop_gradient(votes)
        logits = ops.take(self.logits, rank, axis=0)  # b (B, T, K)
        real = mask[:, :, None]
        for left in reversed(range(self.num_rounds)):
            weights = masked_softmax(logits, live & real)
            z = ops.einsum("btk,btd->bkd", weights, still if left else votes)
            capsules = squash(z)
            if left:
                logits = logits + ops.einsum("bkd,btd->btk", capsules, still)
        # Dead interests have no share of any step, so they are zero already.
        return ops.cast(capsules, inputs.dtype), alive

    def _newest(self, mask):
        """Which steps count, and their rank among those: int in, bool and int out."""
        rank = ops.cumsum(mask, axis=1) - 1
        rank = rank - ops.maximum(
            ops.sum(mask, axis=1, keepdims=True) - self.max_length, 0
        )
        kept = ops.cast(mask, "bool") & (rank >= 0)
        return kept, ops.clip(rank, 0, self.max_length - 1)

    def _live(self, steps):
        """`(batch, 1, K)` True where an interest is alive, and K' `(batch,)`."""
        # 2^m <= n in integers: a float log2 is wrong at exact powers of two.
        powers = [2**m for m in range(1, min(self.num_interests, 30) + 1)]
        reached = steps[:, None] >= ops.convert_to_tensor(powers, "int32")
        alive = ops.maximum(ops.sum(ops.cast(reached, "int32"), axis=1), 1)
        places = ops.arange(self.num_interests, dtype="int32")
        return (places[None, :] < alive[:, None])[:, None, :], alive

    def compute_output_spec(self, inputs, mask=None):
        shape = (inputs.shape[0], self.num_interests, self.units)
        return (
            keras.KerasTensor(shape, self.compute_dtype),
            keras.KerasTensor((inputs.shape[0],), "int32"),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "num_interests": self.num_interests,
            "units": self.units,
            "max_length": self.max_length,
            "num_rounds": self.num_rounds,
            "seed": self.seed,
        }


def squash(z):
    """`|z|^2 / (1 + |z|^2) z / |z|` over the last axis; 0 of 0 (section 3.3, eq. 4).

    >>> [round(float(x), 4) for x in squash(ops.array([3.0, 4.0]))]
    [0.5769, 0.7692]
    """
    square = ops.sum(ops.square(z), axis=-1, keepdims=True)
    # The floor keeps the gradient finite at 0, where sqrt has none.
    return z * ops.sqrt(ops.maximum(square, 1e-12)) / (1.0 + square)
