"""XLA for what stands on the vectors, not for the tables."""

import keras

from tfrec import _checks
from tfrec.embeddings import EmbeddingTable
from tfrec.layers.basic.compiled import Compiled


def compile_dense(model: keras.Model) -> keras.Model:
    """The same model, its dense half compiled by XLA in training.

    The look-ups stay outside: XLA would copy whole tables, and has no `unique`.
    The layers and weights are the model's own, under the same names; the first
    step takes some seconds longer, once for each shape of a batch. On small models
    and small batches it may not pay: measure.

    Args:
        model: a functional `keras.Model` that looks up `EmbeddingTable`s, such as
            a ranker. Compile it afterwards, with jit_compile left alone.

    Returns: a functional `keras.Model` with the same inputs and outputs.
    Raises: `TypeError` when `model` is no such model.
    """
    rule = "must be a functional keras.Model that looks up EmbeddingTables"
    wrong = _checks.argument("compile_dense", "model", rule, model, kind=TypeError)
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise wrong
    cut, used = [], []

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        if isinstance(layer, EmbeddingTable):
            cut.extend(keras.tree.flatten(outputs))
        else:
            used.extend(keras.tree.flatten((args, kwargs)))
        return outputs

    again = keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=call
    )
    if not cut:
        raise wrong
    direct = [x for x in again.inputs if any(x is tensor for tensor in used)]
    dense = keras.Model([*cut, *direct], again.outputs, name=f"{model.name}_dense")
    outputs = Compiled(dense, name=f"{model.name}_compiled")([*cut, *direct])
    return keras.Model(again.inputs, outputs, name=model.name)
