"""IdEncoder in front of a model: what a SavedModel is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfrec import _checks
from tfrec.encoder import IdEncoder
from tfrec.export.examples import parse_examples
from tfrec.features import FeatureSpec
from tfrec.features.columns import Numeric, half

FORMAT = 1


class Servable(tf.Module):
    """Raw columns in, named outputs out.

    Args:
        owner: whom errors name.
        model: `keras.Model` with named inputs of the spec.
        spec: FeatureSpec with its vocabularies.
        outputs: {output name: function of the model's output}.
        pair_id: str; "" where a model has no pair. It becomes a signature of its
            own, `pair_id`, without inputs.
        examples: True: also `classify` and `regress`, whose one input `inputs`
            takes serialized `tensorflow.Example`s, one a row.
        facts: what `feature_spec.json` says beyond the columns.
    """

    def __init__(
        self,
        owner: str,
        model: keras.Model,
        spec: FeatureSpec,
        outputs: Mapping[str, Callable[[tf.Tensor], tf.Tensor]],
        *,
        pair_id: str = "",
        examples: bool = False,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = IdEncoder(spec, served_names(owner, model, spec))
        self.held = [weight.value for weight in model.weights]
        self._model = Untracked(model)
        self._outputs = Untracked(outputs)
        self._facts = Untracked({**(facts or {}), **pair_fact(pair_id)})
        inputs = self.encoder.signature()
        self._inputs = Untracked(inputs)
        serve = tf.function(self._answer).get_concrete_function(**inputs)
        functions = {"serving_default": serve, **pair_signature(pair_id)}
        if examples:
            strings = tf.TensorSpec([None], tf.string, "inputs")
            for name, function in (
                ("classify", self._classify),
                ("regress", self._regress),
            ):
                traced = tf.function(function).get_concrete_function(inputs=strings)
                functions[name] = traced
        self._functions = Untracked(functions)

    @property
    def functions(self) -> dict[str, Any]:
        """The served functions by the name of their signature."""
        return self._functions.value

    def _answer(self, **features: tf.Tensor) -> dict[str, tf.Tensor]:
        columns = self.encoder(features)
        answer = call_model(self._model.value, self.spec, columns)
        return {name: output(answer) for name, output in self._outputs.value.items()}

    def _score(self, inputs: tf.Tensor) -> tf.Tensor:
        features = parse_examples(self.spec, self._inputs.value, inputs)
        return self._answer(**features)["score"]

    def _classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        score = self._score(inputs)
        classes = tf.tile([["0", "1"]], [tf.size(score), 1])
        return {"classes": classes, "scores": tf.stack([1 - score, score], axis=1)}

    def _regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": self._score(inputs)}

    def document(self, name: str, version: int, folder: Path) -> dict[str, Any]:
        """What `feature_spec.json` says; vocabulary paths relative to `folder`."""
        outputs = self.functions["serving_default"].structured_outputs
        return {
            "format": FORMAT,
            "servable": name,
            "version": version,
            **self._facts.value,
            "inputs": told_inputs(self.spec, self._inputs.value),
            "outputs": told(outputs),
            "spec": spec_document(self.spec, folder),
        }


class Untracked:
    """Hides a value from the SavedModel: of a model, its weights are all it keeps."""

    def __init__(self, value: Any) -> None:
        self.value = value


def served_names(owner: str, model: keras.Model, spec: FeatureSpec) -> list[str]:
    """The model's inputs that are asked for when it is served.

    Raises: `ValueError` on an input that the spec lacks, and when none is served.
    """
    names = [tensor.name for tensor in model.inputs]
    for name in names:
        if name not in spec:
            rule = "is an input of the model and must be in the spec"
            raise _checks.column(owner, name, rule, _checks.quoted(spec.names))
    served = [name for name in names if spec[name].serve]
    if not served:
        rule = "must have a column that is served"
        raise _checks.argument(owner, "spec", rule, names)
    return served


def call_model(
    model: keras.Model, spec: FeatureSpec, columns: Mapping[str, tf.Tensor]
) -> tf.Tensor:
    """The model's output; columns that are not served count as missing."""
    rows = {half(spec[name]): tf.shape(values)[0] for name, values in columns.items()}
    tensors = []
    for tensor in model.inputs:
        column = spec[tensor.name]
        value = columns.get(tensor.name)
        if value is None:
            value = _missing(column, rows.get(half(column), 1))
        tensors.append(value)
    return model(tensors, training=False)


def _missing(column: Any, rows: tf.Tensor) -> tf.Tensor:
    """What a model is given for a column that is not served: padding, or 0."""
    shape = [rows, 1] if column.is_list else [rows]
    if isinstance(column, Numeric):
        return tf.zeros([*shape, *column.shape], tf.float32)
    return tf.zeros(shape, tf.int32)


def pair_fact(pair_id: str) -> dict[str, str]:
    """The pair id as a fact of `feature_spec.json`; nothing where there is none."""
    return {"pair_id": pair_id} if pair_id else {}


def pair_signature(pair_id: str) -> dict[str, Any]:
    """The signature that tells the pair id, without inputs; none where "" is it."""
    if not pair_id:
        return {}
    tell = tf.function(lambda: {"pair_id": tf.constant(pair_id)})
    return {"pair_id": tell.get_concrete_function()}


def told(tensors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Tensors by name as JSON tells them: dtype and shape."""
    return {
        name: {"dtype": tensor.dtype.name, "shape": tensor.shape.as_list()}
        for name, tensor in tensors.items()
    }


def told_inputs(
    spec: FeatureSpec, inputs: Mapping[str, tf.TensorSpec]
) -> dict[str, dict[str, Any]]:
    """`told`, with the side of each column."""
    return {
        name: {**entry, "side": spec[name].side} for name, entry in told(inputs).items()
    }


def spec_document(spec: FeatureSpec, folder: Path) -> dict[str, Any]:
    """The spec as JSON; vocabularies are assets of the servable around `folder`."""
    document = spec.to_dict()
    for entry in document["vocabularies"]:
        kept = folder.parent / "assets" / Path(entry["file"]).name
        entry["file"] = f"../assets/{kept.name}" if kept.exists() else ""
    return document
