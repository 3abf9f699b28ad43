"""The request log: a sample of what was asked and answered, in TFRecord files."""

from __future__ import annotations

import logging
import os
import queue
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tfrec.serving import metrics, packing

logger = logging.getLogger(__name__)
ENDING = ".requests.tfrecord"
OURS = re.compile(r".+-\d{8}T\d{6}-\d+-\d+" + re.escape(ENDING))
FIELDS = {"Predict": 6, "Classify": 2, "Regress": 3, "MultiInference": 4}
FILE_BYTES = 64 * 2**20
PARTS = 8  # files that fill the folder, at least
WAITING_RECORDS = 1000
WAITING_BYTES = 64 * 2**20


class RequestLog:
    """Writes `PredictionLog`s in a thread of its own; who answers never waits.

    One series of files a servable: `NAME-TIME-PROCESS-COUNT.requests.tfrecord`.
    What does not fit into memory meanwhile is dropped and counted.

    Args:
        folder: made when it is not there.
        rate: number in [0, 1]. The share that `wants` picks.
        max_bytes: int >= 1. The oldest files beyond are deleted.

    Raises: `OSError` when there can be no folder.
    """

    def __init__(
        self, folder: str | os.PathLike[str], rate: float, max_bytes: int
    ) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._rate = rate
        self._max_bytes = max_bytes
        self._file_bytes = min(FILE_BYTES, max(max_bytes // PARTS, 1))
        self._files: dict[str, _File] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._waiting = [0, 0]  # records, bytes
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._said = ""
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def wants(self) -> bool:
        """True when this request is to be logged."""
        return random.random() < self._rate

    def put(self, name: str, size: int, record: Callable[[], bytes]) -> None:
        """Has a record of about `size` bytes made and written, later."""
        with self._lock:
            records, waiting = self._waiting
            full = records >= WAITING_RECORDS or waiting + size > WAITING_BYTES
            if not full:
                self._waiting = [records + 1, waiting + size]
        if full:
            metrics.logged(name, "dropped")
        else:
            self._queue.put((name, size, record))

    def close(self) -> None:
        """Writes what waits, and ends."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (told := self._queue.get()) is not None:
            name, size, record = told
            try:
                self._write(name, record())
                outcome = "written"
            except Exception as error:  # a full disk, or whatever a file system does
                outcome = "failed"
                self._files.pop(name, None)
                if str(error) != self._said:
                    self._said = str(error)
                    logger.warning("the request log is not written: %s", error)
            metrics.logged(name, outcome)
            with self._lock:
                self._waiting = [self._waiting[0] - 1, self._waiting[1] - size]
            if self._queue.empty():
                for file in self._files.values():
                    file.flush()
        for file in self._files.values():
            file.close()

    def _write(self, name: str, record: bytes) -> None:
        file = self._files.get(name)
        if file is not None and file.size + len(record) > self._file_bytes:
            file.close()
            file = None
        if file is None:
            self._make_room()
            stamp = time.strftime("%Y%m%dT%H%M%S")
            self._count += 1
            title = f"{quote(name, safe='')}-{stamp}-{os.getpid()}-{self._count}"
            file = self._files[name] = _File(self._folder / (title + ENDING))
        file.write(record)

    def _make_room(self) -> None:
        """Deletes the oldest files, but those that are being written."""
        used = {file.path for file in self._files.values()}
        found = []
        for path in self._folder.iterdir():
            if OURS.fullmatch(path.name) and path not in used:
                told = path.stat()
                found.append((told.st_mtime_ns, told.st_size, path))
        room = self._max_bytes - self._file_bytes * (len(used) + 1)
        for _, size, path in sorted(found, reverse=True):
            room -= size
            if room < 0:
                path.unlink(missing_ok=True)


class _File:
    """A TFRecord file that its owner alone may read."""

    def __init__(self, path: Path) -> None:
        import tensorflow as tf

        self.path, self.size, self._changed = path, 0, False
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self._writer: Any = tf.io.TFRecordWriter(str(path))

    def write(self, record: bytes) -> None:
        self._writer.write(record)
        self.size += len(record)
        self._changed = True

    def flush(self) -> None:
        if self._changed:
            self._writer.flush()
            self._changed = False

    def close(self) -> None:
        self._writer.close()


def record(api: str, spec: bytes, rate: float, request: bytes, answer: bytes) -> bytes:
    """The bytes of a PredictionLog.

    Args:
        api: str. `"Predict"`, `"Classify"`, `"Regress"` or `"MultiInference"`.
        spec: bytes of the ModelSpec that answered.
        rate: number. The share of requests that is logged.
        request, answer: bytes of the messages.
    """
    from tensorflow_serving.apis import logging_pb2

    metadata = logging_pb2.LogMetadata(timestamp_secs=int(time.time()))
    metadata.model_spec.ParseFromString(spec)
    metadata.sampling_config.sampling_rate = rate
    both = packing.field(1, request) + packing.field(2, answer)
    head = packing.field(1, metadata.SerializeToString())
    return head + packing.field(FIELDS[api], both)
