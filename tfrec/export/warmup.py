"""Warm-up requests: what TensorFlow Serving replays before a version goes live."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.features import FeatureSpec, wire
from tfrec.features.columns import Categorical

ROWS = (1, 32)


def example_requests(
    spec: FeatureSpec, names: list[str], examples: Any = None
) -> list[dict[str, np.ndarray]]:
    """Requests of 1 and of 32 rows; where both sides are asked for, one user too.

    Args:
        spec: FeatureSpec.
        names: the served columns.
        examples: rows to take them from, or None: rows of unknown values.
    """
    if examples is not None:
        examples = wire(spec, examples, names, owner="export.save")
    item = [name for name in names if spec[name].side == "item"]
    requests = []
    for rows in ROWS:
        request = {name: _example(spec, name, examples, rows) for name in names}
        requests.append(request)
    if item and len(item) < len(names):
        one_user = {
            name: value if name in item else value[:1]
            for name, value in requests[-1].items()
        }
        requests.append(one_user)
    return requests


def _example(spec: FeatureSpec, name: str, examples: Any, rows: int) -> np.ndarray:
    if examples is not None and len(examples[name]):
        return np.resize(examples[name], (rows, *examples[name].shape[1:]))
    column = spec[name]
    shape = (rows, 2) if column.is_list else (rows,)
    source = spec.source(column)
    if not isinstance(source, Categorical):
        return np.zeros((*shape, *getattr(column, "shape", ())), np.float32)
    is_text = source.dtype == "string"
    value: Any = b"warm-up" if is_text else np.int64(-2)
    return np.full(shape, value, object if is_text else np.int64)


def warmup_requests(
    servable: Any, examples: Any = None
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """(signature, request) for each signature of a servable that takes rows."""
    names = list(servable.encoder.raw_names)
    requests = example_requests(servable.spec, names, examples)
    found = [("serving_default", request) for request in requests]
    for name in ("classify", "regress"):
        if name in servable.functions:
            rows = as_examples(servable.spec, requests[1])
            found.append((name, {"inputs": rows}))
    return found


def recommender_requests(
    servable: Any, examples: Any = None
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """(signature, request) of one user and of several, with nothing excluded.

    What a client falls back to is warm too: it is needed when time is short.
    """
    names, spec = list(servable.inputs), servable.spec
    if examples is not None:
        examples = wire(spec, examples, names, owner="export.save_recommender")
    told = servable.parameters
    found = []
    for rows in (1, 8):
        request = {name: _example(spec, name, examples, rows) for name in names}
        for name, (dtype, default) in told.items():
            request[name] = np.asarray(default, dtype)
        for name in ("serving_default", "retrieval"):
            if name in servable.functions:
                found.append((name, request))
    return found


def as_examples(spec: FeatureSpec, request: dict[str, np.ndarray]) -> np.ndarray:
    """The rows of a request as serialized `tensorflow.Example`s, `(N,)`."""
    rows = len(next(iter(request.values())))
    serialized = []
    for row in range(rows):
        example = tf.train.Example()
        for name, values in request.items():
            padding = spec.padding_of(spec[name])
            filler = padding.encode() if isinstance(padding, str) else padding
            feature = example.features.feature[name]
            cells = np.atleast_1d(values[row]).tolist()
            if not spec[name].is_list:
                cells = [cell for cell in cells if cell != filler]
            kind = {np.float32: "float_list", np.int64: "int64_list"}
            kind = kind.get(values.dtype.type, "bytes_list")
            getattr(feature, kind).value.extend(cells)
        serialized.append(example.SerializeToString())
    return np.array(serialized, object)


def write_warmup(
    file: Path, servable: str, requests: list[tuple[str, dict[str, np.ndarray]]]
) -> None:
    """Writes the requests as a TFRecord file of `PredictionLog`."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, request in requests:
            message = predict_pb2.PredictRequest()
            message.model_spec.name = servable
            message.model_spec.signature_name = signature
            for name, value in request.items():
                message.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=message)
            )
            writer.write(log.SerializeToString())
