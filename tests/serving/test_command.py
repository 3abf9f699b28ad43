"""The command line: quick help, exit statuses, errors in words."""

import argparse
import dataclasses
import signal
import socket
import subprocess
import sys

import pytest

from tfrec.serving import command
from tfrec.serving.options import Options


@pytest.fixture
def parser():
    made = argparse.ArgumentParser()
    command.add_arguments(made)
    return made


def test_the_flags_bear_tensorflow_servings_names(parser):
    args = parser.parse_args(
        "folder --port 1 --model_config_file f --model_base_path b --model_name n "
        "--grpc_channel_arguments a=1".split()
    )
    assert (args.path, args.port, args.host) == ("folder", 1, "127.0.0.1")
    assert (args.model_config_file, args.model_base_path) == ("f", "b")
    assert (args.model_name, args.grpc_channel_arguments) == ("n", "a=1")
    assert parser.parse_args([]).port == 8500


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ([], False),
        (["--enable_batching"], True),
        (["--enable_batching=true"], True),
        (["--enable_batching", "1"], True),
        (["--enable_batching=False"], False),
    ],
)
def test_booleans_as_tensorflow_serving_takes_them(parser, arguments, value):
    assert parser.parse_args(arguments).enable_batching is value


def test_what_is_no_boolean(parser, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["--enable_batching", "saved_models"])
    assert "expected true or false, got 'saved_models'" in capsys.readouterr().err


def test_flags_without_effect_and_flags_refused(parser, tmp_path, capsys, caplog):
    with caplog.at_level("INFO"):
        args = parser.parse_args([str(tmp_path), "--num_unload_threads=2"])
        assert command.run(args) == 1
    assert "--num_unload_threads has no effect: one thread unloads" in caplog.text
    args = parser.parse_args([str(tmp_path), "--use_tflite_model=true"])
    assert command.run(args) == 1
    assert "--use_tflite_model is not offered" in capsys.readouterr().err
    args = parser.parse_args([str(tmp_path), "--use_tflite_model=false"])
    assert command.run(args) == 1
    assert "must hold servables" in capsys.readouterr().err


def test_every_option_has_a_flag(parser):
    args = parser.parse_args([])
    for field in dataclasses.fields(Options):
        assert getattr(args, field.name) == field.default


def test_a_missing_folder_ends_with_its_error(parser, tmp_path, capsys):
    assert command.run(parser.parse_args([str(tmp_path / "absent")])) == 1
    assert "tfrec serve: `path` must be a folder" in capsys.readouterr().err


def test_a_folder_without_servables_ends_with_its_error(parser, tmp_path, capsys):
    assert command.run(parser.parse_args([str(tmp_path)])) == 1
    assert "must hold servables" in capsys.readouterr().err


def test_a_broken_version_ends_with_its_error(parser, tmp_path, capsys):
    (tmp_path / "ranker" / "1").mkdir(parents=True)
    assert command.run(parser.parse_args([str(tmp_path), "--port", "0"])) == 1
    assert 'version 1 of servable "ranker" does not load' in capsys.readouterr().err


def test_a_taken_port_ends_with_its_error(parser, movies, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert command.run(parser.parse_args([str(movies), f"--port={port}"])) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_help_does_not_import_tensorflow():
    code = (
        "import sys; from tfrec.serving import command; import argparse; "
        "p = argparse.ArgumentParser(); command.add_arguments(p); p.format_help(); "
        "sys.exit('tensorflow' in sys.modules or 'grpc' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


EARLY = """
import argparse, os, signal, sys, time
from tfrec.serving import command

class Import:
    def find_spec(self, name, *_):  # of what `run` imports while nothing serves
        if name == "tfrec.serving.server":
            os.kill(os.getpid(), signal.{name})
            time.sleep(30)

sys.meta_path.insert(0, Import())
parser = argparse.ArgumentParser()
command.add_arguments(parser)
sys.exit(command.run(parser.parse_args(["folder"])) or 3)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_told_to_stop_before_there_is_a_server(name):
    done = subprocess.run(
        [sys.executable, "-c", EARLY.replace("{name}", name)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_signals_are_taken_as_before_when_it_ends(parser, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    assert command.run(parser.parse_args([str(tmp_path / "none")])) == 1
    assert signal.getsignal(signal.SIGTERM) is before
