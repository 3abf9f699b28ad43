"""One system of `training.py` in a process of its own, which does as it is told.

    PYTHON training_worker.py SYSTEM CELL FOLDER

Reads one JSON command a line from standard input, answers one JSON line each on
standard output, and leaves everything else that is printed to standard error. A
system is a module of `systems` with a class `System(cell, arrays)` that has

    parameters              how many trainable numbers it has
    run(start, stop)        trains on these rows of the arrays, in batches, in order
    predict(start, stop)    logits of these rows

`describe` asks tfrec for the bytes that `tfrec.describe` foretells.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path

import criteo_like
import numpy as np


def peak_mb():
    """The largest resident memory that this process has had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024


class Commands:
    def __init__(self, module, cell, folder):
        self.cell, self.arrays = cell, criteo_like.read_arrays(Path(folder))
        self.rows, self.place = len(self.arrays["click"]), 0
        module, name = module.split(".")
        make = getattr(importlib.import_module(f"systems.{module}"), name)
        self.imported_mb = peak_mb()
        started = time.perf_counter()
        self.system = make(cell, self.arrays)
        self.make_seconds = time.perf_counter() - started

    def start(self):
        return {
            "parameters": int(self.system.parameters),
            "imported_mb": self.imported_mb,
            "make_seconds": self.make_seconds,
        }

    def describe(self):
        return {"bytes": self.system.described_bytes()}

    def steps(self, count):
        """The next batches, round and round."""
        rows = count * self.cell["batch"]
        if self.place + rows > self.rows:
            self.place = 0
        start, self.place = self.place, self.place + rows
        return {"loss": float(self.system.run(start, start + rows)), "steps": count}

    def train(self, start, stop):
        return {"loss": float(self.system.run(start, stop))}

    def predict(self, start, stop, file):
        np.save(file, self.system.predict(start, stop))
        return {}


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    module, cell, folder = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
    wall, cpu = time.perf_counter(), time.process_time()
    commands = Commands(module, cell, folder)
    name, arguments = "start", {}
    while True:
        answer = getattr(commands, name)(**arguments)
        answer["wall"] = time.perf_counter() - wall
        answer["cpu"] = time.process_time() - cpu
        answer["peak_mb"] = peak_mb()
        answers.write(json.dumps(answer) + "\n")
        line = sys.stdin.readline()
        if not line:
            return
        (name, arguments) = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()


if __name__ == "__main__":
    main()
