"""`tfrec serve`: arguments and what they start. TensorFlow is imported last."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from tfrec import __version__
from tfrec.serving.options import Options

logger = logging.getLogger(__name__)
WORDS = {
    **dict.fromkeys(("true", "1", "t", "yes", "y"), True),
    **dict.fromkeys(("false", "0", "f", "no", "n"), False),
}
# TensorFlow Serving's flags that change nothing here, and why.
WITHOUT_EFFECT = {
    "num_unload_threads": "one thread unloads",
    "flush_filesystem_caches": "files are read by the system's own rules",
    "enable_profiler": "there is no profiler service",
    "enable_signature_method_name_check": "method names are not looked at",
    "remove_unused_fields_from_bundle_metagraph": "the graph is loaded as it is",
    "enforce_session_run_timeout": "deadlines always stop a graph",
    "per_process_gpu_memory_fraction": "set TF_FORCE_GPU_ALLOW_GROWTH",
    "allow_gpu_memory_growth": "set TF_FORCE_GPU_ALLOW_GROWTH",
    "rest_api_num_threads": "REST runs on the event loop",
}
REFUSED = {
    "platform_config_file": "use --enable_batching and the flags of TensorFlow",
    "use_tflite_model": "only SavedModels are served",
    "prefer_tflite_model": "only SavedModels are served",
    "xla_cpu_compilation_enabled": "set TF_XLA_FLAGS=--tf_xla_cpu_global_jit",
    "enable_per_model_batching_parameters": "use --batching_parameters_file",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments; those that TensorFlow Serving has bear its names."""
    parser.add_argument(
        "path",
        nargs="?",
        help="folder of servables, as saved_models/NAME, or one servable's folder",
    )
    for field in dataclasses.fields(Options):
        told: dict[str, Any] = {"type": type(field.default)}
        if isinstance(field.default, bool):
            told = {"type": boolean, "nargs": "?", "const": True}
        metavar = field.metadata["metavar"] or _metavar(field.default)
        shown = field.metadata["help"].replace("%", "%%")
        if field.default != "":
            shown += f" ({str(field.default).lower()})"
        flag = f"--{field.name}"
        parser.add_argument(
            flag, default=field.default, metavar=metavar, help=shown, **told
        )
    for name in (*WITHOUT_EFFECT, *REFUSED):
        parser.add_argument(f"--{name}", nargs="?", const="", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"tfrec {__version__}")


def boolean(text: str) -> bool:
    """What TensorFlow Serving takes for true and false."""
    if text.lower() not in WORDS:
        shown = f"expected true or false, got {text!r} (write --flag=true)"
        raise argparse.ArgumentTypeError(shown)
    return WORDS[text.lower()]


def _metavar(default: Any) -> str:
    kinds = {bool: "true|false", int: "N", float: "X", str: "TEXT"}
    return kinds[type(default)]


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to stop; the exit status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(level=logging.INFO, format="tfrec serve: %(message)s")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    names = [field.name for field in dataclasses.fields(Options)]
    told = {name: getattr(args, name) for name in names}
    for name, why in REFUSED.items():
        if getattr(args, name) not in (None, "false"):
            print(f"tfrec serve: --{name} is not offered: {why}", file=sys.stderr)
            return 1
    for name, why in WITHOUT_EFFECT.items():
        if getattr(args, name) is not None:
            logger.info("--%s has no effect: %s", name, why)
    from tfrec.serving.errors import ServingError

    try:
        with _told_to_stop_early():
            if told["processes"] > 1:
                from tfrec.serving import processes

                return processes.run(args.path, told, _ready)
            from tfrec.serving.server import serve

            serve(args.path, ready=_ready, **told)
    except (ServingError, ValueError) as error:
        print(f"tfrec {error}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _told_to_stop_early() -> Iterator[None]:
    """Signals end the process with 0 before there is a server that takes them.

    The first process of a container gets none that it does not ask for.
    """

    def end(number: int, frame: Any) -> None:
        sys.exit(0)

    before = {}
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ValueError):  # not the main thread
                before[number] = signal.signal(number, end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ready(address: str) -> None:
    print(f"tfrec serve: listening on {address}", flush=True)
