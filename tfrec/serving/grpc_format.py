"""A client's requests and the server's answers as gRPC carries them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tfrec.serving import chunks, descriptions, messages, protos, tensors

TELLS_LITTLE = False  # an answer has its version, outputs' names and their types
row_bytes = chunks.grpc_row_bytes
VALUE_BYTES = chunks.VALUE_BYTES


class Request(NamedTuple):
    """What is sent.

    Args:
        servable: str. For errors.
        place: str. The gRPC method, or the path of a URL.
        data: bytes. Empty: nothing, a GET.
        share: number in (0, 1]. Of the time that is left, what it may take.
    """

    servable: str
    place: str
    data: bytes = b""
    share: float = 1.0


def predict(
    servable: str,
    version: int | str | None,
    signature_name: str,
    arrays: Mapping[str, np.ndarray],
    outputs: Iterable[str],
) -> Request:
    """A Predict request; `version` may be a label."""
    spec = messages.model_spec(servable, version, signature_name)
    data = messages.predict_request(spec, arrays, outputs)
    return Request(servable, "PredictionService/Predict", data)


def read_predict(
    data: bytes, outputs: Iterable[str], told: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], int | None]:
    """The outputs in order of their names, and the version that answered.

    They are read from typed fields or `tensor_content`, whichever came.
    """
    response = protos.PredictResponse.FromString(data)
    spec, sent = response.model_spec, sorted(response.outputs.items())
    version = spec.version.value if spec.HasField("version") else None
    return {name: _own(proto) for name, proto in sent}, version


def status(servable: str) -> Request:
    """A GetModelStatus request."""
    data = descriptions.status_request(servable)
    return Request(servable, "ModelService/GetModelStatus", data)


def metadata(servable: str, version: int | str | None) -> Request:
    """A GetModelMetadata request."""
    data = descriptions.metadata_request(servable, version)
    return Request(servable, "PredictionService/GetModelMetadata", data)


read_status = descriptions.read_status
read_metadata = descriptions.read_metadata


def _own(proto: Any) -> np.ndarray:
    """The tensor as an array that may be written to."""
    array = tensors.decode(proto)
    return array if array.flags.writeable else array.copy()
