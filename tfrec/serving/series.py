"""Counters and histograms with labels, and their Prometheus text."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_SERIES = 1000
OTHER = "other"


class Counter:
    """A number that grows, for every combination of labels.

    After `MOST_SERIES` combinations further ones count as `other`: a name in a
    request makes one, and memory must not grow with them.

    Args:
        name: str. TensorFlow's path, as `/tensorflow/serving/request_count`.
        help: str. One sentence.
        labels: names of the labels.

    >>> requests = Counter("/a/requests", "Requests.", ["status"])
    >>> requests.add("OK")
    >>> print(requests.text())
    # HELP :a:requests Requests.
    # TYPE :a:requests counter
    :a:requests{status="OK"} 1
    """

    kind = "counter"

    def __init__(self, name: str, help: str, labels: Sequence[str]) -> None:
        self.name = name.replace("/", ":")
        self._help = help
        self._labels = tuple(labels)
        self._cells: dict[tuple[str, ...], list[float]] = {}
        self._lock = threading.Lock()

    def add(self, *labels: str, by: float = 1) -> None:
        """Adds `by` to the number of these labels."""
        with self._lock:
            self._cell(labels)[0] += by

    def total(self) -> int:
        """The number of all labels together; of a histogram, how many values."""
        with self._lock:
            return int(sum(self._count(cell) for cell in self._cells.values()))

    def _count(self, cell: list[float]) -> float:
        return cell[0]

    def text(self) -> str:
        """All numbers, in Prometheus's text format."""
        lines = [f"# HELP {self.name} {self._help}", f"# TYPE {self.name} {self.kind}"]
        with self._lock:
            cells = {labels: list(cell) for labels, cell in self._cells.items()}
        for labels, cell in cells.items():
            pairs = zip(self._labels, labels, strict=True)
            shown = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
            lines += self._lines(shown, cell)
        return "\n".join(lines)

    def _cell(self, labels: tuple[str, ...]) -> list[float]:
        cell = self._cells.get(labels)
        if cell is None:
            if len(self._cells) >= MOST_SERIES:
                labels = (OTHER,) * len(labels)
            cell = self._cells.setdefault(labels, self._empty())
        return cell

    def _empty(self) -> list[float]:
        return [0]

    def _lines(self, labels: str, cell: list[float]) -> list[str]:
        return [f"{self.name}{{{labels}}} {_number(cell[0])}"]


class Histogram(Counter):
    """How many values fell into which bucket, for every combination of labels.

    Args:
        name: str. As for `Counter`, as are `help` and `labels`.
        bounds: upper ends of the buckets, ascending; a last one has no end.
    """

    kind = "histogram"

    def __init__(
        self, name: str, help: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        super().__init__(name, help, labels)
        self._bounds = list(bounds)
        self._shown = [*(f"{bound:g}" for bound in bounds), "+Inf"]

    def observe(self, *labels: str, value: float) -> None:
        """Counts one value."""
        place = bisect_left(self._bounds, value)
        with self._lock:
            cell = self._cells.get(labels) or self._cell(labels)
            cell[place] += 1
            cell[-1] += value

    def _empty(self) -> list[float]:
        return [0] * (len(self._bounds) + 2)  # the last is the sum

    def _count(self, cell: list[float]) -> float:
        return sum(cell[:-1])

    def _lines(self, labels: str, cell: list[float]) -> list[str]:
        count, lines = 0.0, []
        for bound, number in zip(self._shown, cell, strict=False):
            count += number
            bucket = f'{self.name}_bucket{{{labels},le="{bound}"}}'
            lines.append(f"{bucket} {_number(count)}")
        lines.append(f"{self.name}_sum{{{labels}}} {_number(cell[-1])}")
        lines.append(f"{self.name}_count{{{labels}}} {_number(count)}")
        return lines


def _escaped(value: str) -> str:
    value = value.replace("\\", "\\\\").replace('"', '\\"')
    return value.replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
