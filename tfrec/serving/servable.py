"""One loaded version of a servable: its graph, its signatures, its answers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2

from tfrec.serving import messages, tensors
from tfrec.serving.errors import ServingError
from tfrec.serving.graph_call import Cost, GraphCall
from tfrec.serving.refusal import code_name

DEFAULT_SIGNATURE = "serving_default"
MOST_KEPT_FILTERS = 32


class Servable:
    """A SavedModel in a graph and a session of its own.

    Args:
        name: str. What requests call it.
        version: int.
        folder: the SavedModel's folder.

    Raises: `ServingError` when the folder holds no SavedModel that loads.
    """

    def __init__(self, name: str, version: int, folder: str | os.PathLike[str]) -> None:
        self.name = name
        self.version = version
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        try:
            with graph.as_default():
                loaded = tf.compat.v1.saved_model.loader.load(
                    self._session, ["serve"], os.fspath(folder)
                )
        except Exception as error:  # whatever a broken file makes TensorFlow raise
            self._session.close()
            raise broken(name, version, folder, error) from error
        self.signatures: Mapping[str, Signature] = {
            key: Signature(self, key, definition)
            for key, definition in loaded.signature_def.items()
        }
        self.metadata = _metadata(loaded.signature_def)

    def call(self, feeds: Sequence[str], fetches: Sequence[str]) -> GraphCall:
        """A way to run part of the graph."""
        return GraphCall(self._session, feeds, fetches)

    def close(self) -> None:
        """Frees the session; nothing may run any more."""
        self._session.close()


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
        self.outputs = {
            key: definition.outputs[key].name for key in sorted(definition.outputs)
        }
        self.defaults = {
            key: tensors.decode(proto) for key, proto in definition.defaults.items()
        }
        self._servable = servable
        self._spec = messages.model_spec(servable.name, servable.version, name)
        self._calls: dict[tuple[str, ...], tuple[GraphCall, Cost]] = {}

    def answer(self, outputs: tuple[str, ...], arrays: Sequence[np.ndarray]) -> bytes:
        """The bytes of the PredictResponse; learns how long the run took."""
        call, cost = self._call(outputs)
        begin = time.perf_counter()
        results = call(arrays)
        cost.learn(_size(arrays), time.perf_counter() - begin)
        answers = dict(zip(outputs, results, strict=True))
        return messages.predict_response(self._spec, answers)

    def slow(self, outputs: tuple[str, ...], arrays: Sequence[np.ndarray]) -> bool:
        """True when `answer` should not run where it holds up others."""
        known = self._calls.get(outputs)
        return known is None or known[1].slow(_size(arrays))

    def _call(self, outputs: tuple[str, ...]) -> tuple[GraphCall, Cost]:
        known = self._calls.get(outputs)
        if known is None:
            feeds = [info.name for info in self.inputs.values()]
            fetches = [self.outputs[key] for key in outputs]
            known = (self._servable.call(feeds, fetches), Cost())
            if len(self._calls) < MOST_KEPT_FILTERS:
                known = self._calls.setdefault(outputs, known)
        return known


def broken(name: str, version: int, folder: Any, error: Exception) -> ServingError:
    """The error of a version that does not load."""
    number = getattr(error, "error_code", None)
    code = error.code if isinstance(error, ServingError) else code_name(number or 2)
    return ServingError(
        f'serve: version {version} of servable "{name}" does not load. Received: '
        f"{os.fspath(folder)}: {error}",
        code,
    )


def _metadata(signatures: Mapping[str, Any]) -> Any:
    """The `signature_def` entry of GetModelMetadata, an Any."""
    definitions = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in signatures.items():
        definitions.signature_def[key].CopyFrom(definition)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.metadata["signature_def"].Pack(definitions)
    return response.metadata["signature_def"]


def _size(arrays: Iterable[np.ndarray]) -> int:
    return sum(array.nbytes for array in arrays)
