"""The methods of TensorFlow Serving's API: what gRPC and REST have in common.

Each method takes a request (a message or its bytes), the seconds that are left
(None: no limit) and the entrypoint ("GRPC" or "REST"). It returns the response's
bytes or raises `Refusal(code, message)` or `asyncio.TimeoutError`:

    await services.predict(request, seconds, entrypoint)
    await services.classify(request, seconds, entrypoint)
    await services.regress(request, seconds, entrypoint)
    await services.multi_inference(request, seconds, entrypoint)
    await services.get_model_metadata(request, seconds, entrypoint)
    await services.get_model_status(request, seconds, entrypoint)
    await services.handle_reload_config_request(request, seconds, entrypoint)

Who needs the signature before the inputs can be read (JSON) takes two steps; the
version stays loaded within `with`:

    with services.repository.hold(model_spec) as servable:
        signature = servable.signatures[key]   # .inputs {alias: TensorInfo}, .outputs
        arrays = [...]                         # one an input, in that order
        values = await services.run(signature, ("a", "b"), arrays, seconds)

`values` are arrays, one an output. `services.repository.ready()` is True when every
configured model has an available version; `services.repository.listing()` is
`{name: {version: "AVAILABLE", ...}}`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from tfrec.serving import inference, messages, metrics, model_config, predict
from tfrec.serving.batching import Batcher
from tfrec.serving.manager import Manager
from tfrec.serving.options import Options
from tfrec.serving.predict import Job
from tfrec.serving.refusal import Refusal
from tfrec.serving.repository import Repository
from tfrec.serving.request_log import RequestLog, record
from tfrec.serving.servable import Servable, Signature, size_of

logger = logging.getLogger(__name__)
Method = Callable[[Any, "float | None", str], Awaitable[bytes]]
RELOAD_SECONDS = 30.0  # that a new model may take to have any version at all


class Services:
    """Answers requests with the servables of a repository.

    What is known to be quick runs on the event loop, all else in threads, so
    that no slow graph holds up the others.

    Args:
        repository: the `Repository`.
        manager: the `Manager`; None: models cannot be set by a request.
        options: `Options`.
        batcher: `Batcher` or None. Runs requests together.

    Raises: `OSError` when there can be no folder for the request log.
    """

    def __init__(
        self,
        repository: Repository,
        manager: Manager | None = None,
        options: Options | None = None,
        batcher: Batcher | None = None,
    ) -> None:
        self.repository = repository
        self._manager = manager
        self._options = options or Options()
        self._batcher = batcher
        told = self._options
        self._log = None
        if told.request_log_dir:
            self._log = RequestLog(
                told.request_log_dir,
                told.request_log_sample_rate,
                told.request_log_max_bytes,
            )
        self._lock = threading.Lock()
        self._jobs = 0
        count = max(os.cpu_count() or 1, 4)
        self._most_jobs = count + self._options.max_queued_requests
        self._threads = ThreadPoolExecutor(count, "predict")

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """What a `grpc.aio` server is given."""
        services: dict[str, dict[str, Method]] = {
            "PredictionService": {
                "Predict": self.predict,
                "Classify": self.classify,
                "Regress": self.regress,
                "MultiInference": self.multi_inference,
                "GetModelMetadata": self.get_model_metadata,
            },
            "ModelService": {
                "GetModelStatus": self.get_model_status,
                "HandleReloadConfigRequest": self.handle_reload_config_request,
            },
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

    async def predict(
        self, data: Any, seconds: float | None, entrypoint: str = "GRPC"
    ) -> bytes:
        """PredictionService/Predict."""
        begin = time.perf_counter()
        request = _parse(predict_pb2.PredictRequest, data)
        content = self._options.enable_serialization_as_tensor_content
        with (
            _Observed(request.model_spec, "Predict", entrypoint, begin),
            self._hold(request) as servable,
        ):
            job = predict.prepare(servable, request, self._options.max_fill_bytes)
            metrics.stage(servable.name, "Predict", "decode", _since(begin))
            values = await self._values(job, seconds, "Predict")
            begin = time.perf_counter()
            answer = job.response(values, content=content)
            metrics.stage(servable.name, "Predict", "encode", _since(begin))
            self._logged("Predict", servable, data, answer)
            return answer

    async def classify(
        self, data: Any, seconds: float | None, entrypoint: str = "GRPC"
    ) -> bytes:
        """PredictionService/Classify."""
        begin = time.perf_counter()
        request = _parse(classification_pb2.ClassificationRequest, data)
        with (
            _Observed(request.model_spec, "Classify", entrypoint, begin),
            self._hold(request) as servable,
        ):
            spec = request.model_spec
            job = inference.prepare_classify(servable, spec, request.input)
            metrics.examples(servable.name, len(job.arrays[0]))
            values = await self._values(job, seconds, "Classify")
            response = classification_pb2.ClassificationResponse()
            response.result.CopyFrom(inference.classification(job, values))
            response.model_spec.CopyFrom(inference.spec_of(job))
            answer = response.SerializeToString(deterministic=True)
            self._logged("Classify", servable, data, answer)
            return answer

    async def regress(
        self, data: Any, seconds: float | None, entrypoint: str = "GRPC"
    ) -> bytes:
        """PredictionService/Regress."""
        begin = time.perf_counter()
        request = _parse(regression_pb2.RegressionRequest, data)
        with (
            _Observed(request.model_spec, "Regress", entrypoint, begin),
            self._hold(request) as servable,
        ):
            spec = request.model_spec
            job = inference.prepare_regress(servable, spec, request.input)
            metrics.examples(servable.name, len(job.arrays[0]))
            values = await self._values(job, seconds, "Regress")
            response = regression_pb2.RegressionResponse()
            response.result.CopyFrom(inference.regression(job, values))
            response.model_spec.CopyFrom(inference.spec_of(job))
            answer = response.SerializeToString(deterministic=True)
            self._logged("Regress", servable, data, answer)
            return answer

    async def multi_inference(
        self, data: Any, seconds: float | None, entrypoint: str = "GRPC"
    ) -> bytes:
        """PredictionService/MultiInference."""
        request = _parse(inference_pb2.MultiInferenceRequest, data)
        if not request.tasks:
            text = "Inference request must have at least one inference task."
            raise Refusal("INVALID_ARGUMENT", text)
        with self._hold(request.tasks[0]) as servable:
            jobs = inference.prepare_tasks(servable, request)
            metrics.examples(servable.name, len(jobs[0].arrays[0]))
            running = [self._values(job, seconds, "MultiInference") for job in jobs]
            answers = [await values for values in running]
            response = inference.results(request, jobs, answers)
            answer = response.SerializeToString(deterministic=True)
            self._logged("MultiInference", servable, data, answer)
            return answer

    async def get_model_metadata(
        self, data: Any, seconds: float | None, entrypoint: str = "GRPC"
    ) -> bytes:
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
        with self._hold(request) as servable:
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name = servable.name
            response.model_spec.version.value = servable.version
            response.metadata["signature_def"].CopyFrom(servable.metadata)
            return response.SerializeToString(deterministic=True)

    async def get_model_status(
        self, data: Any, seconds: float | None, entrypoint: str = "GRPC"
    ) -> bytes:
        """ModelService/GetModelStatus."""
        request = _parse(get_model_status_pb2.GetModelStatusRequest, data)
        return self.repository.status(request)

    async def handle_reload_config_request(
        self, data: Any, seconds: float | None, entrypoint: str = "GRPC"
    ) -> bytes:
        """ModelService/HandleReloadConfigRequest."""
        when, manager = self._options.allow_reload_config_request, self._manager
        if when == "never" or (when == "local" and not self._options.local):
            text = "HandleReloadConfigRequest is off while other machines can reach "
            text += "this server; --allow_reload_config_request=always turns it on"
            raise Refusal("PERMISSION_DENIED", text)
        if manager is None:
            text = "HandleReloadConfigRequest reaches one process of several; use "
            text += "--model_config_file_poll_wait_seconds"
            raise Refusal("FAILED_PRECONDITION", text)
        request = _parse(model_management_pb2.ReloadConfigRequest, data)
        before = metrics.totals(request.metric_names)
        served = self.repository.configured()
        loop = asyncio.get_running_loop()
        sources = await loop.run_in_executor(
            None, model_config.sources_of, request.config, served
        )
        waits = RELOAD_SECONDS if seconds is None else min(seconds, RELOAD_SECONDS)
        done = asyncio.wrap_future(manager.set(sources, seconds=waits))
        await asyncio.wait_for(done, seconds)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        for name, count in metrics.totals(before).items():
            grown = count - before[name]
            response.metric.add(name=name, int64_value_increase=grown)
        return response.SerializeToString()

    async def run(
        self,
        signature: Signature,
        outputs: Sequence[str],
        arrays: Sequence[np.ndarray],
        seconds: float | None,
        api: str = "predict",
    ) -> list[np.ndarray]:
        """The outputs' arrays, for arrays of the signature's dtypes in its order.

        Raises: `Refusal`; `asyncio.TimeoutError` after `seconds`.
        """
        job = Job(signature, tuple(outputs), list(arrays))
        return await self._values(job, seconds, api)

    def log_predict(
        self,
        signature: Signature,
        outputs: Sequence[str],
        arrays: Sequence[np.ndarray],
        values: Sequence[np.ndarray],
    ) -> None:
        """Logs what `run` got and gave, where the log wants it."""
        if self._log is None or not self._log.wants():
            return
        inputs = dict(zip(signature.inputs, arrays, strict=True))
        spec, rate = signature.spec, self._options.request_log_sample_rate

        def make() -> bytes:
            request = messages.predict_request(spec, inputs)
            answer = signature.response(tuple(outputs), values)
            return record("Predict", spec, rate, request, answer)

        size = size_of(arrays) + size_of(values)
        self._log.put(signature.servable.name, size, make)

    def _logged(self, api: str, servable: Servable, data: Any, answer: bytes) -> None:
        """Logs a request, a message or its bytes, where the log wants it."""
        if self._log is None or not self._log.wants():
            return
        spec = messages.model_spec(servable.name, servable.version)
        rate = self._options.request_log_sample_rate

        def make() -> bytes:
            request = data if isinstance(data, bytes) else data.SerializeToString()
            return record(api, spec, rate, request, answer)

        size = len(data) if isinstance(data, bytes) else data.ByteSize()
        self._log.put(servable.name, size + len(answer), make)

    async def _values(
        self, job: Job, seconds: float | None, api: str
    ) -> list[np.ndarray]:
        name = job.signature.servable.name
        if self._batcher is not None and job.arrays:
            begin = time.perf_counter()
            values = await self._batcher.run(job, seconds)
            metrics.stage(name, api, "run", _since(begin))  # its wait included
            return values
        if not job.slow:
            begin = time.perf_counter()
            values = job.run()
            metrics.stage(name, api, "run", _since(begin))
            return values
        return await self._in_thread(job, seconds, api)

    async def _in_thread(
        self, job: Job, seconds: float | None, api: str
    ) -> list[np.ndarray]:
        """Runs a job where it holds up nobody; it is stopped after `seconds`."""
        servable = job.signature.servable
        begin = time.perf_counter()

        def work() -> list[np.ndarray]:
            left = None if seconds is None else seconds - _since(begin)
            if left is not None and left <= 0:
                raise Refusal("DEADLINE_EXCEEDED", "Deadline Exceeded")
            metrics.stage(servable.name, api, "queue", _since(begin))
            started = time.perf_counter()
            values = job.run(left)
            metrics.stage(servable.name, api, "run", _since(started))
            return values

        def ended(_: Future[Any]) -> None:
            servable.release()
            with self._lock:
                self._jobs -= 1

        with self._lock:
            if self._jobs >= self._most_jobs:
                text = f"{self._jobs} requests wait for a thread; --max_queued_requests"
                raise Refusal("RESOURCE_EXHAUSTED", f"{text} bounds them")
            self._jobs += 1
        servable.acquire()  # the caller may give up before the graph does
        running = self._threads.submit(work)
        running.add_done_callback(ended)
        # A caller that gives up or runs out of time takes its job from the queue.
        return await asyncio.wait_for(asyncio.wrap_future(running), seconds)

    def _hold(self, request: Any) -> Any:
        if not request.HasField("model_spec"):
            raise Refusal("INVALID_ARGUMENT", "Missing ModelSpec")
        return self.repository.hold(request.model_spec)

    def close(self) -> None:
        """Starts nothing more; what nobody waits for any more is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._batcher is not None:
            self._batcher.close()
        if self._log is not None:
            self._log.close()


class _Observed:
    """Counts a request over gRPC when it ends; REST counts its own."""

    def __init__(self, spec: Any, api: str, entrypoint: str, begin: float) -> None:
        self._told = (spec.name, api, entrypoint)
        self._begin = begin

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        name, api, entrypoint = self._told
        if entrypoint == "GRPC":
            metrics.observe(name, api, entrypoint, _status(error), _since(self._begin))


def _status(error: BaseException | None) -> str:
    if error is None:
        return "OK"
    if isinstance(error, Refusal):
        return error.code.name
    if isinstance(error, asyncio.TimeoutError):
        return "DEADLINE_EXCEEDED"
    return "CANCELLED" if isinstance(error, asyncio.CancelledError) else "INTERNAL"


def _since(begin: float) -> float:
    return time.perf_counter() - begin


def _answering(method: Method) -> Callable[[bytes, Any], Awaitable[bytes]]:
    """The handler of a method: refusals become statuses, and nothing escapes."""

    async def handle(data: bytes, context: Any) -> bytes:
        seconds = context.time_remaining()
        try:
            if seconds is not None and seconds <= 0:
                raise asyncio.TimeoutError
            return await method(data, seconds, "GRPC")
        except Refusal as refusal:
            code, text = refusal.code, refusal.message
        except asyncio.TimeoutError:
            code, text = grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"
        except Exception as error:
            logger.exception("a request failed in a way nobody thought of")
            code, text = grpc.StatusCode.INTERNAL, f"{type(error).__name__} in server"
        return await context.abort(code, text)

    return handle


def _parse(kind: Any, data: Any) -> Any:
    """A request from its bytes; a message is taken as it is."""
    if not isinstance(data, bytes):
        return data
    try:
        return kind.FromString(data)
    except DecodeError as error:
        text = f"the request does not parse as {kind.DESCRIPTOR.full_name}"
        raise Refusal("INTERNAL", text) from error
