"""`tfrec log ...`: what it prints and how it ends."""

import pytest

from tfrec.cli import main


@pytest.mark.slow
def test_replay(tmp_path, write_log, exported, capsys):
    log, (one, two) = str(tmp_path / "log"), map(str, exported)
    write_log(tmp_path / "log")
    assert main(["log", "replay", log, one]) == 0
    assert "different  0" in capsys.readouterr().out
    assert main(["log", "replay", log, two, "--tolerance", "1e-7"]) == 1
    assert "different  3" in capsys.readouterr().out
    assert main(["log", "replay", log, two, "--tolerance=1e9"]) == 0


@pytest.mark.slow
def test_warmup(tmp_path, write_log, capsys):
    write_log(tmp_path / "log")
    log, file = str(tmp_path / "log"), str(tmp_path / "file")
    assert main(["log", "warmup", log, file, "--records", "2"]) == 0
    assert capsys.readouterr().out == f"2 requests in {file}\n"


@pytest.mark.slow
def test_skew(tmp_path, write_log, exported, capsys):
    write_log(tmp_path / "log")
    rows = str(exported[0].parents[2] / "rows.parquet")
    assert main(["log", "skew", str(tmp_path / "log"), str(exported[0]), rows]) == 0
    head, first, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["column", "log_rows"]
    assert first.split()[:3] == ["user", "3", "0.5000"]


@pytest.mark.parametrize(
    "arguments", [["replay", "VERSION"], ["skew", "VERSION", "ROWS"], ["warmup", "F"]]
)
def test_a_missing_log_ends_with_its_error(tmp_path, capsys, arguments):
    action, *rest = arguments
    told = ["log", action, str(tmp_path), *(str(tmp_path / name) for name in rest)]
    assert main(told) == 1
    assert capsys.readouterr().err.startswith(f"tfrec log {action}: ")
