"""The arrays as a dict of columns, and `fit` on a window of them.

What plain Keras, tfrec and DeepCTR have in common: `fit` of a Keras model on
arrays in memory, in their order, without metrics.
"""

import criteo_like
import numpy as np


def columns_of(arrays, start, stop):
    """{column: `(rows,)`} of the rows `start` to `stop`."""
    window = {}
    for names, key in ((criteo_like.NUMBERS, "numbers"), (criteo_like.VALUES, "ids")):
        for name, values in zip(names, arrays[key], strict=True):
            window[name] = np.asarray(values[start:stop])
    return window


class Fitted:
    """Runs `self.model` on windows of the arrays; `compile` it first."""

    def __init__(self, cell, arrays):
        self.cell, self.arrays = cell, arrays

    @property
    def parameters(self):
        return sum(int(np.prod(w.shape)) for w in self.model.trainable_weights)

    def run(self, start, stop):
        history = self.model.fit(
            columns_of(self.arrays, start, stop),
            np.asarray(self.arrays["click"][start:stop]),
            batch_size=self.cell["batch"],
            shuffle=False,
            verbose=0,
        )
        return history.history["loss"][-1]

    def predict(self, start, stop):
        window = columns_of(self.arrays, start, stop)
        return self.model.predict(window, batch_size=8192, verbose=0)[:, 0]
