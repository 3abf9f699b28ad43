"""`models.config`: what tells TensorFlow Serving what to load, by file or by RPC."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfrec.serving.errors import ServingError
from tfrec.serving.refusal import Refusal
from tfrec.serving.sources import Source

PLATFORM = "tensorflow"
TENSORFLOW = 1  # the value of the field `model_type` that came before the platform


def read(path: str | os.PathLike[str], served: Collection[str] = ()) -> list[Source]:
    """The servables that a `models.config` names.

    Args:
        path: the file.
        served: names that are served now.

    Raises: `ServingError` when the file is not there or does not parse, names a
    servable twice or a folder that is not absolute or not there, or asks for
    what this server does not do.
    """
    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(Path(path).read_text(encoding="utf-8"), config)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ServingError(
            "serve: Error parsing text-format tensorflow.serving.ModelServerConfig. "
            f"Received: model_config_file={os.fspath(path)!r}: {error}",
            "INVALID_ARGUMENT",
        ) from error
    try:
        return sources_of(config, served)
    except Refusal as refusal:
        raise ServingError(
            f"serve: {refusal.message.rstrip('.')}. Received: "
            f"model_config_file={os.fspath(path)!r}.",
            refusal.code.name,
        ) from refusal


def sources_of(config: Any, served: Collection[str] = ()) -> list[Source]:
    """The servables that a ModelServerConfig names.

    Raises: `Refusal`.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise _bad(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
            "ModelConfigList is currently supported"
        )
    sources: dict[str, Source] = {}
    for entry in config.model_config_list.config:
        if entry.name in sources:
            text = f"Illegal to list model {entry.name} multiple times in config list"
            raise _bad(text)
        sources[entry.name] = _source(entry, entry.name in served)
    return list(sources.values())


def _source(entry: Any, served: bool) -> Source:
    if not entry.name:
        raise _bad("a model has no name")
    if not os.path.isabs(entry.base_path):
        raise _bad(
            f"Expected model {entry.name} to have an absolute path or URI; got "
            f"base_path()={entry.base_path}"
        )
    platform = entry.model_platform
    if not platform and entry.model_type == TENSORFLOW:
        platform = PLATFORM
    if not platform:
        raise _bad(
            "Illegal setting neither ModelServerConfig::model_type nor "
            f"ModelServerConfig::model_platform. For model {entry.name} write "
            f'model_platform: "{PLATFORM}"'
        )
    if platform != PLATFORM and served:
        raise _bad(
            f"Illegal to change a model's platform. For model {entry.name}, platform "
            f"was {PLATFORM}, requested: {platform}"
        )
    if platform != PLATFORM:
        raise _bad(f"Model {entry.name} requests unsupported platform {platform}")
    if entry.HasField("logging_config"):
        raise _bad(f"No request-logger-creator provided. Model {entry.name} wants one")
    if not os.path.isdir(entry.base_path):
        text = f"model {entry.name} has base_path {entry.base_path}, which is no folder"
        raise _bad(text)
    policy = entry.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    versions = tuple(dict.fromkeys(policy.specific.versions))
    if kind == "specific" and not versions:
        raise _bad(f"model {entry.name} has a specific policy with no version")
    return Source(
        entry.name,
        Path(entry.base_path),
        latest=None if kind == "all" else policy.latest.num_versions or 1,
        specific=versions,
        labels=dict(entry.version_labels),
    )


def _bad(text: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", text)
