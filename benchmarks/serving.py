"""What the server costs, beside a naive one and beside one that runs no model.

    python benchmarks/serving.py [--rounds 3] [--seconds 3]
    python benchmarks/serving.py --report

Servers and the client are processes of their own on one machine; servers that are
compared take turns, round by round. Prints a table, writes serving_results.json;
`--report` writes docs/serving_performance.md from it.
"""

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import numpy as np
import servables
import tensorflow as tf

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}"}
PREDICT = "/tensorflow.serving.PredictionService/Predict"
CLIENTS, PAUSE, SWITCHES = 16, 0.02, 6
TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A server process, its port, its CPU time."""

    def __init__(self, *command):
        self._process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self._process.stdout.readline()
        self.port = int(line.strip().rsplit(":", 1)[-1])

    def cpu(self):
        """Seconds of CPU time, of all its threads and those of its children."""
        own = Path(f"/proc/{self._process.pid}")
        children = (own / "task" / own.name / "children").read_text().split()
        ticks = 0
        for pid in (own.name, *children):
            told = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1]
            ticks += sum(map(int, told.split()[11:13]))
        return ticks / TICKS

    def stop(self):
        self._process.terminate()
        self._process.wait(60)
        self._process.stdout.close()


def ours(folder, *arguments):
    return Process("-m", "tfrec", "serve", folder, "--port=0", *arguments)


def start_load(server, model, file, clients, seconds, pause=0.0):
    command = [sys.executable, HERE / "serving_load.py", server.port, model, file]
    command += [clients, seconds, *([pause] if pause else [])]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)


def load(server, model, file, clients, seconds, pause=0.0):
    """What the client says, and the server's CPU ms a request."""
    begin = server.cpu()
    running = start_load(server, model, file, clients, seconds, pause)
    answer = json.loads(running.communicate()[0])
    spent = server.cpu() - begin
    answer["cpu_ms"] = round(1000 * spent / max(answer["requests"], 1), 3)
    return answer


def median(answers):
    """The median of each number over the rounds."""
    names = [name for name, value in answers[0].items() if not isinstance(value, dict)]
    names = [name for name in names if name not in ("model", "times")]
    return {
        name: round(float(np.median([answer[name] for answer in answers])), 3)
        for name in names
    }


def compare(root, options):
    """The small ranker: ours in one process and in two, the naive server, the echo."""
    file = root / "ranker.request"
    echo_file = root / "echo.answer"
    server = ours(root / "models" / "ranker")
    call = grpc.insecure_channel(f"127.0.0.1:{server.port}").unary_unary(PREDICT)
    echo_file.write_bytes(call(file.read_bytes(), timeout=60))
    peers = HERE / "systems" / "serving_peers.py"
    servers = {
        "tfrec": server,
        "tfrec --processes=2": ours(root / "models" / "ranker", "--processes=2"),
        "naive": Process(peers, "naive", root / "models" / "ranker" / "1"),
        "echo": Process(peers, "echo", echo_file),
    }
    found = {}
    for server in servers.values():
        load(server, "ranker", file, CLIENTS, 1)
    for clients in (1, CLIENTS):
        rounds = {name: [] for name in servers}
        for _ in range(options.rounds):
            for name, server in servers.items():
                answer = load(server, "ranker", file, clients, options.seconds)
                rounds[name].append(answer)
        for name, answers in rounds.items():
            found[f"{name}, {clients}"] = median(answers)
    per_second = {
        name: np.array([answer["per_second"] for answer in answers])
        for name, answers in rounds.items()
    }
    mine = per_second.pop("tfrec")
    ratios = {  # within a round: a machine is not equally fast all the time
        name: round(float(np.median(mine / other)), 3)
        for name, other in per_second.items()
    }
    one = ask_in_python(servers["tfrec"].port, file.read_bytes())
    found["tfrec, 1 client made with grpcio"] = one
    for server in servers.values():
        server.stop()
    return found, ratios


def ask_in_python(port, data, rounds=1500):
    times = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(PREDICT)
        for _ in range(rounds):
            begin = time.perf_counter()
            call(data, timeout=20)
            times.append(time.perf_counter() - begin)
    return {"p50_ms": round(1000 * float(np.median(times[100:])), 3)}


def direct(root, rounds=1500):
    """Calling the graph in this process, with nothing between; and the handler."""
    from tfrec.serving.repository import Repository
    from tfrec.serving.servable import Servable
    from tfrec.serving.services import Services

    folder = root / "models" / "ranker" / "1"
    inputs = servables.ranker_inputs()
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    servable = Servable("ranker", 1, folder)
    signature = servable.signatures["serving_default"]
    repository = Repository()
    repository.publish(servable)
    services = Services(repository)
    data = (root / "ranker.request").read_bytes()
    ways = {
        "signature": lambda: serve(x=tf.constant(inputs["x"]))["score"].numpy(),
        "session callable": lambda: signature.run(("score",), [inputs["x"]]),
        "handler, bytes to bytes": lambda: _finish(services.predict(data, None)),
    }
    found = {}
    for name, way in ways.items():
        times = []
        for _ in range(rounds):
            begin = time.perf_counter()
            way()
            times.append(time.perf_counter() - begin)
        found[name] = round(1000 * float(np.median(times[100:])), 3)
    return found


def _finish(answering):
    """Runs what waits for nothing, without a loop."""
    try:
        answering.send(None)
    except StopIteration as answered:
        return answered.value
    raise RuntimeError("the handler waits")


def user_tower(root, options):
    """CPU of a tower of 11 inputs and a history of 50, and where the time goes."""
    file, found = root / "user.request", {}
    with_rest = free_port()
    server = ours(root / "models" / "user", f"--rest_api_port={with_rest}")
    load(server, "user", file, 8, 1)
    for clients in (1, 8, 32):
        answers = [
            load(server, "user", file, clients, options.seconds)
            for _ in range(options.rounds)
        ]
        found[str(clients)] = median(answers)
    found["stages_us"] = stages(with_rest)
    server.stop()
    return found


def stages(port):
    """Mean microseconds of each stage of Predict, from the server's metrics."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    found = {}
    for stage in ("decode", "queue", "run", "encode"):
        numbers = []
        for what in ("sum", "count"):
            match = re.search(
                rf'stage_seconds_{what}{{[^}}]*API="Predict",stage="{stage}"}} (\S+)',
                text,
            )
            numbers.append(float(match[1]) if match else 0.0)
        if numbers[1]:
            mean = round(1e6 * numbers[0] / numbers[1], 1)
            found[stage] = {"mean_us": mean, "requests": int(numbers[1])}
    return found


def free_port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def overload(root, options):
    """200 clients and a graph of some milliseconds, with a queue of 16 and of 512."""
    file, found = root / "slow.request", {}
    for most in (16, 512):
        server = ours(root / "models" / "slow", f"--max_queued_requests={most}")
        load(server, "slow", file, 1, 1)
        one = load(server, "slow", file, 1, options.seconds)
        answer = load(server, "slow", file, 200, 2 * options.seconds)
        server.stop()
        answer["alone_p50_ms"] = one["p50_ms"]
        answer["others"] = answer.pop("refused")
        found[f"queue of {most}"] = answer
    return found


def switch(root, seconds=5.0):
    """Paced load while version after version is switched in."""
    folder, file = root / "models" / "ranker", root / "ranker.request"
    server = ours(folder)
    load(server, "ranker", file, 8, 1)
    total = seconds * (SWITCHES + 1)
    running = start_load(server, "ranker", file, 8, total, PAUSE)
    windows = []
    time.sleep(seconds)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        for version in range(2, SWITCHES + 2):
            begin = time.monotonic()
            shutil.copytree(folder / "1", folder / f"tmp-{version}")
            (folder / f"tmp-{version}").rename(folder / str(version))
            call, data = channel.unary_unary(PREDICT), file.read_bytes()
            while version_of(call(data, timeout=20)) != version:
                time.sleep(0.1)
            windows.append((begin, time.monotonic() + 1))  # and the old one's end
            time.sleep(max(seconds - (time.monotonic() - begin), 0))
    answer = json.loads(running.communicate()[0])
    server.stop()
    inside, outside = [], []
    for begin, spent in answer["times"]:
        during = any(a <= begin + spent / 1000 and begin <= b for a, b in windows)
        (inside if during else outside).append(spent)
    return {
        "refused": answer["refused"],
        "requests_per_second": answer["per_second"],
        "switches": len(windows),
        "seconds_of_a_switch": round(
            float(np.mean([b - a - 1 for a, b in windows])), 2
        ),
        **{
            what: {
                "requests": len(times),
                **{
                    f"p{q}_ms": round(float(np.percentile(times, q)), 2)
                    for q in (50, 99, 99.9, 100)
                },
            }
            for what, times in (("during", inside), ("else", outside))
        },
    }


def version_of(answer):
    from tensorflow_serving.apis import predict_pb2

    return predict_pb2.PredictResponse.FromString(answer).model_spec.version.value


class Slow(tf.Module):
    """A product of matrices, again and again: some milliseconds."""

    @tf.function(input_signature=[tf.TensorSpec([None, 64], tf.float32, "x")])
    def slow(self, x):
        y = tf.ones([256, 256]) * x[0, 0]
        for _ in range(24):
            y = tf.matmul(y, y) / 256.0
        return {"score": tf.reduce_sum(x) * y[0, 0]}


def prepare(root):
    models = root / "models"
    for name, module, method, inputs in [
        ("ranker", servables.Ranker(), "rank", servables.ranker_inputs()),
        ("user", servables.UserTower(), "embed", servables.user_inputs()),
        ("slow", Slow(), "slow", servables.ranker_inputs(1)),
    ]:
        servables.save(module, method, models / name / "1")
        data = servables.request(name, inputs)
        servables.warm(models / name / "1", data)
        (root / f"{name}.request").write_bytes(data)


def targets(found):
    """(what, wanted, found, whether it is met)."""
    compared, user = found["compare"], found["user_tower"]
    naive, echo = found["ratios"]["naive"], found["ratios"]["echo"]
    cpu = user["32"]["cpu_ms"]
    alone = found["direct_ms"]["signature"]
    ratio = compared["tfrec, 1"]["p50_ms"] / alone
    grpcio = compared["tfrec, 1 client made with grpcio"]["p50_ms"] / alone
    during, other = found["switch"]["during"], found["switch"]["else"]
    calm = during["p99_ms"] / other["p99_ms"]
    rows = [
        (
            "requests/s beside the naive server",
            ">= 3.5 x",
            f"{naive:.2f} x",
            naive >= 3.5,
        ),
        ("requests/s beside the echo", ">= 40 %", f"{100 * echo:.0f} %", echo >= 0.4),
        ("CPU of a user tower, 32 clients", "<= 0.6 ms", f"{cpu:.2f} ms", cpu <= 0.6),
        (
            "one client's p50 beside the graph",
            "<= 2 x",
            f"{ratio:.2f} x; made with grpcio {grpcio:.2f} x",
            ratio <= 2,
        ),
        ("p99 during a switch beside else", "as else", f"{calm:.2f} x", calm <= 1.2),
    ]
    return [[what, wanted, got, bool(met)] for what, wanted, got, met in rows]


def table(title, rows, columns):
    lines = [f"| {title} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        values = [str(row.get(column, "")) for column in columns]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines)


def sections(found):
    """{marker: its text}, for the page and for the terminal."""
    lines = ["| target | wanted | found | |", "|---|---|---|---|"]
    for what, wanted, got, met in found["targets"]:
        lines.append(
            f"| {what} | {wanted} | {got} | {'met' if met else '**missed**'} |"
        )
    speed = ["per_second", "cpu_ms", "p50_ms", "p99_ms"]
    user = {f"{n} clients": found["user_tower"][n] for n in ("1", "8", "32")}
    both = {name: found["switch"][name] for name in ("during", "else")}
    quantiles = ["requests", "p50_ms", "p99_ms", "p99.9_ms", "p100_ms"]
    overloaded = ["per_second", "alone_p50_ms", "p50_ms", "p99_ms", "others"]
    direct_rows = {name: {"ms": value} for name, value in found["direct_ms"].items()}
    return {
        "machine": found["machine"],
        "targets": "\n".join(lines),
        "compare": table("server, clients", found["compare"], speed),
        "direct": table("in the process", direct_rows, ["ms"]),
        "user tower": table("user tower", user, speed),
        "stages": table(
            "stage", found["user_tower"]["stages_us"], ["mean_us", "requests"]
        ),
        "overload": table("200 clients", found["overload"], overloaded),
        "switch": table(f"{found['switch']['switches']} switches", both, quantiles),
    }


def report(path, page):
    found = json.loads(path.read_text())
    text = page.read_text()
    for name, content in sections(found).items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"
    page.write_text(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a round")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--output", type=Path, default=HERE / "serving_results.json")
    options = parser.parse_args()
    if options.report:
        report(options.output, HERE.parent / "docs" / "serving_performance.md")
        return
    root = Path(tempfile.mkdtemp(prefix="serving"))
    try:
        prepare(root)
        versions = [
            f"{n} {importlib.metadata.version(n)}" for n in ("tensorflow", "grpcio")
        ]
        load_average = os.getloadavg()[0]
        compared, ratios = compare(root, options)
        found = {
            "machine": f"{', '.join(versions)}, {os.cpu_count()} cores; the client "
            f"shares them, and {load_average:.1f} other processes wanted them when "
            "the run began.",
            "direct_ms": direct(root),
            "compare": compared,
            "ratios": ratios,
            "user_tower": user_tower(root, options),
            "overload": overload(root, options),
            "switch": switch(root),
        }
    finally:
        shutil.rmtree(root)
    found["targets"] = targets(found)
    options.output.write_text(json.dumps(found, indent=1) + "\n")
    for name, content in sections(found).items():
        print(f"\n{name}\n{content}")


if __name__ == "__main__":
    main()
