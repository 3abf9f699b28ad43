"""`models.config`: what a TensorFlow Serving fleet loads."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = "/models"


def write_models_config(root: Path) -> Path:
    """Lists every servable below `root`; its folder is mounted at `/models`."""
    entries = [
        "  config {\n"
        f'    name: "{servable.name}"\n'
        f'    base_path: "{ROOT}/{servable.name}"\n'
        '    model_platform: "tensorflow"\n'
        "  }\n"
        for servable in sorted(root.iterdir())
        if servable.is_dir() and any(p.name.isdigit() for p in servable.iterdir())
    ]
    text = "model_config_list {\n" + "".join(entries) + "}\n"
    file = root / "models.config"
    partial = file.with_name(file.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, file)
    return file
