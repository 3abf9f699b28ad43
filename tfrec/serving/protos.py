"""TensorFlow Serving's messages as a client needs them, without TensorFlow.

The published modules import all of TensorFlow. These have the same names and
numbers, and stand in a pool of their own: both can be in one process.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    wrappers_pb2,
)

PACKAGE = "tfrec.wire"
KINDS = {
    **{"double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5},
    **{"bool": 8, "string": 9, "bytes": 12, "uint32": 13},
}
MESSAGE = 11  # a field's type
# Name of a message: name of a field: its number and kind.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Dim": {"size": (1, "int64")},
    "TensorShapeProto": {"dim": (2, "repeated Dim"), "unknown_rank": (3, "bool")},
    "TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "repeated float"),
        "double_val": (6, "repeated double"),
        "int_val": (7, "repeated int32"),
        "string_val": (8, "repeated bytes"),
        "scomplex_val": (9, "repeated float"),
        "int64_val": (10, "repeated int64"),
        "bool_val": (11, "repeated bool"),
        "dcomplex_val": (12, "repeated double"),
        "half_val": (13, "repeated int32"),
        "uint32_val": (16, "repeated uint32"),
        "uint64_val": (17, "repeated uint64"),
    },
    "TensorInfo": {"dtype": (2, "int32"), "tensor_shape": (3, "TensorShapeProto")},
    "SignatureDef": {
        "inputs": (1, "map TensorInfo"),
        "outputs": (2, "map TensorInfo"),
    },
    "SignatureDefMap": {"signature_def": (1, "map SignatureDef")},
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, ".google.protobuf.Int64Value"),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    "PredictResponse": {
        "outputs": (1, "map TensorProto"),
        "model_spec": (2, "ModelSpec"),
    },
    "GetModelMetadataRequest": {
        "model_spec": (1, "ModelSpec"),
        "metadata_field": (2, "repeated string"),
    },
    "GetModelMetadataResponse": {
        "model_spec": (1, "ModelSpec"),
        "metadata": (2, "map .google.protobuf.Any"),
    },
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
    "ModelVersionStatus": {"version": (1, "int64"), "state": (2, "int32")},
    "GetModelStatusResponse": {
        "model_version_status": (1, "repeated ModelVersionStatus")
    },
}
STATES = {
    **{0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE"},
    **{40: "UNLOADING", 50: "END"},
}


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(
        name="tfrec/wire.proto", package=PACKAGE, syntax="proto3"
    )
    for module in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        file.dependency.append(module.DESCRIPTOR.name)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for key, (number, kind) in fields.items():
            rule, _, kind = kind.rpartition(" ")
            if rule == "map":
                kind = _entry(message, key, kind)
            _field(message, key, number, kind, repeated=bool(rule))
    pool.Add(file)
    return pool


def _field(
    message: Any, name: str, number: int, kind: str, *, repeated: bool = False
) -> None:
    field = message.field.add(name=name, number=number, label=3 if repeated else 1)
    field.type = KINDS.get(kind, MESSAGE)
    if kind not in KINDS:
        field.type_name = kind if kind.startswith(".") else f".{PACKAGE}.{kind}"


def _entry(message: Any, key: str, kind: str) -> str:
    """Adds the message that a map from strings repeats; returns its name."""
    name = "".join(part.capitalize() for part in key.split("_")) + "Entry"
    entry = message.nested_type.add(name=name)
    entry.options.map_entry = True
    _field(entry, "key", 1, "string")
    _field(entry, "value", 2, kind)
    return f"{message.name}.{name}"


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(
        _POOL.FindMessageTypeByName(f"{PACKAGE}.{name}")
    )


_POOL = _pool()
TensorProto = _class("TensorProto")
ModelSpec = _class("ModelSpec")
PredictResponse = _class("PredictResponse")
SignatureDefMap = _class("SignatureDefMap")
GetModelMetadataRequest = _class("GetModelMetadataRequest")
GetModelMetadataResponse = _class("GetModelMetadataResponse")
GetModelStatusRequest = _class("GetModelStatusRequest")
GetModelStatusResponse = _class("GetModelStatusResponse")
