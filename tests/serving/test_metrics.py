"""Names, labels and buckets as people's dashboards know them."""

import re

from tfrec.serving import metrics


def value(line):
    """The number behind a series, 0 when it is not there."""
    found = re.search(rf"^{re.escape(line)} (\S+)$", metrics.text(), re.MULTILINE)
    return float(found[1]) if found else 0


def test_a_request_counts_once_in_each():
    metrics.observe("m1", "Predict", "GRPC", "OK", 0.000_025)
    metrics.observe("m1", "Predict", "GRPC", "NOT_FOUND", 1.0)
    name = ":tensorflow:serving:request_count"
    assert value(name + '{model_name="m1",status="OK"}') == 1
    assert value(name + '{model_name="m1",status="NOT_FOUND"}') == 1
    name = ":tensorflow:serving:request_latency"
    labels = 'model_name="m1",API="Predict",entrypoint="GRPC"'
    assert value(f'{name}_bucket{{{labels},le="18"}}') == 0
    assert value(f'{name}_bucket{{{labels},le="32.4"}}') == 1
    assert value(f"{name}_count{{{labels}}}") == 1
    assert abs(value(f"{name}_sum{{{labels}}}") - 25) < 1e-6


def test_latencies_have_33_bounds_and_no_end():
    metrics.observe("m2", "predict", "REST", "OK", 0.001)
    labels = 'model_name="m2",API="predict",entrypoint="REST"'
    pattern = rf"request_latency_bucket{{{labels},le=\"(.+)\"}}"
    bounds = re.findall(pattern, metrics.text())
    wanted = [f"{10 * 1.8**power:g}" for power in range(33)]
    assert bounds == [*wanted, "+Inf"]


def test_running_is_a_stage_and_the_runtime():
    metrics.stage("m3", "Predict", "run", 0.002)
    metrics.stage("m3", "Predict", "decode", 0.001)
    name = ":tensorflow:serving:runtime_latency"
    assert value(f'{name}_sum{{model_name="m3",API="Predict",runtime="TF1"}}') == 2000
    for stage, seconds in (("run", 0.002), ("decode", 0.001)):
        labels = f'model_name="m3",API="Predict",stage="{stage}"'
        assert value(f"tfrec_serving_stage_seconds_sum{{{labels}}}") == seconds
        assert value(f"tfrec_serving_stage_seconds_count{{{labels}}}") == 1


def test_the_rest():
    metrics.examples("m4", 3)
    metrics.examples("m4", 4)
    metrics.warmup("/m4/1", "OK", 0.5)
    metrics.queued("pool4", 0.000_01)
    name = ":tensorflow:serving:"
    assert value(name + 'request_example_count_total{model="m4"}') == 7
    assert value(name + 'request_example_counts_bucket{model="m4",le="4"}') == 2
    assert value(name + 'request_example_counts_bucket{model="m4",le="2"}') == 0
    labels = '{model_path="/m4/1",status="OK"}'
    assert value(name + "model_warmup_latency_sum" + labels) == 500_000
    labels = '{thread_pool_name="pool4"}'
    assert value(name + "batching_session:queuing_latency_sum" + labels) == 10


def test_every_line_is_prometheus_text():
    metrics.observe("m5", "Predict", "GRPC", "OK", 0.001)
    sample = r'[a-zA-Z_:][a-zA-Z0-9_:]*\{([a-zA-Z_]\w*="(\\.|[^"\\])*",?)+\} \S+'
    text = metrics.text()
    assert text.endswith("\n")
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) .+|" + sample, line), line


def test_totals_by_tensorflows_names():
    names = ["/tensorflow/serving/request_count", "/tensorflow/serving/absent"]
    names.append("/tensorflow/serving/request_latency")
    before = metrics.totals(names)
    for model in ("m8", "m9"):
        metrics.observe(model, "Predict", "GRPC", "OK", 1.0)
    after = metrics.totals(names)
    grown = {name: after[name] - before[name] for name in after}
    assert grown == {names[0]: 2, names[2]: 2}


def test_long_names_in_requests_do_not_fill_the_memory():
    metrics.observe("x" * 100_000, "Predict", "GRPC", "NOT_FOUND", 0.1)
    assert "x" * 300 not in metrics.text()
    assert 'model_name="other"' in metrics.text()
