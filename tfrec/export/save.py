"""keras.Model + FeatureSpec -> SavedModels that stock TensorFlow Serving loads."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec import _checks
from tfrec.encoder import IdEncoder
from tfrec.export.models_config import write_models_config
from tfrec.export.warmup import example_requests, write_warmup
from tfrec.features import FeatureSpec
from tfrec.features.columns import Numeric
from tfrec.features.spec import half
from tfrec.models.two_tower import TwoTower

FORMAT = 1
TOLERANCE = 1e-5


def save(
    model: keras.Model,
    spec: FeatureSpec,
    path: str | os.PathLike[str],
    *,
    version: int = 1,
    examples: Any = None,
) -> dict[str, Path]:
    """Writes the servables of a model: `PATH/<servable>/<version>/`.

    A `TwoTower` gives `user_tower` (output `user_embedding`) and `item_tower`
    (`item_embedding`); a model that ends in one logit gives `ranker` (`score`, the
    probability, and `logit`). Inputs are the raw columns, by name; columns with
    `serve=False` are not asked for and count as missing. A ranker takes N item
    rows and either N or one row of the user's (and context) columns.

    A version appears only when it is complete and has answered its own warm-up
    requests with the model's own numbers. `PATH/models.config` lists every
    servable there for TensorFlow Serving, with `/models` as the root.

    Args:
        model: a `TwoTower`, or a `keras.Model` with named inputs of the spec.
        spec: the FeatureSpec, with vocabularies, that the model was made from.
        path: folder; made when it is not there.
        version: int >= 1. An existing version is never overwritten.
        examples: rows (as `from_pandas` takes them) for the warm-up requests, or
            None: rows of unknown values.

    Returns: {servable: folder of the new version}.
    Raises: `FileExistsError` when the version is there; `ValueError` on inputs
    that the spec does not have; `RuntimeError` when the written model does not
    answer like the one in memory.
    """
    owner = "export.save"
    _checks.positive_int(owner, version=version)
    if not isinstance(spec, FeatureSpec):
        raise _checks.argument(
            owner, "spec", "must be a FeatureSpec", spec, kind=TypeError
        )
    servables = _servables(owner, model)
    root = Path(path)
    places = {name: root / name / str(version) for name in servables}
    for place in places.values():
        if place.exists():
            newest = max(
                int(p.name) for p in place.parent.iterdir() if p.name.isdigit()
            )
            raise FileExistsError(
                f"{owner}: version {version} of {str(place.parent)!r} exists and is "
                f"not overwritten. Pass version={newest + 1}, or remove it."
            )
    partial = {
        name: place.with_name(f"tmp-{version}-{uuid.uuid4().hex[:8]}")
        for name, place in places.items()
    }
    try:
        for name, (tower, outputs) in servables.items():
            servable = _Servable(owner, tower, spec, outputs)
            _write(servable, name, version, partial[name], examples)
        for name, place in places.items():
            os.rename(partial[name], place)
    finally:
        for folder in partial.values():
            shutil.rmtree(folder, ignore_errors=True)
    write_models_config(root)
    return places


def _servables(owner: str, model: Any) -> dict[str, tuple[keras.Model, dict[str, Any]]]:
    """Name -> (the model in it, {output name: function of its output})."""
    if isinstance(model, TwoTower):
        return {
            "user_tower": (model.user_tower, {"user_embedding": _float}),
            "item_tower": (model.item_tower, {"item_embedding": _float}),
        }
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        rule = "must be a TwoTower or a keras.Model with named inputs"
        raise _checks.argument(owner, "model", rule, model, kind=TypeError)
    if len(model.outputs) != 1 or model.outputs[0].shape[1:] != (1,):
        shapes = [tuple(output.shape) for output in model.outputs]
        rule = "must end in one logit (batch, 1)"
        raise _checks.argument(owner, "model", rule, shapes)
    return {
        "ranker": (
            model,
            {
                "score": lambda logit: tf.sigmoid(_float(logit)[:, 0]),
                "logit": lambda logit: _float(logit)[:, 0],
            },
        )
    }


def _float(tensor: tf.Tensor) -> tf.Tensor:
    return tf.cast(tensor, tf.float32)


class _Servable(tf.Module):
    """IdEncoder in front of a model: raw columns in, named outputs out."""

    def __init__(
        self, owner: str, model: keras.Model, spec: FeatureSpec, outputs: dict[str, Any]
    ) -> None:
        super().__init__()
        names = [tensor.name for tensor in model.inputs]
        for name in names:
            if name not in spec:
                rule = "is an input of the model and must be in the spec"
                found = _checks.quoted(spec.names)
                raise _checks.column(owner, name, rule, found)
        served = [name for name in names if spec[name].serve]
        if not served:
            raise _checks.argument(
                owner, "spec", "must have a column that is served", names
            )
        self.spec = spec
        self.encoder = IdEncoder(spec, served)
        self.held = [weight.value for weight in model.weights]
        self._model = _Untracked(model)
        self._outputs = outputs
        self._signature = self.encoder.signature()
        self.serve = tf.function(self._answer).get_concrete_function(**self._signature)

    def _answer(self, **features: tf.Tensor) -> dict[str, tf.Tensor]:
        model = self._model.value
        columns = self.encoder(features)
        rows = {
            half(self.spec[name]): tf.shape(values)[0]
            for name, values in columns.items()
        }
        for tensor in model.inputs:
            if tensor.name not in columns:
                column = self.spec[tensor.name]
                columns[tensor.name] = _missing(column, rows.get(half(column), 1))
        answer = model(
            [columns[tensor.name] for tensor in model.inputs], training=False
        )
        return {name: output(answer) for name, output in self._outputs.items()}

    def document(self, name: str, version: int, folder: Path) -> dict[str, Any]:
        """What `feature_spec.json` says; vocabulary paths relative to `folder`."""
        inputs = {
            key: {
                "dtype": tensor.dtype.name,
                "shape": tensor.shape.as_list(),
                "side": self.spec[key].side,
            }
            for key, tensor in self._signature.items()
        }
        outputs = {
            key: {"dtype": tensor.dtype.name, "shape": tensor.shape.as_list()}
            for key, tensor in self.serve.structured_outputs.items()
        }
        spec = self.spec.to_dict()
        for entry in spec["vocabularies"]:
            kept = folder.parent / "assets" / Path(entry["file"]).name
            entry["file"] = f"../assets/{kept.name}" if kept.exists() else ""
        return {
            "format": FORMAT,
            "servable": name,
            "version": version,
            "inputs": inputs,
            "outputs": outputs,
            "spec": spec,
        }


class _Untracked:
    """Hides a Keras model from the SavedModel: its weights are all that it keeps."""

    def __init__(self, value: keras.Model) -> None:
        self.value = value


def _missing(column: Any, rows: tf.Tensor) -> tf.Tensor:
    """What a model is given for a column that is not served: padding, or 0."""
    shape = [rows, 1] if column.is_list else [rows]
    if isinstance(column, Numeric):
        return tf.zeros([*shape, *column.shape], tf.float32)
    return tf.zeros(shape, tf.int32)


def _write(
    servable: _Servable, name: str, version: int, folder: Path, examples: Any
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    tf.saved_model.save(
        servable, str(folder), signatures={"serving_default": servable.serve}
    )
    extra = folder / "assets.extra"
    extra.mkdir()
    document = servable.document(name, version, extra)
    text = json.dumps(document, indent=2)
    (extra / "feature_spec.json").write_text(text + "\n", encoding="utf-8")
    requests = example_requests(servable.spec, list(document["inputs"]), examples)
    write_warmup(extra / "tf_serving_warmup_requests", name, requests)
    _verify(servable, name, folder, requests)


def _verify(
    servable: _Servable, name: str, folder: Path, requests: list[dict[str, np.ndarray]]
) -> None:
    """The written model answers the warm-up requests like the one in memory."""
    loaded = tf.saved_model.load(str(folder)).signatures["serving_default"]
    for request in requests:
        tensors = {key: tf.constant(value) for key, value in request.items()}
        wanted, found = servable.serve(**tensors), loaded(**tensors)
        for output, value in wanted.items():
            gap = np.max(np.abs(found[output].numpy() - value.numpy()), initial=0)
            if not gap <= TOLERANCE:
                raise RuntimeError(
                    f"export.save: the written {name!r} gives another {output!r} than "
                    f"the model in memory. Received: a difference of {gap}. Nothing "
                    "was published; check the model for NaN and for state that is "
                    "not a weight."
                )
