"""One loaded version of a servable: its graph, its signatures, its answers."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2

from tfrec.serving import messages, tensors
from tfrec.serving.errors import ServingError
from tfrec.serving.graph_call import Cost, GraphCall, session_config
from tfrec.serving.refusal import code_name

DEFAULT_SIGNATURE = "serving_default"
MOST_KEPT_FILTERS = 32
LOOPS = ("While", "StatelessWhile", "LoopCond")  # ops whose end the inputs decide


class Servable:
    """A SavedModel in a graph and a session of its own.

    Args:
        name: str. What requests call it.
        version: int.
        folder: the SavedModel's folder.
        tags: names of the graph in the SavedModel.
        intra_op, inter_op: int. Threads of an op and between ops; 0: all cores.

    It is freed by `close`, which waits for nobody: ask `idle` first.
    Raises: `ServingError` when the folder holds no SavedModel that loads.
    """

    def __init__(
        self,
        name: str,
        version: int,
        folder: str | os.PathLike[str],
        *,
        tags: Sequence[str] = ("serve",),
        intra_op: int = 0,
        inter_op: int = 0,
    ) -> None:
        self.name = name
        self.version = version
        self._users = 0
        self._lock = threading.Lock()
        graph = tf.Graph()
        config = session_config(intra_op, inter_op)
        self._session: Any = tf.compat.v1.Session(graph=graph, config=config)
        try:
            with graph.as_default():
                loaded = tf.compat.v1.saved_model.loader.load(
                    self._session, list(tags), os.fspath(folder)
                )
        except Exception as error:  # whatever a broken file makes TensorFlow raise
            self._session.close()
            raise broken(name, version, folder, error) from error
        self.signatures: Mapping[str, Signature] = {
            key: Signature(self, key, definition)
            for key, definition in loaded.signature_def.items()
        }
        self.metadata = _metadata(loaded.signature_def)
        self.may_not_end = _has_loops(graph)

    def call(self, feeds: Sequence[str], fetches: Sequence[str]) -> GraphCall:
        """A way to run part of the graph."""
        return GraphCall(self._session, feeds, fetches)

    def acquire(self) -> None:
        """Counts somebody who uses it, until `release`."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Ends one `acquire`."""
        with self._lock:
            self._users -= 1

    @property
    def idle(self) -> bool:
        """True when nobody uses it."""
        return self._users == 0

    def close(self) -> None:
        """Frees the session and the graph, whose parts hold each other."""
        self._session.close()
        self._session = None
        self.signatures = {}
        gc.collect()


class Signature:
    """Named inputs and outputs of a servable.

    Args:
        servable: the `Servable` that it belongs to.
        name: str. Its key.
        definition: SignatureDef.
    """

    def __init__(self, servable: Servable, name: str, definition: Any) -> None:
        self.name = name
        self.inputs = {key: definition.inputs[key] for key in sorted(definition.inputs)}
        self.types = [info.dtype for info in self.inputs.values()]
        self.outputs = {
            key: definition.outputs[key].name for key in sorted(definition.outputs)
        }
        self.defaults = {
            key: tensors.decode(proto) for key, proto in definition.defaults.items()
        }
        self.definition = definition
        self.servable = servable
        self.spec = messages.model_spec(servable.name, servable.version, name)
        self._calls: dict[tuple[str, ...], tuple[GraphCall, Cost]] = {}

    def run(
        self,
        outputs: tuple[str, ...],
        arrays: Sequence[np.ndarray],
        seconds: float | None = None,
    ) -> list[np.ndarray]:
        """The outputs' arrays; learns how long the run took.

        Args:
            outputs: names, in the order of the answer.
            arrays: one an input, in the order of `inputs`.
            seconds: number or None. Stops the graph after them.
        """
        call, cost = self._call(outputs)
        warm = call.warm(seconds)
        begin = time.perf_counter()
        results = call(arrays, seconds)
        if warm:  # the first run makes and optimises the graph's callable
            cost.learn(size_of(arrays), time.perf_counter() - begin)
        return results

    def response(
        self, outputs: tuple[str, ...], values: Sequence[Any], *, content: bool = False
    ) -> bytes:
        """The bytes of a PredictResponse; `content`: numbers as tensor_content."""
        answers = dict(zip(outputs, values, strict=True))
        return messages.predict_response(self.spec, answers, content=content)

    def slow(self, outputs: tuple[str, ...], arrays: Sequence[np.ndarray]) -> bool:
        """True when `run` should not run where it holds up others.

        A graph with a loop never should: how often it turns, and with it how long
        a run takes, depends on what it gets.
        """
        known = self._calls.get(outputs)
        if known is None or self.servable.may_not_end or not known[0].warm(None):
            return True
        return known[1].slow(size_of(arrays))

    def _call(self, outputs: tuple[str, ...]) -> tuple[GraphCall, Cost]:
        known = self._calls.get(outputs)
        if known is None:
            feeds = [info.name for info in self.inputs.values()]
            fetches = [self.outputs[key] for key in outputs]
            known = (self.servable.call(feeds, fetches), Cost())
            if len(self._calls) < MOST_KEPT_FILTERS:
                known = self._calls.setdefault(outputs, known)
        return known


def broken(name: str, version: int, folder: Any, error: BaseException) -> ServingError:
    """The error of a version that does not load."""
    number = getattr(error, "error_code", None)
    code = error.code if isinstance(error, ServingError) else code_name(number or 2)
    return ServingError(
        f'serve: version {version} of servable "{name}" does not load. Received: '
        f"{os.fspath(folder)}: {error}",
        code,
    )


def _has_loops(graph: tf.Graph) -> bool:
    """True when some run may be long though those before were quick."""
    definition = graph.as_graph_def()
    bodies = [definition.node, *(one.node_def for one in definition.library.function)]
    return any(node.op in LOOPS for nodes in bodies for node in nodes)


def _metadata(signatures: Mapping[str, Any]) -> Any:
    """The `signature_def` entry of GetModelMetadata, an Any."""
    definitions = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in signatures.items():
        definitions.signature_def[key].CopyFrom(definition)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.metadata["signature_def"].Pack(definitions)
    return response.metadata["signature_def"]


def size_of(arrays: Iterable[np.ndarray]) -> int:
    """Bytes of all arrays."""
    return sum([array.nbytes for array in arrays])
