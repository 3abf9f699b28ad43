"""XLA for what stands on the vectors, not for the tables."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfrec import _checks
from tfrec.embeddings import EmbeddingTable

# Rows of a batch are padded to a multiple of this share of its ids: few shapes.
SHARE = 8


def compile_dense(model: keras.Model) -> keras.Model:
    """The same model, its dense half compiled by XLA in training.

    A step finds the distinct rows of the batch, gathers each once, and runs what
    stands on them - the model, its loss, all gradients - as one function of XLA;
    the rows are then updated as ever. Layers, weights and names are the model's
    own, and predictions and exports have no XLA in them. XLA compiles for some
    seconds, once for each shape of a batch: keep batches (`drop_remainder`) and
    lists of one length. It saves operations, which is little beside large products
    of matrices and what `fit` does between steps (docs/performance.md): measure.

    Args:
        model: a functional `keras.Model` that looks up `EmbeddingTable`s by its own
            inputs, such as a ranker. Compile it afterwards as usual.

    Returns: a functional `keras.Model` with the same inputs and outputs.
    Raises: `TypeError` when `model` is no such model; at `fit`, `ValueError` when
    something else is computed from ids before they are looked up.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise _wrong(model)
    if not any(isinstance(layer, EmbeddingTable) for layer in model.layers):
        raise _wrong(model)
    return DenseCompiled(model.inputs, model.outputs, name=model.name)


def _wrong(model):
    rule = "must be a functional keras.Model that looks up EmbeddingTables"
    return _checks.argument("compile_dense", "model", rule, model, kind=TypeError)


class _LookUp(NamedTuple):
    """One call of a table: its inputs by place in the model's list."""

    layer: EmbeddingTable
    inputs: list
    tables: list
    stacked: bool


class _Halves(NamedTuple):
    """A model, cut behind its tables.

    look_ups: the calls of the tables.
    dense: model of what the tables gave, and of the inputs at `direct`.
    """

    look_ups: list
    dense: Any
    direct: list


@keras.saving.register_keras_serializable(package="tfrec")
class DenseCompiled(keras.Model):
    """A functional model that trains as `compile_dense` says."""

    _compiled = None

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            self._compiled = None  # loss, scale and what is trained may be others now
        return super().make_train_function(force)

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        inputs = self._inputs_of(x)
        halves = self._halves()
        rows, places, real = [], [], []
        for look_up in halves.look_ups:
            ids = [inputs[place] for place in look_up.inputs]
            found, is_real = look_up.layer.places(
                ids, look_up.tables, look_up.stacked, training=True
            )
            unique, place = tf.unique(tf.reshape(found, [-1]))
            rows.append(unique)
            places.append(tf.reshape(place, tf.shape(found)))
            real.append(is_real)
        gathered = [
            _padded(tf.gather(look_up.layer.table.value, unique), place)
            for look_up, unique, place in zip(
                halves.look_ups, rows, places, strict=True
            )
        ]
        loss, y_pred, of_rows, of_weights = self._compiled(
            gathered, places, real, inputs, y, sample_weight
        )
        gradients = self._gradients(halves, rows, of_rows, of_weights)
        self.optimizer.apply(gradients, self.trainable_variables)
        for metric in self.metrics:
            if metric.name == "loss":
                # Keras divides the loss by the replicas, and reports the whole.
                whole = loss * tf.distribute.get_strategy().num_replicas_in_sync
                metric.update_state(whole, sample_weight=tf.shape(inputs[0])[0])
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _inputs_of(self, x):
        """The model's inputs, in its order and of its ranks."""
        names = [tensor.name for tensor in self.inputs]
        if isinstance(x, dict):
            for name in names:
                if name not in x:
                    rule = "must be one of the row's features"
                    raise _checks.column(self, name, rule, _checks.quoted(x))
            x = [x[name] for name in names]
        x = list(x) if isinstance(x, (list, tuple)) else [x]
        columns = []
        for value, tensor in zip(x, self.inputs, strict=True):
            if len(value.shape) == len(tensor.shape) + 1:
                value = tf.squeeze(value, -1)
            columns.append(keras.ops.cast(value, tensor.dtype))
        return columns

    def _halves(self):
        """The model cut in two, once."""
        halves = getattr(self, "_cut", None)
        if halves is None:
            with tf.init_scope():  # a step is being traced
                halves = _cut(keras.Model(self.inputs, self.outputs))
            halves = self._cut = _Untracked(halves)
        if self._compiled is None:
            self._compiled = tf.function(
                self._run, jit_compile=True, autograph=False, reduce_retracing=True
            )
        return halves.value

    def _run(self, gathered, places, real, inputs, y, sample_weight):
        """Loss, outputs and gradients, all from the rows of the batch."""
        halves = self._halves()
        weights = [weight.value for weight in halves.dense.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(gathered)
            tensors, penalty = [], 0.0
            for look_up, rows, place, is_real in zip(
                halves.look_ups, gathered, places, real, strict=True
            ):
                vectors = tf.gather(rows, place)
                if look_up.layer.l2:
                    penalty += look_up.layer.penalty(vectors, is_real)
                ids = [inputs[k] for k in look_up.inputs]
                tensors += look_up.layer.outputs(vectors, is_real, ids, look_up.stacked)
            tensors += [inputs[k] for k in halves.direct]
            y_pred = halves.dense(tensors, training=True)
            penalty /= tf.distribute.get_strategy().num_replicas_in_sync
            loss = penalty + self.compute_loss(
                y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
            )
            scaled = self.optimizer.scale_loss(loss)
        found = tape.gradient(scaled, [gathered, weights])
        of_rows = [tf.convert_to_tensor(gradient) for gradient in found[0]]
        return loss, y_pred, of_rows, found[1]

    def _gradients(self, halves, rows, of_rows, of_weights):
        """One gradient for each trainable variable of the model, in its order."""
        found = {
            id(variable): gradient
            for variable, gradient in zip(
                halves.dense.trainable_variables, of_weights, strict=True
            )
        }
        parts = {}
        for look_up, unique, gradient in zip(
            halves.look_ups, rows, of_rows, strict=True
        ):
            pair = gradient[: tf.size(unique)], unique
            parts.setdefault(id(look_up.layer.table), []).append(pair)
        for layer in {look_up.layer for look_up in halves.look_ups}:
            pairs = parts[id(layer.table)]
            values, places = (
                tf.concat(each, axis=0) for each in zip(*pairs, strict=True)
            )
            shape = tf.constant(list(layer.table.shape), tf.int64)
            slices = tf.IndexedSlices(values, places, shape)
            slices.is_summed = len(pairs) == 1
            found[id(layer.table)] = slices
        return [found[id(variable)] for variable in self.trainable_variables]


class _Untracked:
    """Hides what Keras would take for a layer of the model."""

    def __init__(self, value):
        self.value = value


def _padded(rows, place):
    """Rows and some zeros: XLA compiles for each number of rows."""
    step = tf.size(place) // SHARE + 1
    return tf.pad(rows, [[0, -tf.shape(rows)[0] % step], [0, 0]])


def _cut(model):
    """The halves of a functional model; layers are shared, not copied."""
    calls, cut, used = [], [], []

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        if isinstance(layer, EmbeddingTable):
            named = dict(zip(("inputs", "tables", "stacked"), args, strict=False))
            calls.append((layer, {**named, **kwargs}))
            cut.extend(keras.tree.flatten(outputs))
        else:
            used.extend(keras.tree.flatten((args, kwargs)))
        return outputs

    again = keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=call
    )

    def place(tensor):
        places = [k for k, one in enumerate(again.inputs) if one is tensor]
        if not places:
            rule = "must look up its own inputs, not what is computed from them"
            raise _checks.argument("compile_dense", "model", rule, tensor.name)
        return places[0]

    look_ups = [
        _LookUp(
            layer,
            [place(tensor) for tensor in options["inputs"]],
            list(options["tables"]),
            bool(options.get("stacked", False)),
        )
        for layer, options in calls
    ]
    direct = [
        k for k, tensor in enumerate(again.inputs) if any(tensor is one for one in used)
    ]
    tensors = [*cut, *(again.inputs[k] for k in direct)]
    return _Halves(look_ups, keras.Model(tensors, again.outputs), direct)
