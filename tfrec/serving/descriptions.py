"""What a server says of its servables, as plain dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.serving import messages, protos, tensors


def status_request(servable: str) -> bytes:
    """The bytes of a GetModelStatusRequest for all versions."""
    request = protos.GetModelStatusRequest()
    request.model_spec.name = servable
    return request.SerializeToString()


def read_status(data: bytes) -> dict[int, str]:
    """State by version, in the server's order."""
    response = protos.GetModelStatusResponse.FromString(data)
    return {
        entry.version: protos.STATES.get(entry.state, "UNKNOWN")
        for entry in response.model_version_status
    }


def metadata_request(servable: str, version: int | str | None) -> bytes:
    """The bytes of a GetModelMetadataRequest."""
    request = protos.GetModelMetadataRequest()
    request.model_spec.ParseFromString(messages.model_spec(servable, version))
    request.metadata_field.append("signature_def")
    return request.SerializeToString()


def read_metadata(data: bytes) -> dict[str, Any]:
    """Version and signatures; those that TensorFlow keeps for itself left out."""
    response = protos.GetModelMetadataResponse.FromString(data)
    packed = response.metadata["signature_def"].value
    definitions = protos.SignatureDefMap.FromString(packed)
    return {
        "version": response.model_spec.version.value,
        "signatures": {
            name: {
                "inputs": _tensors(definition.inputs),
                "outputs": _tensors(definition.outputs),
            }
            for name, definition in sorted(definitions.signature_def.items())
            if not name.startswith("__")
        },
    }


def _tensors(infos: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "dtype": tensors.type_name(info.dtype),
            "shape": [None if d.size < 0 else d.size for d in info.tensor_shape.dim],
        }
        for name, info in sorted(infos.items())
    }
