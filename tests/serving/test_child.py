import os
import signal
import subprocess
import sys

CODE = """
import signal, sys
from tfrec.serving import child
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
child.end_with(0)
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_it_is_told_to_stop_when_the_pipe_closes():
    child = subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"ready\n"
    child.stdin.write(b"what comes is of no interest")
    child.stdin.flush()
    assert child.poll() is None
    child.stdin.close()
    assert child.wait(60) == 7
    child.stdout.close()


def test_a_request_to_stop_that_comes_first():
    child = subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"ready\n"
    os.kill(child.pid, signal.SIGTERM)
    assert child.wait(60) == 7
    child.stdin.close()
    child.stdout.close()
