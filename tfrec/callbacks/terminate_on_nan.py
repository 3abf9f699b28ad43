"""Stops training when the loss is not a number, and says why."""

import keras
import numpy as np
import tensorflow as tf

from tfrec import _checks


class TerminateOnNaN(keras.callbacks.Callback):
    """Stops when the loss is NaN or infinite, and names what made it so.

    Looks for the first value that is not finite in `data`: columns, label and
    weight; then in the model's weights, a table's by row. What was found is printed
    and is `reason`.

    Differs: from `keras.callbacks.TerminateOnNaN`, which stops without a reason.

    Args:
        data: tf.data.Dataset of `(columns, labels[, weights])`, or None: only the
            weights are looked at. It is read once, only when training stops; rows
            are counted in its order, so give one that is not shuffled.

    Raises: `ValueError` when `data` is not a tf.data.Dataset.

    >>> data = tf.data.Dataset.from_tensors(({"age": [1.0, np.nan]}, [0.0, 1.0]))
    >>> first_not_finite(data)
    'column "age" of the data is nan in row 1'
    """

    def __init__(self, data=None):
        super().__init__()
        if data is not None and not isinstance(data, tf.data.Dataset):
            raise _checks.argument(self, "data", "must be a tf.data.Dataset", data)
        self.data = data
        self.reason = None

    def on_train_begin(self, logs=None):
        self.reason = None

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is None or np.isfinite(loss):
            return
        self.model.stop_training = True
        found = first_not_finite(self.data) if self.data is not None else None
        if found is None:
            clean = "" if self.data is None else "The data is finite, and "
            found = f"{clean}{_weights(self.model)}: learning rate or loss are to blame"
        self.reason = f"the loss is {loss} in batch {batch}. {found}."
        print(f"\nTerminateOnNaN: {self.reason}")


def first_not_finite(data):
    """Where the first value of a data set stands that is NaN or infinite, or None.

    >>> first_not_finite(tf.data.Dataset.from_tensors(({"a": [1.0]}, [0.0])))
    """
    before = 0
    for batch in data:
        parts = batch if isinstance(batch, tuple) else (batch,)
        rows = None
        for part, kind in zip(parts, ("column", "label", "weight"), strict=False):
            named = part if isinstance(part, dict) else {None: part}
            for name, values in named.items():
                if isinstance(values, tf.RaggedTensor):
                    values = values.to_tensor()
                values = np.asarray(values)
                rows = len(values) if rows is None and values.ndim else rows
                place = _place(values)
                if place is not None:
                    what = kind if name is None else f'{kind} "{name}"'
                    value = values[place]
                    row = before + place[0] if place else before
                    at = f" at {place[1:]}" if len(place) > 1 else ""
                    return f"{what} of the data is {value} in row {row}{at}"
        before += rows or 0
    return None


def _weights(model):
    for variable in model.weights:
        values = variable.numpy()
        place = _place(values)
        if place is not None:
            kind = "row" if getattr(variable, "row_sparse", False) else "index"
            where = place[0] if kind == "row" else place
            return f'weight "{variable.path}" is {values[place]} in {kind} {where}'
    return "all weights are finite"


def _place(values):
    """Index of the first value that is not finite, or None."""
    if values.dtype.kind != "f":
        return None
    bad = ~np.isfinite(values)
    if not bad.any():
        return None
    return tuple(int(i) for i in np.unravel_index(np.argmax(bad), values.shape))
