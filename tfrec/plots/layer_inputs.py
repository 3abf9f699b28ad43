"""What a layer inside a model is given."""

import keras
import numpy as np

from tfrec import _checks


def layer_inputs(model, layer, columns):
    """The inputs of one layer of a functional model for some rows.

    Args:
        model: functional keras.Model: a ranker, or a tower.
        layer: str. The layer's name.
        columns: dict of arrays, as the model takes them; other keys are ignored.

    Returns: array, or list of arrays in the order of the call, a mask last.
    Raises: `ValueError` when there is no such layer; `TypeError` on another model.

    >>> x = keras.Input((2,), name="x")
    >>> model = keras.Model([x], keras.layers.Dense(1, name="end")(2 * x))
    >>> layer_inputs(model, "end", {"x": np.ones((1, 2), "float32")}).tolist()
    [[2.0, 2.0]]
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        rule = "must be a functional keras.Model"
        raise _checks.argument("layer_inputs", "model", rule, model, kind=TypeError)
    names = [one.name for one in model.layers]
    if layer not in names:
        rule = "must name a layer of the model"
        way_out = f"It has {_checks.quoted(names)}."
        raise _checks.argument("layer_inputs", "layer", rule, layer, way_out)
    part = keras.Model(model.inputs, model.get_layer(layer).input)
    return keras.tree.map_structure(np.asarray, part(columns, training=False))
