"""Two towers trained against the items of the batch (Yi et al., RecSys 2019)."""

import base64
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfrec import _checks
from tfrec.layers.retrieval.streaming_frequency import StreamingFrequency
from tfrec.losses.adaptive_mimic import AdaptiveMimic
from tfrec.losses.category_alignment import CategoryAlignment
from tfrec.models import two_tower_checks as checks
from tfrec.models.replicas import all_rows, share

MASKED = -1e9
# What a training or evaluation step puts beside the columns for `call`.
REWARD, WEIGHT = "tfrec>reward", "tfrec>weight"
# What `call` returns in such a step where the loss has more terms.
SCORES, TERMS = "scores", "terms"


@keras.saving.register_keras_serializable(package="tfrec")
class TwoTower(keras.Model):
    """User tower, item tower, and the batch's corrected score matrix.

    `s_ij = u_i . v_j / temperature - log q_j` for every column j, the row's own
    included (section 4, eq. 4; q_j is the chance that item j is drawn as
    someone's positive). A column with the same item as the row's own is an
    accidental hit and is masked; so is padding (id 0) and a row of sample weight
    0. Compile with `tfrec.losses.InBatchSoftmax`. `predict` returns each row's
    own `u . v`, which is what the exported towers give.

    DAT's terms (Yu et al., DLP-KDD 2021, eq. 9) join the compiled loss where asked
    for: `loss + l1 loss_u + l2 loss_v + l3 loss_CA`, `AdaptiveMimic` of the
    augmented vectors of positives (weighted by y and the sample weight, T the sum
    of sample weights) and `CategoryAlignment` of the batch's item vectors. Each is
    also a metric: `mimic_user`, `mimic_item`, `alignment`.

    Args:
        user_tower: functional keras.Model, list of named inputs -> `(batch, dim)`.
        item_tower: likewise, of the same width; may share layers with the other.
        item_id: str. Name of the column that says which item a row is about; its
            ids mark accidental hits and index `log_q`.
        temperature: number > 0.
        log_q: array `(rows of item_id's table,)`, log of the share of training
            rows by id; or a `StreamingFrequency`, which estimates it in training;
            or None: no correction.
        augmented: pair of tensors `(batch, dim)` in the towers' graphs, user's and
            item's augmented vectors, or None.
        mimic: pair of numbers >= 0, the weights l1 and l2 of the mimic losses.
        category: str, name of the column by whose ids the item vectors are aligned,
            or None.
        alignment: number >= 0, the weight l3.
        attention: a `LabelAwareAttention` for a user tower of several interests,
            `(batch, interests, dim)` and, where not all are alive, how many are,
            `(batch,)`. In the score matrix u_i is what it reads from the row's
            interests with the row's own item (MIND, eq. 10); `predict` takes the
            best live interest. None: the user tower gives one vector.

    Under `tf.distribute` the columns are the items of all replicas, so that loss
    and gradients are those of one device on the global batch (with a loss whose
    reduction is "mean_with_sample_weight", as `InBatchSoftmax` has it).

    Call arguments: a dict of columns; keys that no tower reads are ignored.
    Shapes: `(batch, batch)` float32 out; under `tf.distribute` `(rows of the
    replica, rows of all)`, the replica's own items first.
    Raises: `ValueError` on a bad argument or a missing column (by name);
    `TypeError` when a tower is not a keras.Model.
    """

    def __init__(
        self,
        user_tower,
        item_tower,
        *,
        item_id,
        temperature=0.05,
        log_q=None,
        augmented=None,
        mimic=(0.5, 0.5),
        category=None,
        alignment=1.0,
        attention=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _checks.string(self, item_id=item_id)
        _checks.number(self, above=0, temperature=temperature)
        checks.check_pair(self, user_tower=user_tower, item_tower=item_tower)
        if category is not None:
            _checks.string(self, category=category)
        _checks.number(self, 0, alignment=alignment)
        checks.check_mimic(self, mimic)
        self.frequency = log_q if isinstance(log_q, StreamingFrequency) else None
        log_q = None if self.frequency is not None else log_q
        if log_q is not None:
            log_q = np.asarray(log_q, np.float32)
            if log_q.ndim != 1 or len(log_q) < 2 or not np.isfinite(log_q).all():
                rule = "must be a vector of >= 2 finite numbers"
                raise _checks.argument(self, "log_q", rule, log_q)
        checks.check_attention(self, attention)
        checks.check_widths(self, user_tower, item_tower, attention)
        if attention is not None and augmented is not None:
            rule = "must be None with `attention`: they mimic a single vector"
            raise _checks.argument(self, "augmented", rule, augmented)
        augmented = checks.augmented_pair(self, augmented, user_tower, item_tower)
        self.user_tower = user_tower
        self.item_tower = item_tower
        # A tower and the augmented vectors in it: one pass gives both.
        self.parts = [
            keras.Model(
                tower.inputs, [tower.outputs[0], vector], name=f"{tower.name}_part"
            )
            for tower, vector in zip((user_tower, item_tower), augmented, strict=False)
        ]
        # Both towers in one graph: sharing of layers survives saving.
        self.towers = keras.Model(
            [*user_tower.inputs, *item_tower.inputs],
            [*user_tower.outputs, item_tower.outputs[0], *augmented],
            name="towers",
        )
        self.item_id = item_id
        self.temperature = float(temperature)
        self.mimic = tuple(float(weight) for weight in mimic)
        self.category = category
        self.alignment = float(alignment)
        self.attention = attention
        scales = {}
        if augmented:
            scales |= dict(zip(("mimic_user", "mimic_item"), self.mimic, strict=True))
        if category is not None:
            scales["alignment"] = self.alignment
        self.scales = tuple(scales.values())
        self.terms = [keras.metrics.Mean(name=name) for name in scales]
        self.num_items = None if log_q is None else len(log_q)
        if log_q is not None:
            self.log_q = self.add_weight(
                name="log_q",
                shape=(len(log_q),),
                initializer="zeros",
                trainable=False,
                autocast=False,
            )
            self.log_q.assign(log_q)
        if self.frequency is not None and not self.frequency.built:
            self.frequency.build((None,))
        self.built = True  # the towers have all weights already

    def _columns(self, inputs, tower):
        names = [tensor.name for tensor in tower.inputs]
        others = {self.item_id, self.category} - {None, *names}
        for name in (*names, *sorted(others)):
            if name not in inputs:
                rule = "must be one of the row's features"
                raise _checks.column(self, name, rule, _checks.quoted(inputs))
        return [inputs[name] for name in names]

    def _vectors(self, inputs, training):
        return (
            self.user_tower(self._columns(inputs, self.user_tower), training=training),
            self.item_tower(self._columns(inputs, self.item_tower), training=training),
        )

    def call(self, inputs, training=False):
        augmented = ()
        if self.parts:
            (users, own), (items, other) = (
                part(self._columns(inputs, part), training=training)
                for part in self.parts
            )
            augmented = (own, other)
        else:
            users, items = self._vectors(inputs, training)
        if self.attention is not None:
            interests, alive = _interests(users)
            users = self.attention([interests, items], mask=alive)
        users, items = ops.cast(users, "float32"), ops.cast(items, "float32")
        # MirroredStrategy builds a model on the mean of its batches: floats.
        ids = ops.cast(ops.reshape(inputs[self.item_id], (-1,)), "int64")
        weight = ops.cast(ops.not_equal(ids, 0), "float32")
        if WEIGHT in inputs:
            weight = weight * _numbers(inputs[WEIGHT])
        absent = ops.equal(weight, 0)
        # Columns are the items of all replicas; an absent row's id is padding.
        columns = all_rows(items)
        column_ids = all_rows(ops.where(absent, 0, ids))
        scores = ops.matmul(users, ops.transpose(columns)) / self.temperature
        if self.num_items is not None:
            known = (column_ids >= 0) & (column_ids < self.num_items)
            known = ops.where(known, column_ids, 1)
            scores = scores - tf.gather(self.log_q.value, known)[None, :]
        if self.frequency is not None:
            scores = scores - self.frequency(column_ids, training=training)[None, :]
        hits = ops.equal(ids[:, None], column_ids[None, :])
        hits = hits | ops.equal(column_ids, 0)[None, :]
        scores = ops.where(hits & ~_diagonal(scores), MASKED, scores)
        if WEIGHT not in inputs or not self.terms:
            return scores
        # Not by `add_loss`: its list is one for all replicas.
        terms = []
        if augmented:
            reward = weight * _numbers(inputs[REWARD])
            terms += _mimic_losses(augmented, (items, users), weight, reward)
        if self.category is not None:
            categories = ops.reshape(inputs[self.category], (-1,))
            categories = all_rows(ops.where(absent, 0, categories))
            terms.append(CategoryAlignment()(categories, columns))
        return {SCORES: scores, TERMS: terms}

    def train_step(self, data):
        return super().train_step(_with_labels(data))

    def test_step(self, data):
        return super().test_step(_with_labels(data))

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        y_pred, terms = _scores_and_terms(y_pred)
        weight = ops.cast(ops.not_equal(x[self.item_id], 0), "float32")
        weight = ops.reshape(weight, (-1,))
        if sample_weight is not None:
            weight = weight * _numbers(sample_weight)
        loss = super().compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=weight, training=training
        )
        if getattr(self.loss, "reduction", None) == "mean_with_sample_weight":
            loss = loss * share(weight)  # of all replicas' weights
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        for term, metric, scale in zip(terms, self.terms, self.scales, strict=False):
            metric.update_state(term)
            loss = loss + scale * term / replicas
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        scores, _ = _scores_and_terms(y_pred)
        return super().compute_metrics(x, y, scores, sample_weight)

    def predict_step(self, data):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        users, items = self._vectors(x, training=False)
        if self.attention is not None:
            return _best(*_interests(users), items)
        users, items = ops.cast(users, "float32"), ops.cast(items, "float32")
        return ops.sum(users * items, axis=1, keepdims=True)

    def get_config(self):
        return {
            "name": self.name,
            "towers": keras.saving.serialize_keras_object(self.towers),
            "user_inputs": [tensor.name for tensor in self.user_tower.inputs],
            "item_id": self.item_id,
            "temperature": self.temperature,
            "log_q": None if self.num_items is None else packed(self.log_q),
            "frequency": keras.saving.serialize_keras_object(self.frequency),
            "mimic": self.mimic,
            "category": self.category,
            "alignment": self.alignment,
            "attention": keras.saving.serialize_keras_object(self.attention),
            "user_outputs": len(self.user_tower.outputs),
            "tower_names": [self.user_tower.name, self.item_tower.name],
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        towers = keras.saving.deserialize_keras_object(
            config.pop("towers"), custom_objects=custom_objects
        )
        of_user = set(config.pop("user_inputs"))
        names = config.pop("tower_names")
        counted = config.pop("log_q")
        sides = [[], []]
        for tensor in towers.inputs:
            sides[tensor.name not in of_user].append(tensor)
        of_users = config.pop("user_outputs", 1)
        users, items, *augmented = (
            towers.outputs[0] if of_users == 1 else towers.outputs[:of_users],
            *towers.outputs[of_users:],
        )
        user_tower, item_tower = (
            keras.Model(inputs, output, name=name)
            for inputs, output, name in zip(sides, (users, items), names, strict=True)
        )
        attention = keras.saving.deserialize_keras_object(
            config.pop("attention", None), custom_objects=custom_objects
        )
        log_q = keras.saving.deserialize_keras_object(
            config.pop("frequency", None), custom_objects=custom_objects
        )
        if counted is not None:
            log_q = np.frombuffer(base64.b64decode(counted), "<f4")
        return cls(
            user_tower,
            item_tower,
            log_q=log_q,
            augmented=augmented or None,
            attention=attention,
            **config,
        )


def packed(log_q):
    """Numbers as text for `get_config`: float32, in base64."""
    return base64.b64encode(np.asarray(log_q, "<f4").tobytes()).decode()


def _with_labels(data):
    """A step's data, with rewards and sample weights among the columns."""
    x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
    if isinstance(x, Mapping) and y is not None:
        weights = ops.ones_like(y) if weight is None else weight
        x = {**x, REWARD: y, WEIGHT: weights}
    return x, y, weight


def _interests(users):
    """Vectors of a user tower of several interests and which of them are alive."""
    vectors, *count = users if isinstance(users, (list, tuple)) else [users]
    places = ops.arange(vectors.shape[1])[None, :]
    if not count:
        return vectors, ops.broadcast_to(places >= 0, ops.shape(vectors)[:2])
    return vectors, places < ops.cast(count[0], "int32")[:, None]


def _best(interests, alive, items):
    """`(batch, 1)`, each row's score: that of its best live interest."""
    interests, items = ops.cast(interests, "float32"), ops.cast(items, "float32")
    scores = ops.einsum("bkd,bd->bk", interests, items)
    scores = ops.where(alive, scores, -np.inf)
    return ops.max(scores, axis=1, keepdims=True, initial=-np.inf)


def _scores_and_terms(y_pred):
    """What `call` returned, in a step or elsewhere."""
    if isinstance(y_pred, dict):
        return y_pred[SCORES], y_pred[TERMS]
    return y_pred, []


def _mimic_losses(augmented, targets, weight, reward):
    """Of the user's and of the item's augmented vectors, over all replicas."""
    mimic, part = AdaptiveMimic(reduction="sum"), share(weight)
    return [
        part * ops.divide_no_nan(mimic(target, own, reward), ops.sum(weight))
        for own, target in zip(augmented, targets, strict=True)
    ]


def _numbers(values):
    """`(batch,)` float32."""
    return ops.reshape(ops.cast(values, "float32"), (-1,))


def _diagonal(scores):
    """True where a row meets its own column."""
    rows, columns = ops.shape(scores)[0], ops.shape(scores)[1]
    return ops.equal(ops.arange(rows)[:, None], ops.arange(columns)[None, :])
