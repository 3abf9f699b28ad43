"""A server that ends with the process that started it.

`python -m tfrec.serving.child PATH`, as `tfrec serve PATH`, with a pipe for stdin
whose other end nobody but the starter holds.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tfrec
from tfrec.serving import command

LISTENING = "tfrec serve: listening on "


def start(arguments: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """A fresh interpreter that serves; its stdout says where it listens.

    Args:
        arguments: those of `tfrec serve`.
        options: of `subprocess.Popen`.
    """
    home = str(Path(next(iter(tfrec.__path__))).resolve().parent)
    paths = [home, os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-m", "tfrec.serving.child", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def end_with(pipe: int) -> None:
    """Has this process told to stop once the other end of a pipe is closed.

    The system closes it, however its holder ends.
    """

    def watch() -> None:
        while os.read(pipe, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    end_with(sys.stdin.fileno())
    parser = argparse.ArgumentParser(prog="tfrec serve")
    command.add_arguments(parser)
    sys.exit(command.run(parser.parse_args()))
