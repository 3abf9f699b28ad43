"""keras.Model + FeatureSpec -> SavedModels that stock TensorFlow Serving loads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfrec import _checks
from tfrec.export.pair import pair_id
from tfrec.export.publish import publish
from tfrec.export.servable import Servable
from tfrec.export.warmup import warmup_requests
from tfrec.features import FeatureSpec
from tfrec.models.two_tower import TwoTower


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
    (`item_embedding`), both with the pair id that says they belong together; where
    not all interests of a user are alive, `num_interests` tells how many are. A
    model that ends in one logit gives `ranker` (`score`, the probability, and
    `logit`). Inputs are the raw columns, by name; columns with `serve=False` are
    not asked for and count as missing. A ranker takes N item rows and either N or
    one row of the user's (and context) columns, and has the signatures `classify`
    and `regress`, which take serialized `tensorflow.Example`s.

    A version appears only when it is complete, holds no op that TensorFlow Serving
    lacks, and has answered its own warm-up requests with the model's own numbers.
    `PATH/models.config` lists every servable there for TensorFlow Serving, with
    `/models` as the root.

    Args:
        model: a `TwoTower`, or a `keras.Model` with named inputs of the spec.
        spec: the FeatureSpec, with vocabularies, that the model was made from.
        path: folder; made when it is not there.
        version: int >= 1. An existing version is never overwritten.
        examples: rows (as `from_pandas` takes them) for the warm-up requests, or
            None: rows of unknown values.

    Returns: {servable: folder of the new version}.
    Raises: `FileExistsError` when the version is there; `ValueError` on inputs
    that the spec does not have and on ops that TensorFlow Serving does not have;
    `RuntimeError` when the written model does not answer like the one in memory.
    """
    owner = "export.save"
    _checks.positive_int(owner, version=version)
    check_spec(owner, spec)
    servables = _servables(owner, model, spec)
    requests = {
        name: warmup_requests(servable, examples)
        for name, servable in servables.items()
    }
    return publish(owner, Path(path), int(version), servables, requests)


def check_spec(owner: str, spec: Any) -> None:
    """Raises `TypeError` when `spec` is not a FeatureSpec."""
    if not isinstance(spec, FeatureSpec):
        rule = "must be a FeatureSpec"
        raise _checks.argument(owner, "spec", rule, spec, kind=TypeError)


def check_ranker(owner: str, name: str, model: Any, kinds: str) -> None:
    """Raises `TypeError` on what is no model, `ValueError` on one without a logit."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        rule = f"must be {kinds} with named inputs"
        raise _checks.argument(owner, name, rule, model, kind=TypeError)
    if len(model.outputs) != 1 or model.outputs[0].shape[1:] != (1,):
        shapes = [tuple(output.shape) for output in model.outputs]
        rule = "must end in one logit (batch, 1)"
        raise _checks.argument(owner, name, rule, shapes)


def towers(
    owner: str, model: TwoTower, spec: FeatureSpec, pair: str
) -> dict[str, Servable]:
    """The servables of a two-tower model."""
    item_id = {"item_id": model.item_id}
    of_user = {"user_embedding": float32}
    if len(model.user_tower.outputs) == 2:  # interests, and how many are alive
        of_user = {
            "user_embedding": lambda answer: float32(answer[0]),
            "num_interests": lambda answer: tf.cast(answer[1], tf.int32),
        }
    return {
        "user_tower": Servable(owner, model.user_tower, spec, of_user, pair_id=pair),
        "item_tower": Servable(
            owner,
            model.item_tower,
            spec,
            {"item_embedding": float32},
            pair_id=pair,
            facts=item_id,
        ),
    }


def _servables(owner: str, model: Any, spec: FeatureSpec) -> dict[str, Servable]:
    if isinstance(model, TwoTower):
        return towers(owner, model, spec, pair_id(model, spec))
    check_ranker(owner, "model", model, "a TwoTower or a keras.Model")
    outputs = {
        "score": lambda logit: tf.sigmoid(float32(logit)[:, 0]),
        "logit": lambda logit: float32(logit)[:, 0],
    }
    return {"ranker": Servable(owner, model, spec, outputs, examples=True)}


def float32(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor as float32, whatever the model's precision."""
    return tf.cast(tensor, tf.float32)
