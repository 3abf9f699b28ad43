"""Predict's request and response, put together from encoded tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tfrec.serving import packing, protos, tensors


def model_spec(
    name: str, version: int | str | None = None, signature_name: str = ""
) -> bytes:
    """A ModelSpec; `version` is a label if a str, None: the server chooses."""
    spec = protos.ModelSpec(name=name, signature_name=signature_name)
    if isinstance(version, str):
        spec.version_label = version
    elif version is not None:
        spec.version.value = version
    return spec.SerializeToString()


def predict_request(
    spec: bytes, inputs: Mapping[str, np.ndarray], outputs: Iterable[str] = ()
) -> bytes:
    """The bytes of a PredictRequest; `outputs` is its filter."""
    parts = [packing.field(1, spec)]
    parts += [_entry(2, name, inputs[name], content=True) for name in sorted(inputs)]
    parts += [packing.field(3, name.encode()) for name in outputs]
    return b"".join(parts)


def predict_response(
    spec: bytes, outputs: Mapping[str, np.ndarray], *, content: bool = False
) -> bytes:
    """The bytes of a PredictResponse, names in order: same answer, same bytes.

    `content` writes numbers to `tensor_content`, not to the typed fields.
    """
    names = sorted(outputs)
    parts = [_entry(1, name, outputs[name], content=content) for name in names]
    return b"".join([*parts, packing.field(2, spec)])


def _entry(number: int, name: str, array: np.ndarray, *, content: bool) -> bytes:
    """One entry of a map from names to tensors."""
    tensor = tensors.encode(array, content=content)
    return packing.field(
        number, packing.field(1, name.encode()) + packing.field(2, tensor)
    )
