"""tfrec: recommender papers as ordinary Keras 3 models, fitted, exported, served.

Importing it is cheap: TensorFlow, Keras and pyarrow load on first use.
"""

import importlib
from typing import Any

from tfrec import _keras_names

__version__ = "0.1.0"

_HOMES = {
    "Bucketized": "tfrec.features",
    "Categorical": "tfrec.features",
    "Crossed": "tfrec.features",
    "FeatureSpec": "tfrec.features",
    "MultiCategorical": "tfrec.features",
    "Numeric": "tfrec.features",
    "NumericSequence": "tfrec.features",
    "Sequence": "tfrec.features",
    "Embeddings": "tfrec.embeddings",
    "IdEncoder": "tfrec.encoder",
    "describe": "tfrec.features.describe",
    "extend": "tfrec.growth",
}
_PACKAGES = (
    "callbacks",
    "data",
    "datasets",
    "evaluation",
    "export",
    "features",
    "index",
    "layers",
    "losses",
    "models",
    "optimizers",
    "plots",
    "serving",
    "testing",
)

__all__ = ["__version__", *_HOMES, *_PACKAGES]

_keras_names.announce()


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"tfrec.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'tfrec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
