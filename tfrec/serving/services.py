"""The gRPC methods: raw bytes in, raw bytes out."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from tfrec.serving import predict
from tfrec.serving.refusal import Refusal
from tfrec.serving.repository import Repository

logger = logging.getLogger(__name__)
Method = Callable[[bytes, float | None], Awaitable[bytes]]


class Services:
    """Answers requests with the servables of a repository.

    What is known to be quick runs on the event loop, all else in threads, so
    that no slow graph holds up the others.

    Args:
        repository: the loaded servables.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._threads = ThreadPoolExecutor(max(os.cpu_count() or 1, 4), "predict")

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """What a `grpc.aio` server is given."""
        services: dict[str, dict[str, Method]] = {
            "PredictionService": {
                "Predict": self.predict,
                "GetModelMetadata": self.get_model_metadata,
            },
            "ModelService": {"GetModelStatus": self.get_model_status},
        }
        return [
            grpc.method_handlers_generic_handler(
                f"tensorflow.serving.{service}",
                {
                    name: grpc.unary_unary_rpc_method_handler(_answering(method))
                    for name, method in methods.items()
                },
            )
            for service, methods in services.items()
        ]

    async def predict(self, data: bytes, seconds: float | None) -> bytes:
        """PredictionService/Predict."""
        request = _parse(predict_pb2.PredictRequest, data)
        job = predict.prepare(self._repository.find(request), request)
        if not job.slow:
            return job.run()
        loop = asyncio.get_running_loop()
        # A caller that gives up or runs out of time takes its job from the queue.
        running = loop.run_in_executor(self._threads, job.run)
        return await asyncio.wait_for(running, seconds)

    async def get_model_metadata(self, data: bytes, seconds: float | None) -> bytes:
        """PredictionService/GetModelMetadata."""
        request = _parse(get_model_metadata_pb2.GetModelMetadataRequest, data)
        if not request.HasField("model_spec"):
            raise Refusal("INVALID_ARGUMENT", "Missing ModelSpec")
        if not request.metadata_field:
            text = "GetModelMetadataRequest must specify at least one metadata_field"
            raise Refusal("INVALID_ARGUMENT", text)
        for name in request.metadata_field:
            if name != "signature_def":
                text = f"Metadata field {name} is not supported"
                raise Refusal("INVALID_ARGUMENT", text)
        servable = self._repository.find(request)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.metadata["signature_def"].CopyFrom(servable.metadata)
        return response.SerializeToString(deterministic=True)

    async def get_model_status(self, data: bytes, seconds: float | None) -> bytes:
        """ModelService/GetModelStatus."""
        request = _parse(get_model_status_pb2.GetModelStatusRequest, data)
        return self._repository.status(request)

    def close(self) -> None:
        """Starts nothing more; what nobody waits for any more is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _answering(method: Method) -> Callable[[bytes, Any], Awaitable[bytes]]:
    """The handler of a method: refusals become statuses, and nothing escapes."""

    async def handle(data: bytes, context: Any) -> bytes:
        seconds = context.time_remaining()
        try:
            if seconds is not None and seconds <= 0:
                raise asyncio.TimeoutError
            return await method(data, seconds)
        except Refusal as refusal:
            code, text = refusal.code, refusal.message
        except asyncio.TimeoutError:
            code, text = grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"
        except Exception as error:
            logger.exception("a request failed in a way nobody thought of")
            code, text = grpc.StatusCode.INTERNAL, f"{type(error).__name__} in server"
        return await context.abort(code, text)

    return handle


def _parse(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        text = f"the request does not parse as {kind.DESCRIPTOR.full_name}"
        raise Refusal("INTERNAL", text) from error
