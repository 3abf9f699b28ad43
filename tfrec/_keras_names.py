"""Makes `import tfrec` enough for `keras.models.load_model`.

Keras finds a class of a saved model only under its registered name, and tfrec
imports neither Keras nor its own layers before they are needed. So the names are
announced to Keras with stand-ins that import the real class when a file asks for
it: at once where Keras is loaded already, else as soon as it has been imported.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any

CLASSES = {
    "AdaptiveMimic": "tfrec.losses.adaptive_mimic",
    "BilinearInteraction": "tfrec.layers.interaction.bilinear_interaction",
    "CIN": "tfrec.layers.interaction.cin",
    "CapsuleRouting": "tfrec.layers.sequence.capsule_routing",
    "CategoryAlignment": "tfrec.losses.category_alignment",
    "CrossNetwork": "tfrec.layers.interaction.cross_network",
    "DenseCompiled": "tfrec.models.compile_dense",
    "Dice": "tfrec.layers.basic.dice",
    "Dropout": "tfrec.layers.basic.dropout",
    "EmbeddingTable": "tfrec.embeddings",
    "FM": "tfrec.layers.interaction.fm",
    "InBatchSoftmax": "tfrec.losses.in_batch_softmax",
    "InterestMLP": "tfrec.layers.sequence.interest_mlp",
    "JoinSides": "tfrec.layers.basic.join_sides",
    "LabelAwareAttention": "tfrec.layers.sequence.label_aware_attention",
    "LinearTerm": "tfrec.layers.basic.linear_term",
    "MLP": "tfrec.layers.basic.mlp",
    "MaskedPooling": "tfrec.layers.sequence.masked_pooling",
    "NumericFields": "tfrec.layers.basic.numeric_fields",
    "PaddingMask": "tfrec.layers.basic.padding_mask",
    "RowSparseAdagrad": "tfrec.optimizers.row_sparse_adagrad",
    "RowSparseAdam": "tfrec.optimizers.row_sparse_adam",
    "RowSparseFtrl": "tfrec.optimizers.row_sparse_ftrl",
    "RowSparseLossScale": "tfrec.optimizers.row_sparse_loss_scale",
    "RowSparseSGD": "tfrec.optimizers.row_sparse_sgd",
    "RowWiseAdagrad": "tfrec.optimizers.row_wise_adagrad",
    "SENet": "tfrec.layers.interaction.senet",
    "SelfAttentionInteraction": "tfrec.layers.interaction.self_attention_interaction",
    "StreamingFrequency": "tfrec.layers.retrieval.streaming_frequency",
    "TargetAttention": "tfrec.layers.sequence.target_attention",
    "TwoTower": "tfrec.models.two_tower",
    "WeightedPooling": "tfrec.layers.sequence.weighted_pooling",
}


class _StandIn:
    """Stands for a class until Keras builds an object from its config."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def from_config(self, config: dict[str, Any], *rest: Any, **options: Any) -> Any:
        module = importlib.import_module(CLASSES[self.__name__])
        return getattr(module, self.__name__).from_config(config, *rest, **options)


def announce() -> None:
    """Registers the stand-ins now, or when Keras is first imported."""
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "saving"):
        _register(keras)
    elif not any(isinstance(finder, _AfterKeras) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterKeras())


def _register(keras: ModuleType) -> None:
    known = keras.saving.get_custom_objects()
    for name in CLASSES:
        known.setdefault(f"tfrec>{name}", _StandIn(name))


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Lets Keras be imported as always and registers the names behind it."""

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("keras")
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            _register(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
