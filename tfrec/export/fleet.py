"""What stock TensorFlow Serving is started with, on one machine or on many."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrec import _checks
from tfrec.export.models_config import ROOT, replace, servables, write_models_config

IMAGE = "tensorflow/serving:2.20.0"
BATCHED = "user_tower"  # small requests, many a second, one row each
MONITORING = (
    'prometheus_config {\n  enable: true\n  path: "/monitoring/prometheus/metrics"\n}\n'
)
BATCHING = """max_batch_size { value: 128 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 4 }
"""
FLAGS = (
    f"--model_config_file={ROOT}/models.config",
    "--model_config_file_poll_wait_seconds=30",
    "--allow_version_labels_for_unavailable_models",
    f"--monitoring_config_file={ROOT}/monitoring.config",
    "--enable_batching",
    "--enable_per_model_batching_parameters",
    "--enable_grpc_healthcheck_service",
)
COMPOSE = """services:
  serving:
    image: "{image}"
    command:
{flags}
    ports:
      - "8500:8500"
      - "8501:8501"
    volumes:
      - "./:{root}:ro"
    restart: "unless-stopped"
"""
KUBERNETES = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels:
    app: {name}
spec:
  replicas: {replicas}
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "8501"
        prometheus.io/path: "/monitoring/prometheus/metrics"
    spec:
      containers:
        - name: serving
          image: "{image}"
          args:
{flags}
          ports:
            - name: grpc
              containerPort: 8500
            - name: rest
              containerPort: 8501
          readinessProbe:
            httpGet:
              path: "/v1/models/{probed}"
              port: rest
            periodSeconds: 5
          volumeMounts:
            - name: models
              mountPath: "{root}"
              readOnly: true
      volumes:
        - name: models
          persistentVolumeClaim:
            claimName: {name}
            readOnly: true
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector:
    app: {name}
  ports:
    - name: grpc
      port: 8500
      targetPort: grpc
    - name: rest
      port: 8501
      targetPort: rest
"""


def fleet(
    path: str | os.PathLike[str],
    *,
    labels: Mapping[str, int] | None = None,
    replicas: int = 2,
) -> list[Path]:
    """Writes what TensorFlow Serving is started with beside the servables.

    `models.config` with labels, `monitoring.config` for Prometheus,
    `compose.yaml` (`docker compose up` in PATH), `kubernetes.yaml` (a Deployment
    and a Service; the claim it names holds PATH), and batching parameters in each
    version of `user_tower`. No other servable may be batched: one user of N items,
    a list of items and the signature `pair_id` have no common first dimension.

    Args:
        path: folder that `save` wrote to.
        labels: {label: version}, as {"stable": 1, "canary": 2}: every servable
            must have these versions, and serves them alone. None: the labels that
            `models.config` has.
        replicas: int >= 1. Of the Deployment.

    Returns: the files.
    Raises: `ValueError` on a folder without servables and on a version that one of
    them lacks.
    """
    owner, root = "export.fleet", Path(path)
    _checks.positive_int(owner, replicas=replicas)
    there = servables(root) if root.is_dir() else {}
    if not there:
        rule = "must be a folder of servables"
        raise _checks.argument(owner, "path", rule, str(path))
    for label, version in (labels or {}).items():
        _checks.string(owner, labels=label)
        _checks.positive_int(owner, labels=version)
        for name, versions in there.items():
            if version not in versions:
                rule = f"must name versions that every servable has, and {name} has "
                rule += ", ".join(map(str, versions))
                raise _checks.argument(owner, "labels", rule, dict(labels or {}))
    given = None if labels is None else dict.fromkeys(there, labels)
    found = [write_models_config(root, given)]
    told = {
        "name": "".join(c if c.isalnum() else "-" for c in root.resolve().name.lower()),
        "image": IMAGE,
        "root": ROOT,
        "replicas": replicas,
        "probed": next(iter(there)),
    }
    told["name"] = told["name"].strip("-") or "models"
    texts = {
        "monitoring.config": MONITORING,
        "compose.yaml": COMPOSE.format(flags=_lines(6), **told),
        "kubernetes.yaml": KUBERNETES.format(flags=_lines(12), **told),
    }
    for version in there.get(BATCHED, ()):
        place = f"{BATCHED}/{version}"
        texts[f"{place}/batching_params.pbtxt"] = _batching(root / place)
    for name, text in texts.items():
        replace(root / name, text)
        found.append(root / name)
    return found


def _lines(indent: int) -> str:
    """The server's flags as a YAML list."""
    return "\n".join(f'{" " * indent}- "{flag}"' for flag in FLAGS)


def _batching(version: Path) -> str:
    """Lists of unequal length may share a batch where "" fills them up.

    TensorFlow Serving fills lists of int64 with 0, which may be an id: requests
    whose lists differ in length are then refused instead.
    """
    file = version / "assets.extra" / "feature_spec.json"
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    lists = [entry for entry in document["inputs"].values() if len(entry["shape"]) > 1]
    fill = bool(lists) and all(entry["dtype"] != "int64" for entry in lists)
    return BATCHING + (f"pad_variable_length_inputs: {str(fill).lower()}\n")
