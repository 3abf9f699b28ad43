"""Replays the requests that an export carries, before a version serves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from tfrec.serving import predict
from tfrec.serving.errors import ServingError
from tfrec.serving.refusal import Refusal

if TYPE_CHECKING:
    from tfrec.serving.servable import Servable

FILE = "assets.extra/tf_serving_warmup_requests"
MOST_RECORDS = 1000
ROUNDS = 2  # the first makes and optimises the graph's callable, the second is timed


def replay(servable: Servable, folder: str | os.PathLike[str]) -> int:
    """Runs every record of the servable's warm-up file; returns how many.

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
        if kind != "predict_log":
            raise _failed(servable, number, "UNIMPLEMENTED", f"it is a {kind}")
        try:
            job = predict.prepare(servable, log.predict_log.request)
            for outputs in dict.fromkeys([job.outputs, *zip(job.outputs, strict=True)]):
                for _ in range(ROUNDS):
                    job._replace(outputs=outputs).run()
        except Refusal as refusal:
            code, text = refusal.code.name, refusal.message
            raise _failed(servable, number, code, text) from refusal
    return len(records)


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
