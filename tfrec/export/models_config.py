"""`models.config`: what a TensorFlow Serving fleet loads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = "/models"
FILE = "models.config"


def servables(root: Path) -> dict[str, list[int]]:
    """The versions of every servable below `root`, by name."""
    found = {}
    for place in sorted(root.iterdir()):
        if not place.is_dir():
            continue
        versions = sorted(int(p.name) for p in place.iterdir() if p.name.isdigit())
        if versions:
            found[place.name] = versions
    return found


def write_models_config(
    root: Path, labels: Mapping[str, Mapping[str, int]] | None = None
) -> Path:
    """Lists every servable below `root`; its folder is mounted at `/models`.

    What the file already says of a servable, its labels and its version policy,
    stays as it is.

    Args:
        root: folder of the servables.
        labels: {servable: {label: version}}: exactly these versions are served,
            under these labels; an empty dict takes the labels away. None: as before.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    file = root / FILE
    before: dict[str, Any] = {}
    if file.exists():
        old = model_server_config_pb2.ModelServerConfig()
        text_format.Parse(file.read_text(encoding="utf-8"), old)
        before = {entry.name: entry for entry in old.model_config_list.config}
    config = model_server_config_pb2.ModelServerConfig()
    for name in servables(root):
        entry = config.model_config_list.config.add()
        if name in before:
            entry.CopyFrom(before[name])
        entry.name, entry.model_platform = name, "tensorflow"
        entry.base_path = f"{ROOT}/{name}"
        if labels is not None and name in labels:
            entry.ClearField("version_labels")
            entry.ClearField("model_version_policy")
            entry.version_labels.update(labels[name])
            versions = sorted(set(labels[name].values()))
            entry.model_version_policy.specific.versions.extend(versions)
            if not versions:
                entry.ClearField("model_version_policy")
    if not config.model_config_list.config:
        config.model_config_list.SetInParent()
    replace(file, text_format.MessageToString(config))
    return file


def replace(file: Path, text: str) -> None:
    """Writes a text file beside its place and moves it there."""
    partial = file.with_name(file.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, file)
