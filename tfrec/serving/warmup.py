"""Replays the requests that an export carries, before a version serves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from tfrec.serving import inference, predict
from tfrec.serving.errors import ServingError
from tfrec.serving.predict import Job
from tfrec.serving.refusal import Refusal

if TYPE_CHECKING:
    from tfrec.serving.servable import Servable

FILE = "assets.extra/tf_serving_warmup_requests"
MOST_RECORDS = 1000
ROUNDS = 1  # more than asked: the first makes and optimises the graph's callable
STOPPED = 5.0  # seconds that clients wait; a run with a limit goes another way
KINDS = ("predict_log", "classify_log", "regress_log", "multi_inference_log")


def replay(
    servable: Servable, folder: str | os.PathLike[str], iterations: int = 1
) -> int:
    """Runs every record of the servable's warm-up file; returns how many.

    Args:
        servable: `Servable`.
        folder: its folder.
        iterations: int. How often each runs, after a first run that is not timed.

    Model name and version in a record are not looked at. What a record does not
    filter is run for each output alone, too: clients ask for one of several.
    Raises: `ServingError` when one fails or the file is not a TFRecord file of
    PredictionLogs.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return 0
    records = _read(servable, path)
    for number, record in enumerate(records):
        log = prediction_log_pb2.PredictionLog()
        try:
            log.ParseFromString(record)
        except DecodeError as error:
            raise _failed(servable, number, "DATA_LOSS", str(error)) from error
        kind = log.WhichOneof("log_type")
        if kind not in KINDS:
            raise _failed(servable, number, "UNIMPLEMENTED", f"it is a {kind}")
        try:
            for job in _jobs(servable, kind, getattr(log, kind).request):
                _run(job, iterations)
        except Refusal as refusal:
            code, text = refusal.code.name, refusal.message
            raise _failed(servable, number, code, text) from refusal
    return len(records)


def _jobs(servable: Servable, kind: str, request: Any) -> list[Job]:
    if kind == "classify_log":
        return [inference.prepare_classify(servable, request.model_spec, request.input)]
    if kind == "regress_log":
        return [inference.prepare_regress(servable, request.model_spec, request.input)]
    if kind == "multi_inference_log":
        for task in request.tasks:
            task.model_spec.name = servable.name
        return inference.prepare_tasks(servable, request)
    job = predict.prepare(servable, request)
    filters = dict.fromkeys([job.outputs, *zip(job.outputs, strict=True)])
    return [job._replace(outputs=outputs) for outputs in filters]


def _run(job: Job, iterations: int) -> None:
    for _ in range(ROUNDS + iterations):
        job.run()
    if job.slow:
        job.run(STOPPED)


def _read(servable: Servable, path: Path) -> list[bytes]:
    try:
        records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    except tf.errors.OpError as error:
        text = f"{error.message} Please verify your warmup data is in TFRecord format."
        raise _failed(servable, None, "DATA_LOSS", text) from error
    if len(records) > MOST_RECORDS:
        text = f"the file has {len(records)} records, at most {MOST_RECORDS} are read"
        raise _failed(servable, None, "INVALID_ARGUMENT", text)
    return records


def _failed(
    servable: Servable, number: int | None, code: str, text: str
) -> ServingError:
    where = "warm-up file" if number is None else f"warm-up record {number}"
    return ServingError(
        f'serve: {where} of servable "{servable.name}" version {servable.version} '
        f"fails. Received: {code}: {text}",
        code,
    )
