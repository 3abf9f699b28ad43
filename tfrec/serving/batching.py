"""Runs requests for the same thing together, as TensorFlow Serving's batching does.

A batch is closed when it is full, or when its time is up and a thread is free; what
comes meanwhile joins it. Requests with other row shapes go into other batches.
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfrec import _checks
from tfrec.serving import metrics, text_configs
from tfrec.serving.predict import Job
from tfrec.serving.refusal import Refusal

SECOND_TRY = 0.01  # seconds after which a full queue is asked once more


@dataclass(frozen=True)
class Parameters:
    """What a BatchingParameters file says; the defaults are TensorFlow Serving's.

    Raises: `ValueError`.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0

    def __post_init__(self) -> None:
        _checks.positive_int(
            "serve",
            max_batch_size=self.max_batch_size,
            num_batch_threads=self.num_batch_threads,
            max_enqueued_batches=self.max_enqueued_batches,
        )
        _checks.integer("serve", batch_timeout_micros=self.batch_timeout_micros)
        sizes = self.allowed_batch_sizes
        if sizes and (sorted(set(sizes)) != list(sizes) or sizes[-1] != self.largest):
            rule = f"must ascend and end with the largest batch, {self.largest}"
            raise _checks.argument("serve", "allowed_batch_sizes", rule, sizes)

    @property
    def largest(self) -> int:
        """Rows that run together at most."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size:
            return self.max_execution_batch_size
        return self.max_batch_size


def read(path: str) -> Parameters:
    """The parameters in a text file; those it does not name have their defaults.

    Raises: `ServingError` when it does not parse, `ValueError` on a bad value.
    """
    message = text_configs.read("BatchingParameters", path, "batching_parameters_file")
    told: dict[str, Any] = {}
    for key, value in message.ListFields():
        if key.is_repeated:
            told[key.name] = tuple(value)
        else:
            told[key.name] = value.value if key.message_type else value
    return Parameters(**told)


@dataclass
class Task:
    """A request, or a piece of one, that waits for its batch."""

    job: Job
    rows: int
    until: float
    answer: asyncio.Future[list[np.ndarray]]
    came: float = field(default_factory=time.monotonic)


class Batch:
    """Tasks that will run together."""

    def __init__(self, key: Any) -> None:
        self.key = key
        self.tasks: list[Task] = []
        self.rows = 0


class Batcher:
    """Collects requests and runs them in threads. Belongs to one event loop.

    Args:
        parameters: `Parameters`.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._told = parameters
        self._threads = ThreadPoolExecutor(
            parameters.num_batch_threads, parameters.thread_pool_name
        )
        self._running = 0
        self._open: dict[Any, Batch] = {}
        self._ripe: deque[Batch] = deque()
        self._waiting: Counter[Any] = Counter()  # batches, by signature

    async def run(self, job: Job, seconds: float | None) -> list[np.ndarray]:
        """The job's outputs, run with others.

        Raises: `Refusal`; `asyncio.TimeoutError` after `seconds`.
        """
        rows = _rows(job.arrays)
        largest, told = self._told.largest, self._told
        if rows > told.max_batch_size and not told.enable_large_batch_splitting:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"Task size {rows} is larger than maximum input batch size "
                f"{told.max_batch_size}",
            )
        begins = range(0, max(rows, 1), largest)
        pieces = [
            job._replace(arrays=[array[n : n + largest] for array in job.arrays])
            for n in begins
        ]
        gathered = asyncio.gather(*(self._task(piece, seconds) for piece in pieces))
        answers = await asyncio.wait_for(gathered, seconds)
        if len(answers) == 1:
            return answers[0]
        return [np.concatenate(parts) for parts in zip(*answers, strict=True)]

    async def _task(self, job: Job, seconds: float | None) -> list[np.ndarray]:
        if not self._room(job):
            await asyncio.sleep(SECOND_TRY)
            if not self._room(job):
                text = "The batch scheduling queue to which this task was submitted"
                raise Refusal("UNAVAILABLE", f"{text} is full")
        until = float("inf") if seconds is None else time.monotonic() + seconds
        loop = asyncio.get_running_loop()
        task = Task(job, len(job.arrays[0]), until, loop.create_future())
        self._add(task)
        return await task.answer

    def _key(self, job: Job) -> Any:
        if self._told.pad_variable_length_inputs:
            shapes: tuple[Any, ...] = tuple(array.ndim for array in job.arrays)
        else:
            shapes = tuple(array.shape[1:] for array in job.arrays)
        return job.signature, job.outputs, shapes

    def _room(self, job: Job) -> bool:
        key = self._key(job)
        batch = self._open.get(key)
        if batch and batch.rows + len(job.arrays[0]) <= self._told.largest:
            return True
        return self._waiting[job.signature] < self._told.max_enqueued_batches

    def _add(self, task: Task) -> None:
        key = self._key(task.job)
        batch = self._open.get(key)
        if batch and batch.rows + task.rows > self._told.largest:
            self._ripen(batch, closed=True)
            batch = None
        if batch is None:
            batch = self._open[key] = Batch(key)
            self._waiting[key[0]] += 1
            pause = self._told.batch_timeout_micros / 1e6
            asyncio.get_running_loop().call_later(pause, self._ripen, batch)
        batch.tasks.append(task)
        batch.rows += task.rows
        if batch.rows >= self._told.largest:
            self._ripen(batch, closed=True)

    def _ripen(self, batch: Batch, closed: bool = False) -> None:
        """It may run as soon as a thread is free; `closed`: nobody joins any more."""
        if closed and self._open.get(batch.key) is batch:
            del self._open[batch.key]
        if batch.tasks and batch not in self._ripe:
            self._ripe.append(batch)
            self._start()

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        while self._ripe and self._running < self._told.num_batch_threads:
            batch = self._ripe.popleft()
            if self._open.get(batch.key) is batch:
                del self._open[batch.key]
            signature = batch.key[0]
            self._waiting[signature] -= 1
            if not self._waiting[signature]:
                del self._waiting[signature]
            now = time.monotonic()
            tasks = [t for t in batch.tasks if not t.answer.done() and now < t.until]
            batch.tasks = []  # the timer may still come
            if not tasks:
                continue
            self._running += 1
            signature.servable.acquire()  # whoever waits for it may give up
            running = loop.run_in_executor(self._threads, self._execute, tasks)
            running.add_done_callback(functools.partial(self._finish, tasks))

    def _finish(self, tasks: list[Task], done: asyncio.Future[list[Any]]) -> None:
        tasks[0].job.signature.servable.release()
        self._running -= 1
        for task, answer in zip(tasks, done.result(), strict=True):
            if task.answer.done():
                continue
            if isinstance(answer, Exception):
                task.answer.set_exception(answer)
            else:
                task.answer.set_result(answer)
        self._start()

    def _execute(self, tasks: list[Task]) -> list[Any]:
        """In a thread: an answer or an error for each task."""
        for task in tasks:
            waited = time.monotonic() - task.came
            metrics.queued(self._told.thread_pool_name, waited)
        try:
            return self._together(tasks)
        except Exception as error:
            if len(tasks) == 1:
                return [error]
        answers: list[Any] = []
        for task in tasks:  # one bad row must not fail its neighbours
            try:
                answers += self._together([task])
            except Exception as error:
                answers.append(error)
        return answers

    def _together(self, tasks: list[Task]) -> list[list[np.ndarray]]:
        columns = list(zip(*(task.job.arrays for task in tasks), strict=True))
        arrays = [_stacked(column) for column in columns]
        rows = sum(task.rows for task in tasks)
        size = next((n for n in self._told.allowed_batch_sizes if n >= rows), rows)
        if 0 < rows < size:
            arrays = [
                np.concatenate([array, np.repeat(array[:1], size - rows, axis=0)])
                for array in arrays
            ]
        until = max(task.until for task in tasks)
        left = None if until == float("inf") else max(until - time.monotonic(), 0.001)
        values = tasks[0].job._replace(arrays=arrays).run(left)
        for array in values:
            if not array.ndim or len(array) != len(arrays[0]):
                raise Refusal(
                    "FAILED_PRECONDITION",
                    "Batched output tensor's 0th dimension does not equal the sum of "
                    "the 0th dimension sizes of the input tensors",
                )
        ends = np.cumsum([task.rows for task in tasks])
        return [
            [array[end - task.rows : end] for array in values]
            for task, end in zip(tasks, ends, strict=True)
        ]

    def close(self) -> None:
        """Starts nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _rows(arrays: Sequence[np.ndarray]) -> int:
    if not arrays or any(not array.ndim for array in arrays):
        text = "Batching Run() input tensors must have at least one dimension"
        raise Refusal("INVALID_ARGUMENT", text)
    if len({len(array) for array in arrays}) > 1:
        text = "Batching Run() input tensors must have equal 0th-dimension size"
        raise Refusal("INVALID_ARGUMENT", text)
    return len(arrays[0])


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """One after the other; rows are padded with zeros to the longest."""
    if len(arrays) == 1:
        return arrays[0]
    if len({array.shape[1:] for array in arrays}) == 1:
        return np.concatenate(arrays)
    sizes = np.max([array.shape[1:] for array in arrays], axis=0)
    blank = b"" if arrays[0].dtype == object else 0
    shape = (sum(map(len, arrays)), *sizes)
    stacked = np.full(shape, blank, arrays[0].dtype)
    begin = 0
    for array in arrays:
        place = (slice(begin, begin + len(array)), *map(slice, array.shape[1:]))
        stacked[place] = array
        begin += len(array)
    return stacked
