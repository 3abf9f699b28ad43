"""A log's requests asked again: the same answers, and how fast?"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfrec import _checks
from tfrec.replay.records import OWNER, read
from tfrec.serving import inference, predict, tensors
from tfrec.serving.predict import Job
from tfrec.serving.refusal import Refusal
from tfrec.serving.servable import Servable

TOLERANCE = 1e-5


@dataclass
class Report:
    """What a replay has found.

    Args:
        requests: int. How many were asked.
        compared: int. Of them, those whose answer is in the log.
        different: int. Of them, those with a difference beyond the tolerance.
        failed: int. Requests that the version refuses.
        largest: {output: largest difference}; inf where texts or shapes differ.
        seconds: of each request, the graph and reading the request.
        error: str. What the first that failed says.
    """

    requests: int = 0
    compared: int = 0
    different: int = 0
    failed: int = 0
    largest: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    error: str = ""

    @property
    def same(self) -> bool:
        """True when something was compared and nothing differs or fails."""
        return bool(self.compared) and not (self.different or self.failed)

    def __str__(self) -> str:
        lines = [
            f"requests   {self.requests}",
            f"compared   {self.compared}",
            f"different  {self.different}",
            f"failed     {self.failed}" + (f": {self.error}" if self.error else ""),
        ]
        for name, gap in sorted(self.largest.items()):
            lines.append(f"largest difference of {name}: {gap:.3g}")
        if self.seconds:
            shares = (50, 90, 99, 100)
            found = 1000 * np.percentile(self.seconds, shares)
            told = [f"p{s} {ms:.2f}" for s, ms in zip(shares, found, strict=True)]
            lines.append("milliseconds " + ", ".join(told))
        return "\n".join(lines)


def replay(
    log: str | os.PathLike[str],
    version: str | os.PathLike[str],
    *,
    tolerance: float = TOLERANCE,
) -> Report:
    """Asks a version what a log was asked, in this process, one after the other.

    Model name and version in a record are not looked at. Each way to ask (signature
    and outputs) runs once before it is timed. MultiInference is run, not compared.

    Args:
        log: as for `read`; of one servable.
        version: folder of the version, `.../ranker/2`.
        tolerance: number >= 0. Largest absolute difference of numbers.

    Raises: `ValueError` when there is no log; `ServingError` when the version does
    not load.
    """
    _checks.number(OWNER, 0, tolerance=tolerance)
    place, report = Path(version), Report()
    number = int(place.name) if place.name.isdigit() else 0
    records = read(log)
    first = next(records, None)  # before minutes of loading
    if first is None:
        rule = "must hold a record"
        raise _checks.argument(OWNER, "log", rule, os.fspath(log))
    servable = Servable(place.parent.name, number, place)
    try:
        warm: set[Any] = set()
        for record in (first, *records):
            kind = record.WhichOneof("log_type")
            if kind in ASK:
                _one(report, servable, kind, getattr(record, kind), tolerance, warm)
    finally:
        servable.close()
    return report


def _one(
    report: Report, servable: Any, kind: str, log: Any, tolerance: float, warm: set[Any]
) -> None:
    report.requests += 1
    try:
        begin = time.perf_counter()
        jobs = ASK[kind](servable, log.request)
        read_in = time.perf_counter() - begin
        keys = {(job.signature.name, job.outputs) for job in jobs}
        if not keys <= warm:
            for job in jobs:
                job.run()
            warm |= keys
        begin = time.perf_counter()
        values = [job.run() for job in jobs]
        report.seconds.append(read_in + time.perf_counter() - begin)
        if kind == "multi_inference_log" or not log.HasField("response"):
            return
        found = TOLD[kind](jobs[0], values[0])
    except Refusal as refusal:
        report.failed += 1
        report.error = report.error or f"{refusal.code.name}: {refusal.message}"
        return
    wanted = _logged(kind, log.response)
    report.compared += 1
    gaps = {name: _gap(found.get(name), wanted.get(name)) for name in {*found, *wanted}}
    for name, gap in gaps.items():
        report.largest[name] = max(report.largest.get(name, 0.0), gap)
    report.different += max(gaps.values(), default=0.0) > tolerance


def _multi(servable: Any, request: Any) -> list[Job]:
    for task in request.tasks:
        task.model_spec.name = servable.name
    return inference.prepare_tasks(servable, request)


ASK = {
    "predict_log": lambda servable, request: [predict.prepare(servable, request)],
    "classify_log": lambda servable, request: [
        inference.prepare_classify(servable, request.model_spec, request.input)
    ],
    "regress_log": lambda servable, request: [
        inference.prepare_regress(servable, request.model_spec, request.input)
    ],
    "multi_inference_log": _multi,
}
TOLD = {
    "predict_log": lambda job, values: dict(zip(job.outputs, values, strict=True)),
    "classify_log": lambda job, values: _classes(inference.classification(job, values)),
    "regress_log": lambda job, values: _values(inference.regression(job, values)),
}


def _logged(kind: str, response: Any) -> dict[str, Any]:
    """The answer in the log, arrays by name."""
    if kind == "classify_log":
        return _classes(response.result)
    if kind == "regress_log":
        return _values(response.result)
    return {name: tensors.decode(proto) for name, proto in response.outputs.items()}


def _classes(result: Any) -> dict[str, Any]:
    rows = [row.classes for row in result.classifications]
    labels = [[one.label for one in row] for row in rows]
    return {
        "label": np.array(labels, object),
        "score": np.array([[one.score for one in row] for row in rows]),
    }


def _values(result: Any) -> dict[str, Any]:
    return {"value": np.array([one.value for one in result.regressions])}


def _gap(found: Any, wanted: Any) -> float:
    """The largest difference; inf where texts, shapes or NaNs differ."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape or "O" in (found.dtype.kind, wanted.dtype.kind):
        return 0.0 if np.array_equal(found, wanted) else np.inf
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.where(found == wanted, 0.0, np.abs(found - wanted))
    gap = np.where(np.isnan(found) & np.isnan(wanted), 0.0, gap)
    gap = np.where(np.isnan(gap), np.inf, gap)
    return float(gap.max(initial=0.0))
