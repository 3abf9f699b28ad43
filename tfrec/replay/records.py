"""Records of a request log, read past what a crash has cut off."""

from __future__ import annotations

import glob
import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from tfrec import _checks

logger = logging.getLogger(__name__)
OWNER = "replay"
MOST_WARMUP = 1000  # TensorFlow Serving reads no more


def read(log: str | os.PathLike[str]) -> Iterator[Any]:
    """The `PredictionLog`s of a log, oldest file first.

    What follows a record that is cut off or damaged, in the same file, is left out;
    a warning says so.

    Args:
        log: a file, a glob, or a folder of `*.requests.tfrecord` files.

    Raises: `ValueError` when there is no file.
    """
    for path in files(log):
        records = tf.data.TFRecordDataset(path).as_numpy_iterator()
        number = 0
        try:
            for record in records:
                yield prediction_log_pb2.PredictionLog.FromString(record)
                number += 1
        except (tf.errors.DataLossError, DecodeError):
            logger.warning("%s is cut off or damaged after record %d", path, number)


def files(log: str | os.PathLike[str]) -> list[str]:
    """The files of a log, oldest first.

    Raises: `ValueError` when there is none.
    """
    place = os.fspath(log)
    if os.path.isdir(place):
        place = os.path.join(glob.escape(place), "*.requests.tfrecord")
    found = [place] if os.path.isfile(place) else glob.glob(place)
    if not found:
        rule = "must be a request log: a file, a glob or a folder"
        raise _checks.argument(OWNER, "log", rule, os.fspath(log))
    return sorted(found, key=lambda path: (os.stat(path).st_mtime_ns, path))


def write_warmup(
    log: str | os.PathLike[str],
    path: str | os.PathLike[str],
    records: int = MOST_WARMUP,
) -> int:
    """Writes a warm-up file from a log's first requests; returns how many.

    Args:
        log: as for `read`; of one servable.
        path: `.../VERSION/assets.extra/tf_serving_warmup_requests`, replaced whole.
        records: int in [1, 1000].

    Raises: `ValueError` on a log without records.
    """
    _checks.positive_int(OWNER, records=records)
    if records > MOST_WARMUP:
        rule = f"must be an int <= {MOST_WARMUP}"
        raise _checks.argument(OWNER, "records", rule, records)
    first = list(itertools.islice(read(log), records))
    if not first:
        rule = "must hold a record"
        raise _checks.argument(OWNER, "log", rule, os.fspath(log))
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    try:
        with tf.io.TFRecordWriter(str(partial)) as writer:
            for record in first:
                writer.write(record.SerializeToString())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return len(first)
