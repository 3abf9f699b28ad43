"""Small SavedModels for the benchmarks of the server; a seed gives their weights."""

import numpy as np
import tensorflow as tf

UNITS, ROWS, HISTORY, IDS = 64, 1, 50, 10_000
ID_COLUMNS = ("user_id", "city", "device", "gender", "language", "channel", "hour")
NUMBERS = ("age", "sessions", "spent")


def weights(random, *shape):
    return tf.Variable(random.normal(size=shape, scale=0.1).astype(np.float32))


class Ranker(tf.Module):
    """Two dense layers: 64 numbers a row, one score."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(0)
        self.hidden = weights(random, UNITS, UNITS)
        self.bias = weights(random, UNITS)
        self.out = weights(random, UNITS, 1)

    @tf.function(input_signature=[tf.TensorSpec([None, UNITS], tf.float32, "x")])
    def rank(self, x):
        hidden = tf.nn.relu(tf.matmul(x, self.hidden) + self.bias)
        return {"score": tf.sigmoid(tf.matmul(hidden, self.out)[:, 0])}


class UserTower(tf.Module):
    """Eleven columns, a history of 50 among them, as ids and numbers; one vector."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(1)
        self.table = weights(random, IDS, 16)
        width = 16 * (len(ID_COLUMNS) + 1) + len(NUMBERS)
        self.hidden = weights(random, width, UNITS)
        self.out = weights(random, UNITS, 32)
        specs = [tf.TensorSpec([None], tf.int64, name) for name in ID_COLUMNS]
        specs += [tf.TensorSpec([None], tf.float32, name) for name in NUMBERS]
        specs.append(tf.TensorSpec([None, None], tf.int64, "history"))
        self.embed = tf.function(self._embed, input_signature=specs)

    def _embed(self, *columns):
        ids, numbers = columns[: len(ID_COLUMNS)], columns[len(ID_COLUMNS) : -1]
        vectors = tf.gather(self.table, tf.stack(ids, axis=1))
        vectors = tf.reshape(vectors, [-1, 16 * len(ID_COLUMNS)])
        history = columns[-1]
        seen = tf.cast(history > 0, tf.float32)[..., None]
        total = tf.reduce_sum(tf.gather(self.table, history) * seen, axis=1)
        mean = total / tf.maximum(tf.reduce_sum(seen, axis=1), 1.0)
        x = tf.concat([vectors, mean, tf.stack(numbers, axis=1)], axis=1)
        hidden = tf.nn.relu(tf.matmul(x, self.hidden))
        return {"user_embedding": tf.matmul(hidden, self.out)}


class Scale(tf.Module):
    """`y = weight * (a + b)`: the answer tells which weight gave it."""

    def __init__(self, weight):
        super().__init__()
        self.weight = tf.Variable(float(weight))
        self.ballast = tf.Variable(tf.ones([200_000]))  # so that a copy takes a while

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, "a"),
            tf.TensorSpec([None], tf.float32, "b"),
        ]
    )
    def scale(self, a, b):
        return {"y": self.weight * (a + b) * self.ballast[0]}


def save(module, method, folder):
    tf.saved_model.save(module, str(folder), signatures=getattr(module, method))


def request(name, inputs):
    """The bytes of a PredictRequest, as TensorFlow's own functions make it."""
    from tensorflow_serving.apis import predict_pb2

    message = predict_pb2.PredictRequest()
    message.model_spec.name = name
    for alias, value in inputs.items():
        message.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return message.SerializeToString()


def ranker_inputs(rows=ROWS):
    values = np.random.default_rng(2).normal(size=(rows, UNITS))
    return {"x": values.astype(np.float32)}


def user_inputs():
    random = np.random.default_rng(3)
    ids = {name: random.integers(1, IDS, 1) for name in ID_COLUMNS}
    numbers = {name: random.normal(size=1).astype(np.float32) for name in NUMBERS}
    return {**ids, **numbers, "history": random.integers(1, IDS, (1, HISTORY))}


def warm(folder, *requests):
    """Writes the requests as the warm-up file of a SavedModel."""
    from tensorflow_serving.apis import prediction_log_pb2

    extra = folder / "assets.extra"
    extra.mkdir()
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for data in requests:
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.ParseFromString(data)
            writer.write(log.SerializeToString())
