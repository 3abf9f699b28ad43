"""A server under 16 clients while all that can go wrong around it goes wrong.

    python benchmarks/chaos.py [--minutes 10]

Versions come and go, good, broken and half-copied; the process gets SIGTERM and is
started again; clients vanish in the middle of a message; oversized and malformed
requests arrive. Every answer is checked: `y = weight * (a + b)`, and the version
that answered says which weight. Ends with 1 on a wrong answer, on a well-formed
request that fails but by a limit or during a restart, on a stop that is not clean,
and on an ill-formed request that is not refused as it should be. The report's last
line is JSON.
"""

import argparse
import collections
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import numpy as np
from servables import Scale, request, save, warm
from tensorflow_serving.apis import predict_pb2

HERE = Path(__file__).resolve().parent
PREDICT = "/tensorflow.serving.PredictionService/Predict"
WEIGHTS, GRPC_CLIENTS, REST_CLIENTS = 5, 12, 4
LIMIT = 2**20  # bytes of a message
SIZES = (1, 1, 10, 1000, 50_000)  # rows of a request
KEPT = 2  # good versions on disk, beside the one that comes


class Server:
    """The process, restarted now and then; knows when it was down."""

    def __init__(self, folder):
        self._folder = folder
        self.port, self.rest = free_port(), free_port()
        self.downs = []  # [from, to]
        self.statuses = []
        self.log = open(folder.parent / "server.log", "ab")
        self._start()

    def _start(self):
        """A start fails by contract while the newest version is a broken one."""
        for _ in range(20):
            self._launch()
            if "listening" in self.process.stdout.readline():
                return
            self.process.wait(60)
        raise SystemExit("the server does not start")

    def _launch(self):
        command = [sys.executable, "-m", "tfrec", "serve", str(self._folder)]
        command += [f"--port={self.port}", f"--rest_api_port={self.rest}"]
        command += [f"--grpc_channel_arguments=grpc.max_receive_message_length={LIMIT}"]
        command += [f"--rest_api_max_body_bytes={LIMIT}", "--max_num_load_retries=0"]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def restart(self):
        down = [time.monotonic(), float("inf")]
        self.downs.append(down)
        self.stop()
        self._start()
        down[1] = time.monotonic()

    def stop(self):
        self.process.terminate()
        self.statuses.append(self.process.wait(60))
        self.process.stdout.close()

    def was_down(self, begin, end):
        return any(begin <= up and down <= end for down, up in self.downs)

    def megabytes(self):
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Run:
    """What all threads share: the server, the end, the counts."""

    def __init__(self, server):
        self.server = server
        self.over = threading.Event()
        self.counts = collections.Counter()
        self.faults = []
        self.latencies = []
        self._lock = threading.Lock()

    def count(self, what, fault=None):
        with self._lock:
            self.counts[what] += 1
            if fault is not None and len(self.faults) < 20:
                self.faults.append(f"{what}: {fault}")

    def failed(self, begin, code, text, limits):
        """A well-formed request that failed: says whether it may."""
        if code in limits:
            self.count("refused by a limit")
        elif self.server.was_down(begin, time.monotonic()):
            self.count("failed during a restart")
        else:
            self.count("FAILED", f"{code} {text[:200]}")

    def checked(self, begin, version, y, a, b):
        wanted = (1 + version % WEIGHTS) * (a + b)
        if y.shape == wanted.shape and np.allclose(y, wanted, rtol=1e-5, atol=1e-6):
            self.count("right")
            self.latencies.append(time.monotonic() - begin)
        else:
            self.count("WRONG", f"version {version}: {y[:3]} for {wanted[:3]}")


def drawn(dice):
    rows = dice.choice(SIZES)
    values = np.random.default_rng(dice.getrandbits(32)).normal(size=(2, rows))
    return values.astype(np.float32)


def channel_to(port):
    options = [("grpc.use_local_subchannel_pool", 1)]
    options.append(("grpc.max_receive_message_length", 2**26))
    return grpc.insecure_channel(f"127.0.0.1:{port}", options=options)


def grpc_client(run, number):
    dice, channel = random.Random(number), channel_to(run.server.port)
    while not run.over.is_set():
        a, b = drawn(dice)
        begin = time.monotonic()
        data = request("scale", {"a": a, "b": b})
        try:
            answer = channel.unary_unary(PREDICT)(data, timeout=30)
        except grpc.RpcError as error:
            limits = ("RESOURCE_EXHAUSTED",)
            run.failed(begin, error.code().name, error.details() or "", limits)
            channel.close()
            time.sleep(0.1)
            channel = channel_to(run.server.port)
            continue
        found = predict_pb2.PredictResponse.FromString(answer)
        y = np.array(found.outputs["y"].float_val, np.float32)
        run.checked(begin, found.model_spec.version.value, y, a, b)
    channel.close()


def rest_client(run, number):
    """REST does not say which version answered: one of the weights must fit."""
    dice, connection = random.Random(number), None
    while not run.over.is_set():
        a, b = drawn(dice)[:, :1000]
        begin = time.monotonic()
        body = json.dumps({"inputs": {"a": a.tolist(), "b": b.tolist()}})
        try:
            if connection is None:
                connection = http.client.HTTPConnection(
                    "127.0.0.1", run.server.rest, timeout=30
                )
            connection.request("POST", "/v1/models/scale:predict", body)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            run.failed(begin, type(error).__name__, str(error), ())
            connection, _ = None, time.sleep(0.1)
            continue
        if response.status != 200:
            run.failed(begin, response.status, text.decode(), (429,))
            continue
        y = np.array(json.loads(text)["outputs"], np.float32)
        whole = np.abs(a + b).argmax()
        version = round(float(y[whole] / (a + b)[whole])) - 1
        run.checked(begin, version if 0 <= version < WEIGHTS else 0, y, a, b)


def ill_formed(run, number):
    """Oversized and malformed requests, each of which has its own answer."""
    dice, channel = random.Random(number), channel_to(run.server.port)
    large = request("scale", dict.fromkeys("ab", np.zeros(LIMIT // 4, np.float32)))
    good = request("scale", dict.fromkeys("ab", np.ones(3, np.float32)))
    petabyte = predict_pb2.PredictRequest.FromString(good)
    petabyte.inputs["a"].tensor_shape.dim[0].size = 1 << 50
    petabyte.inputs["a"].tensor_content = b""
    petabyte.inputs["a"].float_val.append(1)
    petabyte = petabyte.SerializeToString()
    while not run.over.is_set():
        cases = [
            (large, {"RESOURCE_EXHAUSTED"}),
            (petabyte, {"INVALID_ARGUMENT"}),
            (b"\xff" + dice.randbytes(dice.randrange(1, 200)), {"INTERNAL"}),
            (good[: dice.randrange(1, len(good))], {"INTERNAL", "INVALID_ARGUMENT"}),
        ]
        for data, codes in cases:
            begin = time.monotonic()
            try:
                channel.unary_unary(PREDICT)(data, timeout=30)
                code = "OK"
            except grpc.RpcError as error:
                code = error.code().name
                if code == "UNAVAILABLE":  # a new one does not pause before it tries
                    channel.close()
                    channel = channel_to(run.server.port)
            refused(run, begin, code, codes)
        for body, codes in [
            (b"[" * 100_000, {400}),
            (b" " * (LIMIT + 1), {413}),
            (dice.randbytes(100), {400}),
            (b'{"inputs": {"a": ["x"], "b": [1]}}', {400}),
        ]:
            begin = time.monotonic()
            try:
                connection = http.client.HTTPConnection(
                    "127.0.0.1", run.server.rest, timeout=30
                )
                connection.request("POST", "/v1/models/scale:predict", body)
                code = connection.getresponse().status
            except ConnectionError:  # answered and closed while it was still sending
                code = 413 if len(body) > LIMIT else "ConnectionError"
            except (OSError, http.client.HTTPException) as error:
                code = type(error).__name__
            finally:
                connection.close()
            refused(run, begin, code, codes)
        time.sleep(0.05)
    channel.close()


def refused(run, begin, code, codes):
    if code in codes:
        run.count("ill-formed, refused")
    elif run.server.was_down(begin, time.monotonic()):
        run.count("ill-formed, during a restart")
    else:
        run.count("ILL ANSWERED", f"{code}, not {codes}")


def vanishing(run, number):
    """Clients that are gone in the middle of a message, or of waiting."""
    dice = random.Random(number)
    data = request("scale", dict.fromkeys("ab", np.zeros(50_000, np.float32)))
    while not run.over.is_set():
        with socket.create_server(("127.0.0.1", 0)) as middle:
            cut = threading.Thread(
                target=cut_off, args=(middle, run.server.port, dice.randrange(400_000))
            )
            cut.start()
            with channel_to(middle.getsockname()[1]) as channel:
                call = channel.unary_unary(PREDICT).future(data, timeout=2)
                time.sleep(dice.random() * 0.05)
                if dice.random() < 0.3:
                    call.cancel()
                call.exception() if not call.cancelled() else None
            cut.join()
        try:
            with socket.create_connection(("127.0.0.1", run.server.rest), 5) as raw:
                raw.sendall(b"POST /v1/models/scale:predict HTTP/1.1\r\nHost: x\r\n")
                raw.sendall(b"Content-Length: 1000\r\n\r\n" + b"{" * dice.randrange(99))
        except OSError:
            pass
        run.count("vanished in a message")
        time.sleep(0.05)


def cut_off(middle, port, most):
    """Passes `most` bytes on, then closes both ends."""
    middle.settimeout(3)
    try:
        near, _ = middle.accept()
        with near, socket.create_connection(("127.0.0.1", port), 5) as far:
            back = threading.Thread(target=pump, args=(far, near, 2**30), daemon=True)
            back.start()
            pump(near, far, most)
            for end in (far, near):
                end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def pump(source, sink, most):
    try:
        source.settimeout(3)
        while most > 0:
            data = source.recv(min(most, 16_384))
            if not data:
                return
            sink.sendall(data)
            most -= len(data)
    except OSError:
        pass


def versions(run, folder, templates, pause):
    """Publishes, breaks, half-copies and takes versions away."""
    dice, number, good = random.Random(1), 1, [1]
    while not run.over.wait(pause):
        number += 1
        source, place = templates[number % WEIGHTS], folder / str(number)
        kind = dice.choice(("good", "good", "broken", "half", "slow copy", "rollback"))
        run.count(f"versions: {kind}")
        if kind == "good":
            hidden = folder / f"tmp-{number}"
            shutil.copytree(source, hidden)
            hidden.rename(place)
        elif kind == "broken":
            hidden = folder / f"tmp-{number}"
            shutil.copytree(source, hidden)
            broken = hidden / dice.choice(
                ("saved_model.pb", "variables/variables.index")
            )
            broken.write_bytes(broken.read_bytes()[: dice.randrange(50)])
            hidden.rename(place)
            run.over.wait(pause)
            shutil.rmtree(place)
        elif kind == "rollback":
            if len(good) > 1:
                shutil.rmtree(folder / str(good.pop()))
        else:
            copy_slowly(source, place, dice, stop=kind == "half")
            if kind == "half":
                run.over.wait(pause)
                shutil.rmtree(place)
        if kind in ("good", "slow copy"):
            good.append(number)
        while len(good) > KEPT + 1:
            shutil.rmtree(folder / str(good.pop(0)))


def copy_slowly(source, place, dice, stop):
    """File by file, in pieces; `stop`: not all of it."""
    files = [path for path in source.rglob("*") if path.is_file()]
    dice.shuffle(files)
    for path in files[: dice.randrange(1, len(files)) if stop else None]:
        new = place / path.relative_to(source)
        new.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes()
        half = len(data) // 2
        with new.open("wb") as file:
            file.write(data[:half])
            file.flush()
            time.sleep(dice.random() * 0.4)
            file.write(data[half:])


def slope(samples):
    """Megabytes a minute of [(seconds, megabytes)], by least squares."""
    if len(samples) < 10:
        return None
    seconds, megabytes = np.array(samples).T
    return float(np.polyfit(seconds / 60, megabytes, 1)[0])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--pause", type=float, default=3, help="between two versions")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="chaos"))
    try:
        report = chaos(root, options.minutes * 60, options.pause)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(json.dumps(report))
    return 1 if report["faults"] else 0


def chaos(root, seconds, pause):
    templates = []
    for number in range(WEIGHTS):
        folder = root / f"template{number}"
        save(Scale(1 + number), "scale", folder)
        few = {"a": np.ones(3, np.float32), "b": np.ones(3, np.float32)}
        warm(folder, request("scale", few))
        templates.append(folder)
    folder = root / "scale"
    folder.mkdir()
    shutil.copytree(templates[1], folder / "1")
    server = Server(folder)
    run = Run(server)
    works = [(grpc_client, number) for number in range(GRPC_CLIENTS)]
    works += [(rest_client, 100 + number) for number in range(REST_CLIENTS)]
    works += [(ill_formed, 200), (vanishing, 300)]
    threads = [threading.Thread(target=work, args=(run, n)) for work, n in works]
    threads.append(
        threading.Thread(target=versions, args=(run, folder, templates, pause))
    )
    for thread in threads:
        thread.daemon = True
        thread.start()
    begin, samples, last = time.monotonic(), [], 0.0
    restarts = [seconds * share for share in ((0.1, 0.2) if seconds > 300 else (0.2,))]
    while (now := time.monotonic() - begin) < seconds:
        if restarts and now > restarts[0]:
            restarts.pop(0)
            server.restart()
            samples, last = [], time.monotonic() - begin
        if server.process.poll() is not None:
            run.count("THE SERVER DIED", f"status {server.process.returncode}")
            break
        samples.append((now, server.megabytes()))
        time.sleep(0.5)
    run.over.set()
    for thread in threads:
        thread.join(60)
        if thread.is_alive():
            run.count("A CLIENT HANGS", thread.name)
    server.stop()
    for status in server.statuses:
        if status != 0:
            run.count("BAD EXIT STATUS", status)
    warm_up = (seconds - last) / 4  # of the last life of the process
    steady = [one for one in samples if one[0] > last + warm_up]
    log = (root / "server.log").read_text(errors="replace")
    if "Traceback" in log:
        run.count("TRACEBACK", log[log.index("Traceback") :][:3000])
    latencies = np.array(run.latencies) * 1000
    return {
        "seconds": round(seconds),
        "counts": dict(run.counts),
        "faults": run.faults,
        "restarts": len(server.downs),
        "p50_ms": round(float(np.percentile(latencies, 50)), 1),
        "p99_ms": round(float(np.percentile(latencies, 99)), 1),
        "megabytes": [
            round(value) for _, value in steady[:: max(len(steady) // 12, 1)]
        ],
        "megabytes_per_minute": slope(steady),
        "switches": log.count("unloaded servable"),
    }


if __name__ == "__main__":
    sys.exit(main())
