"""The methods of TensorFlow Serving's REST API: JSON in, JSON out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    regression_pb2,
)

from tfrec.serving import json_predict, json_text, metrics, rest_examples
from tfrec.serving.json_text import invalid
from tfrec.serving.rest_body import Bodies

DEFAULT_SIGNATURE = "serving_default"
INLINE = 2**18  # bytes of JSON; more would hold up others
INLINE_VALUES = 2**15


class RestApi:
    """Answers what a route asks for, with a server's services.

    Each method takes a ModelSpec and the aiohttp request, and returns the JSON text
    or raises `Refusal`, `asyncio.TimeoutError` or `ConnectionError`.

    Args:
        services: `Services`.
        seconds: float. Time that a graph may take.
        bodies: `Bodies`. Reads the requests' bodies.
    """

    def __init__(self, services: Any, seconds: float, bodies: Bodies) -> None:
        self._services = services
        self._seconds = seconds
        self._bodies = bodies
        self._thread = ThreadPoolExecutor(1, "json")  # one large text at a time

    async def predict(self, spec: Any, request: Any) -> bytes:
        """POST ...:predict."""
        with contextlib.ExitStack() as held:
            signature, arrays, by_row = await self._arrays(spec, request, held)
            keys = tuple(signature.outputs)
            values = await self._services.run(signature, keys, arrays, self._seconds)
            self._services.log_predict(signature, keys, arrays, values)
        begin = time.perf_counter()
        large = sum(map(np.size, values)) > INLINE_VALUES
        outputs = dict(zip(keys, values, strict=True))
        text = await self._work(large, _predicted, outputs, by_row)
        metrics.stage(spec.name, "predict", "encode", _since(begin))
        return text

    async def classify(self, spec: Any, request: Any) -> bytes:
        """POST ...:classify."""
        asked = classification_pb2.ClassificationRequest(model_spec=spec)
        data = await self._examples(asked, request, self._services.classify)
        response = classification_pb2.ClassificationResponse.FromString(data)
        return json_text.dump(rest_examples.classified(response))

    async def regress(self, spec: Any, request: Any) -> bytes:
        """POST ...:regress."""
        asked = regression_pb2.RegressionRequest(model_spec=spec)
        data = await self._examples(asked, request, self._services.regress)
        response = regression_pb2.RegressionResponse.FromString(data)
        return json_text.dump(rest_examples.regressed(response))

    async def status(self, spec: Any, request: Any) -> bytes:
        """GET .../MODEL."""
        asked = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        data = await self._services.get_model_status(asked, self._seconds, "REST")
        response = get_model_status_pb2.GetModelStatusResponse.FromString(data)
        return json_text.dump(_as_dict(response))

    async def metadata(self, spec: Any, request: Any) -> bytes:
        """GET .../MODEL/metadata."""
        asked = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=["signature_def"]
        )
        data = await self._services.get_model_metadata(asked, self._seconds, "REST")
        response = get_model_metadata_pb2.GetModelMetadataResponse.FromString(data)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(definitions)
        parts = {"signature_def": _as_dict(definitions)}
        document = {"model_spec": _as_dict(response.model_spec), "metadata": parts}
        return json_text.dump(document)

    def close(self) -> None:
        """Ends the thread that large texts are read and written in."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _arrays(
        self, spec: Any, request: Any, held: contextlib.ExitStack
    ) -> tuple[Any, list[np.ndarray], bool]:
        """The signature, its inputs in order, and whether they came by row.

        `held` keeps the version loaded. Nothing of the body outlives this call.
        """
        async with self._bodies.read(request) as body:
            begin = time.perf_counter()
            large = len(body) > INLINE
            document = await self._work(large, json_text.parse, body)
            name = json_predict.signature_name(document) or DEFAULT_SIGNATURE
            servable = held.enter_context(self._services.repository.hold(spec))
            signature = servable.signatures.get(name)
            if signature is None:
                text = f'Serving signature name: "{name}" not found in signature def'
                raise invalid(text)
            arrays, by_row = await self._work(
                large, json_predict.arrays, document, signature.inputs
            )
            metrics.stage(spec.name, "predict", "decode", _since(begin))
            return signature, [arrays[alias] for alias in signature.inputs], by_row

    async def _examples(self, asked: Any, request: Any, method: Any) -> bytes:
        async with self._bodies.read(request) as body:
            large = len(body) > INLINE
            document = await self._work(large, json_text.parse, body)
            await self._work(large, rest_examples.fill, asked, document)
            del document
        return await method(asked, self._seconds, "REST")

    async def _work(self, large: bool, work: Callable[..., Any], *sent: Any) -> Any:
        """Runs `work` here or, when it would hold up others, in the thread."""
        if not large:
            return work(*sent)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, *sent)


def _predicted(outputs: Any, by_row: bool) -> bytes:
    return json_text.dump(json_predict.answer(outputs, by_row=by_row))


def _as_dict(message: Any) -> Any:
    return json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )


def _since(begin: float) -> float:
    return time.perf_counter() - begin
