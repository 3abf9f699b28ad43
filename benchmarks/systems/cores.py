"""What stands on the vectors, once, for the systems that are written by hand.

A core is `shapes(fields, dim, wide)` -> {name: shape} and `logit(p, e, x)`:
`p` its weights, `e` `(batch, fields, dim)` the vectors, `x` `(batch, n)` the
numbers that enter the deep part beside them, or None. The first-order part is the
caller's. All have an MLP of `HIDDEN`; the rest is the size that DeepCTR starts with.
"""

import itertools

import tensorflow as tf

HIDDEN = (256, 128, 64)
CROSSES = 2  # of full rank
FEATURE_MAPS = (128, 128)  # of the CIN, split in halves
ATTENTIONS, HEADS, HEAD_DIM = 3, 2, 8
REDUCTION = 3  # of SENet


def _mlp_shapes(width):
    shapes = {}
    for number, units in enumerate(HIDDEN):
        shapes |= {f"w{number}": (width, units), f"b{number}": (units,)}
        width = units
    return shapes


def _mlp(p, x):
    for number in range(len(HIDDEN)):
        x = tf.nn.relu(tf.matmul(x, p[f"w{number}"]) + p[f"b{number}"])
    return x


def _flat(e, x=None):
    e = tf.reshape(e, [-1, e.shape[1] * e.shape[2]])
    return e if x is None else tf.concat([e, x], axis=1)


class DeepFM:
    @staticmethod
    def shapes(fields, dim, wide):
        return {**_mlp_shapes(fields * dim + wide), "out": (HIDDEN[-1], 1)}

    @staticmethod
    def logit(p, e, x):
        total = tf.reduce_sum(e, axis=1)
        pairs = tf.square(total) - tf.reduce_sum(tf.square(e), axis=1)
        pairs = 0.5 * tf.reduce_sum(pairs, axis=1, keepdims=True)
        return pairs + tf.matmul(_mlp(p, _flat(e, x)), p["out"])


class DCN:
    @staticmethod
    def shapes(fields, dim, wide):
        width = fields * dim + wide
        crosses = {f"cross{k}": (width, width) for k in range(CROSSES)}
        biases = {f"bias{k}": (width,) for k in range(CROSSES)}
        out = (width + HIDDEN[-1], 1)
        return {**crosses, **biases, **_mlp_shapes(width), "out": out}

    @staticmethod
    def logit(p, e, x):
        start = crossed = _flat(e, x)
        for k in range(CROSSES):
            crossed += start * (tf.matmul(crossed, p[f"cross{k}"]) + p[f"bias{k}"])
        both = tf.concat([crossed, _mlp(p, start)], axis=1)
        return tf.matmul(both, p["out"])


class XDeepFM:
    @staticmethod
    def shapes(fields, dim, wide):
        shapes, last, width = {}, fields, 0
        for k, maps in enumerate(FEATURE_MAPS):
            shapes |= {f"maps{k}": (fields * last, maps), f"bias{k}": (maps,)}
            final = k == len(FEATURE_MAPS) - 1
            last = maps // 2
            width += maps if final else maps - last
        shapes |= _mlp_shapes(fields * dim + wide)
        return {**shapes, "out": (HIDDEN[-1], 1), "out_maps": (width, 1)}

    @staticmethod
    def logit(p, e, x):
        first = maps = tf.transpose(e, [0, 2, 1])  # (B, D, F)
        kept = []
        for k, count in enumerate(FEATURE_MAPS):
            pairs = first[:, :, :, None] * maps[:, :, None, :]
            width = first.shape[2] * maps.shape[2]
            pairs = tf.reshape(pairs, [-1, width])
            maps = tf.nn.relu(tf.matmul(pairs, p[f"maps{k}"]) + p[f"bias{k}"])
            maps = tf.reshape(maps, [-1, first.shape[1], count])
            if k < len(FEATURE_MAPS) - 1:
                maps, part = maps[:, :, : count // 2], maps[:, :, count // 2 :]
            else:
                part = maps
            kept.append(tf.reduce_sum(part, axis=1))
        crossed = tf.matmul(tf.concat(kept, axis=1), p["out_maps"])
        return crossed + tf.matmul(_mlp(p, _flat(e, x)), p["out"])


class AutoInt:
    @staticmethod
    def shapes(fields, dim, wide):
        shapes, width = {}, dim
        for k in range(ATTENTIONS):
            for name in ("query", "key", "value", "keep"):
                shapes[f"{name}{k}"] = (width, HEADS * HEAD_DIM)
            width = HEADS * HEAD_DIM
        shapes |= _mlp_shapes(fields * dim + wide)
        return {**shapes, "out": (HIDDEN[-1] + fields * width, 1)}

    @staticmethod
    def logit(p, e, x):
        h = e
        for k in range(ATTENTIONS):
            flat = tf.reshape(h, [-1, h.shape[2]])

            def split(name, k=k, flat=flat, fields=e.shape[1]):
                made = tf.matmul(flat, p[f"{name}{k}"])
                made = tf.reshape(made, [-1, fields, HEADS, HEAD_DIM])
                return tf.transpose(made, [0, 2, 1, 3])

            query, key, value = map(split, ("query", "key", "value"))
            share = tf.nn.softmax(tf.matmul(query, key, transpose_b=True))
            mixed = tf.transpose(tf.matmul(share, value), [0, 2, 1, 3])
            mixed = tf.reshape(mixed, [-1, e.shape[1], HEADS * HEAD_DIM])
            kept = tf.reshape(tf.matmul(flat, p[f"keep{k}"]), tf.shape(mixed))
            h = tf.nn.relu(mixed + kept)
        both = tf.concat([_flat(h), _mlp(p, _flat(e, x))], axis=1)
        return tf.matmul(both, p["out"])


class FiBiNET:
    @staticmethod
    def shapes(fields, dim, wide):
        pairs = fields * (fields - 1) // 2
        narrow = max(1, fields // REDUCTION)
        return {
            "squeeze": (fields, narrow),
            "excite": (narrow, fields),
            "bilinear": (pairs, dim, dim),
            "bilinear_gated": (pairs, dim, dim),
            **_mlp_shapes(2 * pairs * dim + wide),
            "out": (HIDDEN[-1], 1),
        }

    @staticmethod
    def logit(p, e, x):
        gate = tf.nn.relu(tf.matmul(tf.reduce_mean(e, axis=2), p["squeeze"]))
        gate = tf.nn.relu(tf.matmul(gate, p["excite"]))
        places = list(itertools.combinations(range(e.shape[1]), 2))
        left, right = ([pair[side] for pair in places] for side in (0, 1))
        found = []
        for vectors, name in (
            (e * gate[:, :, None], "bilinear_gated"),
            (e, "bilinear"),
        ):
            one = tf.gather(tf.transpose(vectors, [1, 0, 2]), left)  # (P, B, D)
            other = tf.gather(tf.transpose(vectors, [1, 0, 2]), right)
            found.append(tf.matmul(one, p[name]) * other)
        both = tf.transpose(tf.concat(found, axis=0), [1, 0, 2])
        return tf.matmul(_mlp(p, _flat(both, x)), p["out"])


CORES = {
    "deepfm": DeepFM,
    "dcn": DCN,
    "xdeepfm": XDeepFM,
    "autoint": AutoInt,
    "fibinet": FiBiNET,
}
