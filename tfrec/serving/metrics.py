"""Counters and histograms of this process, as Prometheus text.

Whoever answers a request calls, times in seconds, from any thread:

    metrics.observe("ranker", "Predict", "GRPC", "OK", seconds)   once a request
    metrics.stage("ranker", "Predict", "decode", seconds)  decode queue run encode
    metrics.examples("ranker", 100)            Classify, Regress, MultiInference
    metrics.warmup("/models/ranker/1", "OK", seconds)             once a version
    metrics.queued("batch_threads", seconds)                     once a batched task
    metrics.logged("ranker", "written")      once a record; or "dropped", "failed"

Stage `run` counts as TensorFlow Serving's `runtime_latency`, too. Names, labels
and buckets are TensorFlow Serving's; `tfrec_...` is ours.
"""

from __future__ import annotations

from collections.abc import Iterable

from tfrec.serving.series import OTHER, Counter, Histogram

MICRO = 1e6
LONGEST_NAME = 256
LATENCY = [10 * 1.8**power for power in range(33)]  # microseconds, to 20 minutes
COUNTS = [2.0**power for power in range(15)]
STAGES = [1e-5 * 2**power for power in range(20)]  # seconds, to 5 seconds

_REQUESTS = Counter(
    "/tensorflow/serving/request_count", "Requests.", ["model_name", "status"]
)
_LATENCY = Histogram(
    "/tensorflow/serving/request_latency",
    "Microseconds a request took.",
    ["model_name", "API", "entrypoint"],
    LATENCY,
)
_RUNTIME = Histogram(
    "/tensorflow/serving/runtime_latency",
    "Microseconds the graph took.",
    ["model_name", "API", "runtime"],
    LATENCY,
)
_EXAMPLES = Histogram(
    "/tensorflow/serving/request_example_counts",
    "Examples in a request.",
    ["model"],
    COUNTS,
)
_EXAMPLE_TOTAL = Counter(
    "/tensorflow/serving/request_example_count_total", "Examples.", ["model"]
)
_WARMUP = Histogram(
    "/tensorflow/serving/model_warmup_latency",
    "Microseconds the warm-up of a version took.",
    ["model_path", "status"],
    LATENCY,
)
_QUEUING = Histogram(
    "/tensorflow/serving/batching_session/queuing_latency",
    "Microseconds a request waited for its batch.",
    ["thread_pool_name"],
    LATENCY,
)
_STAGES = Histogram(
    "tfrec_serving_stage_seconds",
    "Seconds a stage of a request took.",
    ["model_name", "API", "stage"],
    STAGES,
)
_LOGGED = Counter(
    "tfrec_request_log_total",
    "Records for the request log: written, dropped or failed.",
    ["model_name", "outcome"],
)
METRICS: tuple[Counter, ...] = (
    *(_REQUESTS, _LATENCY, _RUNTIME, _EXAMPLES),
    *(_EXAMPLE_TOTAL, _WARMUP, _QUEUING, _STAGES, _LOGGED),
)


def totals(names: Iterable[str]) -> dict[str, int]:
    """Counts by TensorFlow's names, over all labels; unknown names are left out."""
    known = {metric.name.replace(":", "/"): metric for metric in METRICS}
    return {name: known[name].total() for name in names if name in known}


def observe(model: str, api: str, entrypoint: str, status: str, seconds: float) -> None:
    """Counts a request that was answered, well or not.

    Args:
        model: str. The name in the request; a longer one than `LONGEST_NAME` counts
            as `other`, since what a client sends must not fill the memory.
        api: str. `"Predict"`, ...; over REST `"predict"`, ...
        entrypoint: str. `"GRPC"` or `"REST"`.
        status: str. Name of the gRPC status, as `"OK"`.
        seconds: float.
    """
    if len(model) > LONGEST_NAME:
        model = OTHER
    _REQUESTS.add(model, status)
    if status == "OK":
        _LATENCY.observe(model, api, entrypoint, value=seconds * MICRO)


def stage(model: str, api: str, name: str, seconds: float) -> None:
    """Counts one stage of a request: `decode`, `queue`, `run` or `encode`."""
    _STAGES.observe(model, api, name, value=seconds)
    if name == "run":
        _RUNTIME.observe(model, api, "TF1", value=seconds * MICRO)


def examples(model: str, count: int) -> None:
    """Counts the Examples of a request."""
    _EXAMPLES.observe(model, value=count)
    _EXAMPLE_TOTAL.add(model, by=count)


def warmup(path: str, status: str, seconds: float) -> None:
    """Counts the warm-up of a version that stands in the folder `path`."""
    _WARMUP.observe(path, status, value=seconds * MICRO)


def queued(thread_pool: str, seconds: float) -> None:
    """Counts how long a request waited for its batch."""
    _QUEUING.observe(thread_pool, value=seconds * MICRO)


def logged(model: str, outcome: str) -> None:
    """Counts a record for the request log: `written`, `dropped` or `failed`."""
    _LOGGED.add(model, outcome)


def text() -> str:
    """All metrics of this process, in Prometheus's text format."""
    return "\n".join(metric.text() for metric in METRICS) + "\n"
