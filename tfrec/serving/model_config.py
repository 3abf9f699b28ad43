"""`models.config`: the text file that tells TensorFlow Serving what to load."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfrec.serving.errors import ServingError
from tfrec.serving.sources import Source


def read(path: str | os.PathLike[str]) -> list[Source]:
    """The servables that a `models.config` names.

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
    if config.WhichOneof("config") != "model_config_list":
        raise _bad(path, "it has no model_config_list")
    if not config.model_config_list.config:
        raise _bad(path, "its model_config_list is empty")
    sources: dict[str, Source] = {}
    for entry in config.model_config_list.config:
        if entry.name in sources:
            text = f"Illegal to list model {entry.name} multiple times in config list"
            raise _bad(path, text)
        sources[entry.name] = _source(path, entry)
    return list(sources.values())


def _source(path: Any, entry: Any) -> Source:
    if not entry.name:
        raise _bad(path, "a model has no name")
    if not os.path.isabs(entry.base_path):
        raise _bad(
            path,
            f"Expected model {entry.name} to have an absolute path or URI; got "
            f"base_path()={entry.base_path}",
        )
    if entry.model_platform != "tensorflow":
        raise _bad(
            path,
            f"Model {entry.name} requests unsupported platform "
            f'"{entry.model_platform}"; write model_platform: "tensorflow"',
        )
    for name in ("version_labels", "logging_config"):
        if name in {field.name for field, _ in entry.ListFields()}:
            raise _bad(path, f"model {entry.name} has {name}, which this server lacks")
    if not os.path.isdir(entry.base_path):
        found = (
            f"model {entry.name} has base_path {entry.base_path}, which is no folder"
        )
        raise _bad(path, found)
    policy = entry.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    folder = Path(entry.base_path)
    if kind == "all":
        return Source(entry.name, folder, latest=None)
    if kind == "specific":
        versions = tuple(dict.fromkeys(policy.specific.versions))
        if not versions:
            raise _bad(
                path, f"model {entry.name} has a specific policy with no version"
            )
        return Source(entry.name, folder, specific=versions)
    return Source(entry.name, folder, latest=policy.latest.num_versions or 1)


def _bad(path: str | os.PathLike[str], found: str) -> ServingError:
    return ServingError(
        f"serve: {found}. Received: model_config_file={os.fspath(path)!r}.",
        "INVALID_ARGUMENT",
    )
