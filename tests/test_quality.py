"""docs/results.md holds the tables of the benchmark's JSON, and no others."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "quality.json"
DOCUMENT = ROOT / "docs" / "results.md"


@pytest.fixture(scope="module")
def report():
    place = ROOT / "benchmarks" / "quality_report.py"
    spec = importlib.util.spec_from_file_location("quality_report", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_is_what_the_json_says(report, tmp_path):
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    copy = tmp_path / "results.md"
    copy.write_text(DOCUMENT.read_text(encoding="utf-8"), encoding="utf-8")
    report.write(found, copy)
    assert copy.read_text(encoding="utf-8") == DOCUMENT.read_text(encoding="utf-8")


def test_a_table(report, tmp_path):
    run = {"AUC": 0.7, "log-loss": 0.5, "CPU s": 3.0}
    found = {
        "baselines": {"share": {"AUC": 0.65, "log-loss": 0.6, "CPU s": 0.1}},
        "tuned": {
            "fm": [
                {"rate": 0.1, "epochs": 4, "value": 0.2},
                {"rate": 0.2, "epochs": 8, "value": 0.3},
            ],
            "fm, wide": [{"rate": 0.1, "epochs": 2, "value": 0.1}],
        },
        "runs": {
            "fm": {"1": run, "2": {**run, "AUC": 0.6, "CPU s": 5.0}},
            "lr": {},
            "fm, wide": {"1": {**run, "AUC": 0.5, "log-loss": 0.7}},
        },
    }
    assert report.table(found) == [
        "|  | AUC | log-loss | seeds | rate, epochs | fit, CPU s |",
        "| --- | --- | --- | --- | --- | --- |",
        "| share | **0.650** | 0.600 |  |  | < 1 |",
        "| `fm` | 0.650 (0.071) | **0.500** (0.000) | 2 | 0.2, 8 | 4 |",
        "| `fm`, wide | 0.500 | 0.700 | 1 | 0.1, 2 | 3 |",
    ]
    document = tmp_path / "doc.md"
    document.write_text("a\n<!-- x -->\nold\n<!-- end of x -->\nb\n")
    report.write({"x": found}, document)
    text = document.read_text()
    assert "old" not in text and text.startswith("a\n") and text.endswith("b\n")
    with pytest.raises(ValueError, match="no place for the table 'y'"):
        report.write({"y": found}, document)
