"""Starts the processes of `training.py`, asks them, and stops what takes too much."""

import importlib.metadata
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# tfrec as its users feed it, and as plain Keras and DeepCTR are fed here.
MODULES = {
    "tfrec": "ours.System",
    "tfrec_xla": "ours.Compiled",
    "limit": "limit.System",
    "tfrec_arrays": "ours.Arrays",
    "plain": "plain.System",
    "deepctr": "peer_deepctr.System",
}
DEEPCTR = "0.9.4"
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONPATH": f"{HERE}:{HERE.parent}",
}
OF_DEEPCTR = {
    "TF_USE_LEGACY_KERAS": "1",
    # Importing it asks a server for its newest version: nobody answers.
    "https_proxy": "http://127.0.0.1:9",
}
SPARE = 1.5  # GB that stay free on the machine


class Stopped(Exception):
    """Why a worker has no answer: in the table, it stands for the numbers."""


def python_of(system, folder):
    """The interpreter that has a system; makes DeepCTR's environment at first use."""
    if system != "deepctr":
        return sys.executable
    home = folder / "deepctr"
    python = home / "bin" / "python"
    if not (home / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "--no-deps", f"deepctr=={DEEPCTR}"], check=True)
        versions = [
            f"{name}=={importlib.metadata.version(name)}"
            for name in ("tensorflow", "tf_keras", "numpy")
        ]
        subprocess.run([*install, *versions], check=True)
        (home / "done").touch()
    return str(python)


def free_gb():
    """Memory that the machine can still give."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) / 2**20


def needed_gb(system, cell):
    """About what a system takes: dense optimizers make copies of every table."""
    slots = {"adagrad": 1, "adam": 2}[cell["optimizer"]]
    copies = 1 + slots + {"plain": 3, "deepctr": 3}.get(system, 0.3)
    return 1.0 + cell["vocabulary"] * (cell["dim"] + 1) * 4 * copies / 2**30


class Worker:
    """A running system. `ask` raises `Stopped` when it is too slow or too large."""

    def __init__(self, system, cell, arrays, folder, timeout):
        self.timeout = timeout
        if needed_gb(system, cell) + SPARE > free_gb():
            needed = f"needs about {needed_gb(system, cell):.0f} GB"
            raise Stopped(f"not started: {needed}, {free_gb():.0f} GB are free")
        arguments = [MODULES[system], json.dumps(cell), str(arrays)]
        self.log = folder / f"{system}.log"
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [
                    python_of(system, folder),
                    str(HERE / "training_worker.py"),
                    *arguments,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={
                    **os.environ,
                    **ENVIRONMENT,
                    **(OF_DEEPCTR if system == "deepctr" else {}),
                },
            )
        self.started = self._answer()

    def ask(self, command, **arguments):
        line = json.dumps([command, arguments]) + "\n"
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        until = time.monotonic() + self.timeout
        while not select.select([self.process.stdout], [], [], 0.2)[0]:
            if time.monotonic() > until:
                self.stop()
                raise Stopped(f"timed out after {self.timeout:.0f} s")
            if free_gb() < SPARE:
                self.stop()
                raise Stopped("stopped: the machine's memory ran out")
        line = self.process.stdout.readline()
        if not line:
            self.stop()
            lines = self.log.read_text(errors="replace").strip().splitlines()
            raise Stopped(f"failed: {lines[-1] if lines else 'no message'}")
        return json.loads(line)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
