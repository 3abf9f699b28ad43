"""Two towers trained against the items of the batch (Yi et al., RecSys 2019)."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfrec import _checks

MASKED = -1e9


@keras.saving.register_keras_serializable(package="tfrec")
class TwoTower(keras.Model):
    """User tower, item tower, and the batch's corrected score matrix.

    `s_ij = u_i . v_j / temperature - log q_j` for every column j, the row's own
    included (section 4, eq. 4; q_j is the chance that item j is drawn as
    someone's positive). A column with the same item as the row's own is an
    accidental hit and is masked; so is padding (id 0) and a row of sample weight
    0. Compile with `tfrec.losses.InBatchSoftmax`. `predict` returns each row's
    own `u . v`, which is what the exported towers give.

    Args:
        user_tower: functional keras.Model, list of named inputs -> `(batch, dim)`.
        item_tower: likewise, of the same width; may share layers with the other.
        item_id: str. Name of the column that says which item a row is about; its
            ids mark accidental hits and index `log_q`.
        temperature: number > 0.
        log_q: array `(rows of item_id's table,)`, log of the share of training
            rows by id, or None: no correction.

    Under `tf.distribute` each replica has its own part of the batch: the
    negatives of a row are the other items of its replica.

    Call arguments: a dict of columns; keys that no tower reads are ignored.
    Shapes: `(batch, batch)` float32 out.
    Raises: `ValueError` on a bad argument or a missing column (by name);
    `TypeError` when a tower is not a keras.Model.
    """

    def __init__(
        self, user_tower, item_tower, *, item_id, temperature=0.05, log_q=None, **kwargs
    ):
        super().__init__(**kwargs)
        _checks.string(self, item_id=item_id)
        _checks.number(self, above=0, temperature=temperature)
        _check_towers(self, user_tower=user_tower, item_tower=item_tower)
        if log_q is not None:
            log_q = np.asarray(log_q, np.float32)
            if log_q.ndim != 1 or len(log_q) < 2 or not np.isfinite(log_q).all():
                rule = "must be a vector of >= 2 finite numbers"
                raise _checks.argument(self, "log_q", rule, log_q)
        widths = (user_tower.output_shape, item_tower.output_shape)
        if len(widths[0]) != 2 or widths[0] != widths[1]:
            rule = "must both end in (batch, dim) of one width"
            raise _checks.argument(self, "towers", rule, widths)
        self.user_tower = user_tower
        self.item_tower = item_tower
        # Both towers in one graph: sharing of layers survives saving.
        self.towers = keras.Model(
            [*user_tower.inputs, *item_tower.inputs],
            [user_tower.outputs[0], item_tower.outputs[0]],
            name="towers",
        )
        self.item_id = item_id
        self.temperature = float(temperature)
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
        self.built = True  # the towers have all weights already

    def _columns(self, inputs, tower):
        names = [tensor.name for tensor in tower.inputs]
        for name in (*names, self.item_id):
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
        users, items = self._vectors(inputs, training)
        users, items = ops.cast(users, "float32"), ops.cast(items, "float32")
        scores = ops.matmul(users, ops.transpose(items)) / self.temperature
        # MirroredStrategy builds a model on the mean of its batches: floats.
        ids = ops.cast(ops.reshape(inputs[self.item_id], (-1,)), "int64")
        if self.num_items is not None:
            known = ops.where((ids >= 0) & (ids < self.num_items), ids, 1)
            scores = scores - tf.gather(self.log_q.value, known)[None, :]
        same = ops.equal(ids[:, None], ids[None, :]) | ops.equal(ids, 0)[None, :]
        return ops.where(same & ~_diagonal(scores), MASKED, scores)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        weight = ops.cast(ops.not_equal(x[self.item_id], 0), "float32")
        weight = ops.reshape(weight, (-1,))
        if sample_weight is not None:
            weight = weight * ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
            absent = ops.equal(weight, 0)[None, :] & ~_diagonal(y_pred)
            y_pred = ops.where(absent, MASKED, y_pred)
        return super().compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=weight, training=training
        )

    def predict_step(self, data):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        users, items = self._vectors(x, training=False)
        users, items = ops.cast(users, "float32"), ops.cast(items, "float32")
        return ops.sum(users * items, axis=1, keepdims=True)

    def get_config(self):
        return {
            "name": self.name,
            "towers": keras.saving.serialize_keras_object(self.towers),
            "user_inputs": [tensor.name for tensor in self.user_tower.inputs],
            "item_id": self.item_id,
            "temperature": self.temperature,
            "num_items": self.num_items,
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
        rows = config.pop("num_items")
        sides = [[], []]
        for tensor in towers.inputs:
            sides[tensor.name not in of_user].append(tensor)
        user_tower, item_tower = (
            keras.Model(inputs, output, name=name)
            for inputs, output, name in zip(sides, towers.outputs, names, strict=True)
        )
        log_q = None if rows is None else np.zeros(rows, np.float32)
        return cls(user_tower, item_tower, log_q=log_q, **config)


def _check_towers(owner, **towers):
    """Functional models with inputs of their own."""
    for name, tower in towers.items():
        if not isinstance(tower, keras.Model) or not getattr(tower, "inputs", None):
            rule = "must be a functional keras.Model with named inputs"
            raise _checks.argument(owner, name, rule, tower, kind=TypeError)
    names = [{tensor.name for tensor in tower.inputs} for tower in towers.values()]
    both = sorted(set.intersection(*names))
    if both:
        rule = "must each read columns of their own"
        raise _checks.argument(owner, "towers", rule, both)


def _diagonal(scores):
    """True where a row meets its own column."""
    rows, columns = ops.shape(scores)[0], ops.shape(scores)[1]
    return ops.equal(ops.arange(rows)[:, None], ops.arange(columns)[None, :])
