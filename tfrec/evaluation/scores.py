"""Scores collected in parts, and the exact metrics of them all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfrec import _checks
from tfrec.evaluation import classification, samples
from tfrec.evaluation.catalogue import as_ids

METRICS = ("auc", "gauc", "log_loss", "normalized_entropy", "pcoc")


class Scores:
    """Labels, logits, weights and groups of rows that come in parts.

    Parts of one data set may be collected in several places and merged in any
    order: the metrics are those of all rows at once. Rows are kept, 20 bytes each
    with weights and groups of int64.

    Raises: `ValueError` on rows that do not fit together.

    >>> one, two = Scores(), Scores()
    >>> one.update([1, 0], [0.9, 0.1])
    >>> two.update([0], [0.9])
    >>> one.merge(two).result(["auc"])
    {'auc': 0.75}
    """

    def __init__(self) -> None:
        self.parts: list[dict[str, np.ndarray]] = []

    def __len__(self) -> int:
        return sum(len(part["labels"]) for part in self.parts)

    def update(
        self, labels: Any, scores: Any, weights: Any = None, groups: Any = None
    ) -> None:
        """Adds rows.

        Args:
            labels: 0 or 1.
            scores: logits.
            weights: numbers >= 0, or None.
            groups: ints or strings, whom a row belongs to, or None.

        Shapes: each `(rows,)` or `(rows, 1)`.
        Raises: `ValueError` on other shapes, and where weights or groups are given
        for a part of the rows only.
        """
        labels = np.asarray(labels)
        rows = len(labels) if labels.ndim else 0
        given = {"scores": scores, "weights": weights, "groups": groups}
        part = {"labels": samples.flat("Scores", "labels", labels, rows)}
        for name, values in given.items():
            if values is not None:
                part[name] = samples.flat("Scores", name, values, rows)
        if "groups" in part:
            part["groups"] = as_ids("Scores", "groups", part["groups"])
        self._add([part])

    def merge(self, other: Scores) -> Scores:
        """Adds the rows of another; returns itself."""
        self._add(other.parts)
        return self

    def result(self, metrics: Iterable[str] = ("auc", "log_loss")) -> dict[str, float]:
        """Exact metrics of all rows, those of `tfrec.evaluation` by their names.

        Args:
            metrics: of "auc", "gauc", "log_loss", "normalized_entropy", "pcoc".
                "gauc" needs groups and is weighted by impressions.

        Raises: `ValueError` on another name, without rows, and as the metrics do.
        """
        check_metrics("Scores", metrics)
        if not len(self):
            rule = "needs rows: call `update` before `result`"
            raise _checks.argument("Scores", "metrics", rule, metrics)
        whole = {
            name: np.concatenate([part[name] for part in self.parts])
            for name in self.parts[0]
        }
        y, z, weight = whole["labels"], whole["scores"], whole.get("weights")
        found = {}
        for name in metrics:
            if name == "auc":
                found[name] = classification.auc(y, z, weight=weight)
            elif name == "gauc":
                if "groups" not in whole:
                    rule = '"gauc" needs `groups` in `update`'
                    raise _checks.argument("Scores", "metrics", rule, metrics)
                gauc = classification.gauc(y, z, whole["groups"], weight=weight)
                found[name] = gauc.value
            else:
                metric = getattr(classification, name)
                found[name] = metric(y, logits=z, weight=weight)
        return found

    def _add(self, parts: list[dict[str, np.ndarray]]) -> None:
        for part in parts:
            if self.parts and part.keys() != self.parts[0].keys():
                rule = "must have weights and groups for all rows or for none"
                raise _checks.argument("Scores", "parts", rule, sorted(part))
            self.parts.append(part)


def check_metrics(owner: Any, metrics: Any) -> None:
    """Raises `ValueError` unless `metrics` are names that `Scores.result` knows.

    >>> check_metrics("RankingMetrics", ["auc"])
    """
    if isinstance(metrics, str) or not list(metrics):
        rule = "must be a non-empty tuple of names"
        raise _checks.argument(owner, "metrics", rule, metrics)
    for name in metrics:
        _checks.one_of(owner, METRICS, metrics=name)
