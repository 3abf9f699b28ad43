"""Only ops that stock TensorFlow Serving 2.20 has may leave the house."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from tfrec import _checks

RELEASE = "2.20"


@functools.cache
def known_ops() -> dict[str, frozenset[str]]:
    """Attributes by op: what the CPU build of TensorFlow Serving runs.

    >>> "transpose_b" in known_ops()["MatMul"], "PyFunc" in known_ops()
    (True, False)
    """
    file = resources.files("tfrec.export") / "serving_ops.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if not line.startswith("#")]
    return {op: frozenset(attributes) for op, *attributes in words}


def check_nodes(owner: str, servable: str, nodes: Iterable[Any], own: set[str]) -> None:
    """Raises `ValueError` on an op, or an attribute, that the release lacks.

    Args:
        owner: whom the error names.
        servable: its name.
        nodes: `NodeDef` messages.
        own: names of the graph's functions; they may be called like ops.

    >>> check_nodes("export.save", "ranker", [], set())
    """
    ops = known_ops()
    for node in nodes:
        if node.op in own:
            continue
        way_out = "Build the model from layers whose call uses core TensorFlow ops."
        if node.op not in ops:
            rule = f"must hold only ops of TensorFlow Serving {RELEASE}"
            received = f'{node.op}, node "{node.name}"'
            raise _checks.argument(owner, servable, rule, received, way_out)
        # Attributes with a leading "_" are notes that any release ignores.
        news = {key for key in node.attr if not key.startswith("_")} - ops[node.op]
        if news:
            rule = f"must hold only attributes of TensorFlow Serving {RELEASE}"
            received = f"{node.op}.{min(news)}"
            raise _checks.argument(owner, servable, rule, received, way_out)


def check_saved_model(owner: str, servable: str, folder: Path) -> None:
    """`check_nodes` for a SavedModel on disk, its functions included."""
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString((folder / "saved_model.pb").read_bytes())
    for meta_graph in message.meta_graphs:
        graph = meta_graph.graph_def
        own = {function.signature.name for function in graph.library.function}
        check_nodes(owner, servable, graph.node, own)
        for function in graph.library.function:
            compiled = function.attr.get("_XlaMustCompile")
            if compiled is not None and compiled.b:
                rule = "must not be compiled by XLA, which TensorFlow Serving has off"
                way_out = "Drop `jit_compile=True` from the layer's functions."
                name = function.signature.name
                raise _checks.argument(owner, servable, rule, name, way_out)
            check_nodes(owner, servable, function.node_def, own)
