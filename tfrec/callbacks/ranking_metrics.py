"""Exact ranking metrics at the end of each epoch."""

import keras
import tensorflow as tf

from tfrec import _checks
from tfrec.evaluation.scores import Scores, check_metrics


class RankingMetrics(keras.callbacks.Callback):
    """Scores a data set after each epoch and writes exact metrics into the logs.

    The model's logits are collected in one pass and judged at once, by
    `tfrec.evaluation`: no thresholds as in `keras.metrics.AUC`, and GAUC, which no
    batch knows. Callbacks that watch a metric, as
    `EarlyStopping(monitor="val_auc")`, must stand behind this one in the list.

    Where the model gives a dict of outputs, each is judged on the label of its name:
    "val_click_auc".

    Args:
        data: tf.data.Dataset of `(columns, labels)` or `(columns, labels, weights)`
            with an end, as `tfrec.data.from_pandas` returns.
        group: str or None. The column whose values are GAUC's groups.
        metrics: tuple of "auc", "gauc", "log_loss", "normalized_entropy", "pcoc";
            None: "auc", "log_loss", and "gauc" where there is a `group`.
        prefix: str. Stands before a metric's name in the logs.

    `scores`: dict, the `Scores` of the last epoch by output (None: the only one).

    Raises: `ValueError` on a bad argument, or an output that is not one number per
    row.

    >>> data = tf.data.Dataset.from_tensors((np.ones((2, 1)), np.array([0.0, 1.0])))
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> judged = RankingMetrics(data, metrics=("auc",))
    >>> fitted = model.fit(data, verbose=0, callbacks=[judged])
    >>> fitted.history["val_auc"]
    [0.5]
    """

    def __init__(self, data, group=None, metrics=None, prefix="val_"):
        super().__init__()
        if metrics is None:
            metrics = ("auc", "log_loss") if group is None else METRICS_OF_GROUPS
        check_metrics(self, metrics)
        columns = _columns(self, data)
        if "gauc" in metrics and group is None:
            rule = 'must name a column: "gauc" is asked for'
            raise _checks.argument(self, "group", rule, group)
        if group is not None and group not in columns:
            way_out = f"It has {_checks.quoted(columns)}."
            rule = "must be a column of `data`"
            raise _checks.argument(self, "group", rule, group, way_out)
        if not isinstance(prefix, str):
            raise _checks.argument(self, "prefix", "must be a string", prefix)
        self.data, self.group = data, group
        self.metrics, self.prefix = tuple(metrics), prefix
        self.scores = {}

    def set_model(self, model):
        super().set_model(model)
        self.forward = tf.function(
            lambda columns: model(columns, training=False), reduce_retracing=True
        )

    def on_epoch_end(self, epoch, logs=None):
        self.scores = {}
        bar = None
        if self.params.get("verbose") == 1:
            print()
            bar = keras.utils.Progbar(int(self.data.cardinality()))
        for columns, labels, *weights in self.data:
            self._score(columns, labels, *weights)
            if bar is not None:
                bar.add(1)
        for output, scores in self.scores.items():
            name = self.prefix if output is None else f"{self.prefix}{output}_"
            for metric, value in scores.result(self.metrics).items():
                logs[name + metric] = value

    def _score(self, columns, labels, weights=None):
        found = self.forward(columns)
        outputs = found if isinstance(found, dict) else {None: found}
        groups = None if self.group is None else columns[self.group].numpy()
        for output, logits in outputs.items():
            y = _of(self, labels, output)
            weight = None if weights is None else _of(self, weights, output)
            shape = getattr(logits, "shape", type(logits).__name__)
            if shape[1:] not in ([], [1]):
                rule = "must give one logit per row, or a dict of such outputs"
                raise _checks.argument(self, "model", rule, shape)
            scores = self.scores.setdefault(output, Scores())
            logits = tf.cast(logits, tf.float32).numpy()
            weight = None if weight is None else weight.numpy()
            scores.update(y.numpy(), logits, weight, groups)


METRICS_OF_GROUPS = ("auc", "gauc", "log_loss")


def _columns(owner, data):
    """Names of the columns of a data set of (columns, labels[, weights])."""
    parts = getattr(data, "element_spec", None)
    if not isinstance(data, tf.data.Dataset) or not isinstance(parts, tuple):
        rule = "must be a tf.data.Dataset of (columns, labels[, weights])"
        raise _checks.argument(owner, "data", rule, data)
    if len(parts) not in (2, 3):
        rule = "must be of (columns, labels[, weights])"
        raise _checks.argument(owner, "data", rule, parts)
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        way_out = "Drop `repeat`."
        raise _checks.argument(owner, "data", "must have an end", data, way_out)
    return list(parts[0]) if isinstance(parts[0], dict) else []


def _of(owner, values, output):
    """The labels or weights of an output."""
    if not isinstance(values, dict):
        if output is None:
            return values
        rule = f'must have a label called "{output}", as the model\'s output'
        raise _checks.argument(owner, "data", rule, "one label without name")
    if output not in values:
        rule = "must have the labels that the model's outputs are called"
        found = f"{sorted(values)}, the output is {output!r}"
        raise _checks.argument(owner, "data", rule, found)
    return values[output]
