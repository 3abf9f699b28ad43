"""The hand-written limit: no framework around the step.

One table holds vector, first-order weight and optimizer state of a row side by
side. A step finds the rows of the batch, gathers them, runs everything on them in
one XLA function, and writes them back whole. The rows are padded to a multiple of
`BUCKET`, so that XLA compiles few shapes. Memory is managed as tfrec's optimizers
do it.
"""

import criteo_like
import numpy as np
import tensorflow as tf

from systems import cores
from tfrec import _memory

BUCKET = 2048
SLOTS = {"adagrad": 1, "adam": 2}
START = {"adagrad": 0.1, "adam": 0.0}
CHUNK = 1_000_000


class System:
    """See `training_worker`: a model to run on rows of the arrays."""

    def __init__(self, cell, arrays):
        tf.random.set_seed(cell["seed"])
        self.cell, self.random = cell, np.random.default_rng(cell["seed"])
        self.ids = np.ascontiguousarray(arrays["ids"].T)
        self.numbers = np.ascontiguousarray(arrays["numbers"].T)
        self.click = np.asarray(arrays["click"])[:, None]
        sizes = np.array(criteo_like.sizes(cell["vocabulary"])) + criteo_like.RESERVED
        self.offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
        self.rows, self.width = int(sizes.sum()), cell["dim"] + 1
        self.slots = SLOTS[cell["optimizer"]]
        self.core = cores.CORES[cell["model"]]
        self.table = self._table()
        self.dense = {
            name: tf.Variable(self._start(name, shape), name=name)
            for name, shape in self._shapes().items()
        }
        self.state = {
            name: [
                tf.Variable(tf.fill(weight.shape, START[cell["optimizer"]]))
                for _ in range(self.slots)
            ]
            for name, weight in self.dense.items()
        }
        self.step_number = tf.Variable(0.0)
        _memory.keep_freed()
        _memory.use_huge_pages([self.table])
        self.parameters = self.rows * self.width
        self.parameters += sum(int(np.prod(w.shape)) for w in self.dense.values())
        self._compile()

    def _shapes(self):
        dim, numbers = self.cell["dim"], len(criteo_like.NUMBERS)
        as_fields = self.cell["numbers"] == "fields"
        fields = len(criteo_like.VALUES) + numbers * as_fields
        shapes = self.core.shapes(fields, dim, 0 if as_fields else numbers)
        if as_fields:
            shapes["number_vectors"] = (numbers, dim)
        return {**shapes, "number_weights": (numbers, 1), "bias": (1,)}

    def _start(self, name, shape):
        if name == "number_weights" or len(shape) == 1:
            return np.zeros(shape, np.float32)
        limit = np.sqrt(6 / (shape[-2] + shape[-1]))
        if name == "number_vectors":
            limit = 0.05
        return self.random.uniform(-limit, limit, shape).astype(np.float32)

    def _table(self):
        record = self.width * (1 + self.slots)
        table = tf.Variable(tf.zeros([self.rows + 1, record]))  # and one to pad with
        for start in range(0, self.rows, CHUNK):
            stop = min(start + CHUNK, self.rows)
            part = np.full((stop - start, record), START[self.cell["optimizer"]])
            part = part.astype(np.float32)
            vectors = self.random.uniform(-0.05, 0.05, (stop - start, self.width - 1))
            part[:, : self.width - 1], part[:, self.width - 1] = vectors, 0
            table.scatter_update(tf.IndexedSlices(part, tf.range(start, stop)))
        return table

    def _compile(self):
        batch, fields = self.cell["batch"], len(criteo_like.VALUES)
        signature = [
            tf.TensorSpec([batch, fields], tf.int32),
            tf.TensorSpec([batch, len(criteo_like.NUMBERS)], tf.float32),
            tf.TensorSpec([batch, 1], tf.float32),
        ]
        core = tf.function(self._core, jit_compile=True)

        def step(ids, x, y):
            rows, place = tf.unique(tf.reshape(ids + self.offsets, [-1]))
            count = tf.size(rows)
            spare = -count % BUCKET
            padded = tf.pad(rows, [[0, spare]], constant_values=self.rows)
            records, loss = core(tf.gather(self.table, padded), place, x, y)
            self.table.scatter_update(tf.IndexedSlices(records[:count], rows))
            return loss

        def predict(ids, x):
            picked = tf.gather(self.table, ids + self.offsets)[:, :, : self.width]
            return self._logit(picked, x)

        self.step = tf.function(step, input_signature=signature)
        self.predict_step = tf.function(predict, reduce_retracing=True)

    def _logit(self, picked, x):
        e, first = picked[:, :, :-1], picked[:, :, -1]
        beside = x
        if self.cell["numbers"] == "fields":
            numbers = x[:, :, None] * self.dense["number_vectors"]
            e, beside = tf.concat([e, numbers], axis=1), None
        linear = tf.reduce_sum(first, axis=1, keepdims=True) + self.dense["bias"]
        linear += tf.matmul(x, self.dense["number_weights"])
        return linear + self.core.logit(self.dense, e, beside)

    def _core(self, records, place, x, y):
        parts = tf.split(records, 1 + self.slots, axis=1)
        weights = list(self.dense.values())
        with tf.GradientTape() as tape:
            tape.watch(parts[0])
            picked = tf.gather(parts[0], place)
            picked = tf.reshape(picked, [*y.shape[:1], -1, self.width])
            logit = self._logit(picked, x)
            loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logit)
            loss = tf.reduce_mean(loss)
        gradient, *gradients = tape.gradient(loss, [parts[0], *weights])
        self.step_number.assign_add(1.0)
        moved = self._moved(parts[0], tf.convert_to_tensor(gradient), parts[1:])
        for weight, g, state in zip(
            weights, gradients, self.state.values(), strict=True
        ):
            new, *new_state = self._moved(weight, g, state)
            weight.assign(new)
            for slot, value in zip(state, new_state, strict=True):
                slot.assign(value)
        return tf.concat(moved, axis=1), loss

    def _moved(self, w, g, state):
        """Weights and state after the step."""
        rate = self.cell["learning_rate"]
        if self.cell["optimizer"] == "adagrad":
            a = state[0] + tf.square(g)
            return w - rate * g / tf.sqrt(a + 1e-7), a
        m, v = 0.9 * state[0] + 0.1 * g, 0.999 * state[1] + 0.001 * tf.square(g)
        t = self.step_number
        rate = rate * tf.sqrt(1 - tf.pow(0.999, t)) / (1 - tf.pow(0.9, t))
        return w - rate * m / (tf.sqrt(v) + 1e-7), m, v

    def run(self, start, stop):
        batch = self.cell["batch"]
        for first in range(start, stop - batch + 1, batch):
            rows = slice(first, first + batch)
            loss = self.step(self.ids[rows], self.numbers[rows], self.click[rows])
        return float(loss)

    def predict(self, start, stop):
        found = [
            self.predict_step(self.ids[rows], self.numbers[rows]).numpy()
            for rows in (
                slice(k, min(k + 8192, stop)) for k in range(start, stop, 8192)
            )
        ]
        return np.concatenate(found)[:, 0]
