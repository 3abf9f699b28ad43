"""A version appears whole, checked, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.export.models_config import write_models_config
from tfrec.export.ops import check_saved_model
from tfrec.export.warmup import write_warmup

TOLERANCE = 1e-5


def publish(
    owner: str,
    root: Path,
    version: int,
    servables: Mapping[str, Any],
    requests: Mapping[str, Any],
) -> dict[str, Path]:
    """Writes `ROOT/<servable>/<version>` for each, then `ROOT/models.config`.

    Each is written beside its place, its ops are checked, and it replays its
    warm-up requests with the answers of the graph in memory before a rename
    shows it.

    Args:
        owner: whom errors name.
        root: folder.
        version: int >= 1.
        servables: {name: `tf.Module` with `functions` and `document`}.
        requests: {name: [(signature, {input: array})]}, the warm-up requests.

    Raises: `FileExistsError` when a version is there; `ValueError` on an op that
    TensorFlow Serving lacks; `RuntimeError` when the written graph answers
    differently.
    """
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
        for name, servable in servables.items():
            _write(owner, servable, name, version, partial[name], requests[name])
        for name, place in places.items():
            os.rename(partial[name], place)
    finally:
        for folder in partial.values():
            shutil.rmtree(folder, ignore_errors=True)
    write_models_config(root)
    return places


def _write(
    owner: str, servable: Any, name: str, version: int, folder: Path, requests: Any
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    tf.saved_model.save(servable, str(folder), signatures=servable.functions)
    check_saved_model(owner, name, folder)
    extra = folder / "assets.extra"
    extra.mkdir()
    document = servable.document(name, version, extra)
    set_defaults(folder, document.get("parameters", {}))
    text = json.dumps(document, indent=2)
    (extra / "feature_spec.json").write_text(text + "\n", encoding="utf-8")
    write_warmup(extra / "tf_serving_warmup_requests", name, requests)
    _verify(owner, servable, name, folder, requests)


def set_defaults(folder: Path, parameters: Mapping[str, Any]) -> None:
    """Gives inputs of signatures a value for requests that leave them out.

    `parameters` tells each input's `dtype` and `default` value. TensorFlow has no
    call that writes `SignatureDef.defaults`, which TensorFlow Serving reads.
    """
    if not parameters:
        return
    from tensorflow.core.protobuf import saved_model_pb2

    file = folder / "saved_model.pb"
    message = saved_model_pb2.SavedModel()
    message.ParseFromString(file.read_bytes())
    signatures = message.meta_graphs[0].signature_def.values()
    for name, told in parameters.items():
        value = tf.constant(told["default"], tf.as_dtype(told["dtype"]))
        proto = tf.make_tensor_proto(value.numpy(), value.dtype, value.shape)
        for signature in signatures:
            if name in signature.inputs:
                signature.defaults[name].CopyFrom(proto)
    file.write_bytes(message.SerializeToString(deterministic=True))


def _verify(owner: str, servable: Any, name: str, folder: Path, requests: Any) -> None:
    """The written graph answers the warm-up requests like the one in memory."""
    loaded = tf.saved_model.load(str(folder)).signatures
    for signature, request in requests:
        tensors = {key: tf.constant(value) for key, value in request.items()}
        wanted = servable.functions[signature](**tensors)
        found = loaded[signature](**tensors)
        for output, value in wanted.items():
            gap = _gap(found[output].numpy(), value.numpy())
            if not gap <= TOLERANCE:
                raise RuntimeError(
                    f"{owner}: the written {name!r} gives another {output!r} than "
                    f"the model in memory. Received: a difference of {gap}. Nothing "
                    "was published; check the model for NaN and for state that is "
                    "not a weight."
                )


def _gap(found: Any, wanted: Any) -> float:
    """Largest difference; texts are equal or infinitely far."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.dtype == object or found.shape != wanted.shape:
        return 0.0 if np.array_equal(found, wanted) else np.inf
    return float(np.max(np.abs(found - wanted), initial=0))
