"""Configuration files in protobuf's text form that no package brings protos for.

`BatchingParameters`, `MonitoringConfig` and `SSLConfig` are messages
with TensorFlow Serving's field names; `read` fills one from a file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from tfrec.serving.errors import ServingError

PACKAGE = "tensorflow.serving"
INT, BOOL, TEXT = ".Int64Value", ".BoolValue", ".StringValue"
MESSAGES: dict[str, dict[str, str]] = {
    "BatchingParameters": {
        "max_batch_size": INT,
        "batch_timeout_micros": INT,
        "max_enqueued_batches": INT,
        "num_batch_threads": INT,
        "thread_pool_name": TEXT,
        "allowed_batch_sizes": "repeated int64",
        "pad_variable_length_inputs": "bool",
        "enable_large_batch_splitting": BOOL,
        "max_execution_batch_size": INT,
    },
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": "PrometheusConfig"},
    "SSLConfig": {
        "server_key": "string",
        "server_cert": "string",
        "custom_ca": "string",
        "client_verify": "bool",
    },
}


def _pool() -> descriptor_pool.DescriptorPool:
    """The messages' descriptors, in a pool of their own: names clash with nobody."""
    pool = descriptor_pool.DescriptorPool()
    wrappers = wrappers_pb2.DESCRIPTOR.serialized_pb
    pool.AddSerializedFile(wrappers)
    proto = descriptor_pb2.FileDescriptorProto(
        name="tfrec/text_configs.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    for name, fields in MESSAGES.items():
        message = proto.message_type.add(name=name)
        for number, (key, kind) in enumerate(fields.items(), 1):
            field = message.field.add(name=key, number=number, label=1)
            if kind.startswith("repeated "):
                field.label, kind = 3, kind.removeprefix("repeated ")
            if kind in MESSAGES:
                field.type, field.type_name = 11, f".{PACKAGE}.{kind}"
            elif kind.startswith("."):
                field.type, field.type_name = 11, f".google.protobuf{kind}"
            else:
                field.type = {"int64": 3, "bool": 8, "string": 9}[kind]
    pool.Add(proto)
    return pool


_POOL = _pool()


def message(name: str) -> Any:
    """An empty message of a kind in `MESSAGES`.

    >>> config = message("MonitoringConfig")
    >>> config.prometheus_config.path
    ''
    """
    kind = _POOL.FindMessageTypeByName(f"{PACKAGE}.{name}")
    return message_factory.GetMessageClass(kind)()


def read(name: str, path: str | os.PathLike[str], argument: str) -> Any:
    """A message from a text file.

    Args:
        name: str. A key of `MESSAGES`.
        path: the file.
        argument: str. The flag that named the file, for errors.

    Raises: `ServingError` when the file is not there or does not parse.
    """
    config = message(name)
    try:
        text_format.Parse(Path(path).read_text(encoding="utf-8"), config)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ServingError(
            f"serve: `{argument}` must be a text-format {PACKAGE}.{name}. "
            f"Received: {argument}={os.fspath(path)!r}: {error}",
            "INVALID_ARGUMENT",
        ) from error
    return config
