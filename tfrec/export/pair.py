"""The pair id: user vectors and item vectors that belong together."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from tfrec.features import FeatureSpec
from tfrec.models.two_tower import TwoTower


def pair_id(model: TwoTower, spec: FeatureSpec) -> str:
    """A hash of both towers' weights and of the spec, 32 hexadecimal digits.

    Equal towers have equal ids, in any process and after any reload; one changed
    weight, column or vocabulary gives another id. Where files stand does not count.
    """
    document = spec.to_dict()
    for entry in document["vocabularies"]:
        del entry["file"]
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for tower in (model.user_tower, model.item_tower):
        digest.update(json.dumps([tensor.name for tensor in tower.inputs]).encode())
        for weight in tower.weights:
            value = np.ascontiguousarray(weight.value.numpy())
            digest.update(f"{value.dtype} {value.shape} ".encode())
            digest.update(value.tobytes())
    return digest.hexdigest()[:32]
