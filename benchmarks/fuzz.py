"""Requests that no client would send: every one must get a proper status.

    python benchmarks/fuzz.py [--inputs 100000] [--seed 0] [--wire 2000]

In this process: the handlers of all gRPC methods and the REST API, given mutated
valid requests, random bytes, and tensors whose dtype, shape and values do not agree.
Over the wire: some of them, and raw bytes to both ports. Ends with 1 when a status
is not a proper one, a handler raises, an answer does not parse, memory grows, or
the server dies. The last line is JSON.
"""

import argparse
import asyncio
import collections
import gzip
import http.client
import json
import logging
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from tfrec.serving import local_server
from tfrec.serving.repository import Repository
from tfrec.serving.rest import Rest
from tfrec.serving.servable import Servable
from tfrec.serving.services import Services

METHODS = {
    "PredictionService/Predict": predict_pb2.PredictRequest,
    "PredictionService/Classify": classification_pb2.ClassificationRequest,
    "PredictionService/Regress": regression_pb2.RegressionRequest,
    "PredictionService/MultiInference": inference_pb2.MultiInferenceRequest,
    "PredictionService/GetModelMetadata": (
        get_model_metadata_pb2.GetModelMetadataRequest
    ),
    "ModelService/GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
}
ANSWERS = {
    "PredictionService/Predict": predict_pb2.PredictResponse,
    "PredictionService/Classify": classification_pb2.ClassificationResponse,
    "PredictionService/Regress": regression_pb2.RegressionResponse,
    "PredictionService/MultiInference": inference_pb2.MultiInferenceResponse,
    "PredictionService/GetModelMetadata": (
        get_model_metadata_pb2.GetModelMetadataResponse
    ),
    "ModelService/GetModelStatus": get_model_status_pb2.GetModelStatusResponse,
}
PARSING = "does not parse as"  # the one INTERNAL that is proper
CODES = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED"}
HTTP = {200, 400, 404, 405, 412, 413, 429, 501}
GROWTH = 300  # MB; two tensors of 64 MB and their answer may be alive at once
SLOW = 5.0  # seconds


class Odd(tf.Module):
    """A signature of each kind that requests can get wrong in its own way."""

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, "x")])
    def text(self, x):
        return {"y": x, "y_bytes": x, "length": tf.strings.length(x)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int64, "ids"),
            tf.TensorSpec([None, 3], tf.float32, "x"),
        ]
    )
    def mixed(self, ids, x):
        rows = tf.gather(tf.ones([8, 3]), tf.math.floormod(ids, 8))
        return {"y": tf.matmul(x, rows, transpose_b=True)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress(self, inputs):
        columns = {"x": tf.io.FixedLenFeature([], tf.float32)}
        return {"outputs": tf.io.parse_example(inputs, columns)["x"] * 2}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify(self, inputs):
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})
        return {"scores": tf.stack([x["x"], 1 - x["x"]], axis=1)}


def save_all(folder):
    odd = Odd()
    names = ("text", "mixed", "regress", "classify")
    signatures = {name: getattr(odd, name) for name in names}
    signatures["serving_default"] = odd.mixed
    place = folder / "odd" / "1"
    tf.saved_model.save(odd, str(place), signatures=signatures)
    file = place / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    definition = model.meta_graphs[0].signature_def["regress"]
    definition.method_name = "tensorflow/serving/regress"
    file.write_bytes(model.SerializeToString())


def corpus():
    """[(method, message)] of requests that are answered."""
    made = []
    ids, x = np.arange(4), np.ones((4, 3), np.float32)
    for signature, inputs in [
        ("", {"ids": ids, "x": x}),
        ("mixed", {"ids": ids[:1], "x": x}),
        ("text", {"x": np.array([b"a", b"", b"\xff\0"], object)}),
    ]:
        message = predict_pb2.PredictRequest()
        message.model_spec.name = "odd"
        message.model_spec.signature_name = signature
        for alias, value in inputs.items():
            message.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
        made.append(("PredictionService/Predict", message))
        typed = predict_pb2.PredictRequest.FromString(message.SerializeToString())
        for alias, value in inputs.items():
            proto = typed.inputs[alias]
            if proto.tensor_content:
                proto.ClearField("tensor_content")
                field = proto.float_val if value.dtype == "f4" else proto.int64_val
                field.extend(value.reshape(-1).tolist())
        made.append(("PredictionService/Predict", typed))
    for name, kind, signature in [
        ("Classify", classification_pb2.ClassificationRequest, "classify"),
        ("Regress", regression_pb2.RegressionRequest, "regress"),
    ]:
        message = kind()
        message.model_spec.name = "odd"
        message.model_spec.signature_name = signature
        for value in (1.0, 2.0):
            example = message.input.example_list.examples.add()
            example.features.feature["x"].float_list.value.append(value)
        made.append((f"PredictionService/{name}", message))
    multi = inference_pb2.MultiInferenceRequest()
    multi.input.CopyFrom(message.input)
    task = multi.tasks.add(method_name="tensorflow/serving/regress")
    task.model_spec.CopyFrom(message.model_spec)
    made.append(("PredictionService/MultiInference", multi))
    asked = get_model_metadata_pb2.GetModelMetadataRequest()
    asked.model_spec.name = "odd"
    asked.metadata_field.append("signature_def")
    made.append(("PredictionService/GetModelMetadata", asked))
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "odd"
    made.append(("ModelService/GetModelStatus", status))
    return made


NUMBERS = [
    0,
    1,
    3,
    4,
    127,
    128,
    2**20,
    2**31 - 1,
    2**32,
    2**50,
    2**63 - 1,
    -1,
    -(2**63),
]
TEXTS = ["", "odd", "x", "ids", "y", "é\0", "../../etc/passwd", "a" * 3000, "%00", "\n"]
SPLICES = [b"\xff" * 9 + b"\x01", b"\x0a\xff\xff\xff\x7f", b"\0" * 8, b"\x80" * 12]


def changed(message, dice):
    """A Predict request with a field or two that do not go with the rest."""
    made = predict_pb2.PredictRequest.FromString(message.SerializeToString())
    for _ in range(dice.randrange(1, 4)):
        aliases = list(made.inputs)
        kind = dice.randrange(8)
        if kind == 0:
            spec, text = made.model_spec, dice.choice(TEXTS)
            which = dice.randrange(4)
            if which == 0:
                spec.name = text
            elif which == 1:
                spec.signature_name = dice.choice([*TEXTS, "text", "__saved_model"])
            elif which == 2:
                spec.version.value = dice.choice(NUMBERS)
            else:
                spec.version_label = text
        elif kind == 1:
            made.output_filter.append(dice.choice(TEXTS))
        elif kind == 2:
            made.inputs[dice.choice(TEXTS)].dtype = dice.randrange(30)
        elif aliases:
            tensor = made.inputs[dice.choice(aliases)]
            change_tensor(tensor, kind, dice)
    return made


def change_tensor(tensor, kind, dice):
    dims = tensor.tensor_shape.dim
    if kind == 3:
        tensor.dtype = dice.choice([*range(30), 101, 2**31 - 1])
    elif kind == 4:
        dims.add(size=dice.choice(NUMBERS))
        if dice.random() < 0.1:
            for _ in range(dice.randrange(300)):
                dims.add(size=1)
    elif kind == 5 and dims:
        dims[dice.randrange(len(dims))].size = dice.choice(NUMBERS)
    elif kind == 6:
        tensor.tensor_content = dice.randbytes(dice.choice([0, 1, 4, 12, 48, 1000]))
    else:
        which = dice.choice(
            ("float_val", "int64_val", "string_val", "half_val", "int_val", "bool_val")
        )
        values = {
            "float_val": [0.0, float("nan"), float("-inf"), 1e38],
            "int64_val": [0, -1, 2**63 - 1],
            "string_val": [b"", b"\xff", b"x" * 1000],
            "half_val": [0, 65535, -1, 2**31 - 1],
            "int_val": [0, -1, 2**31 - 1],
            "bool_val": [True, False],
        }[which]
        if dice.random() < 0.3:
            tensor.ClearField(which)
        getattr(tensor, which).extend(dice.choices(values, k=dice.randrange(6)))


def mutated(data, others, dice):
    """Bytes with pieces flipped, cut, doubled, or taken from elsewhere."""
    data = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 5])):
        place = dice.randrange(len(data) + 1)
        end = min(len(data), place + dice.choice([1, 2, 8, 40]))
        kind = dice.randrange(7)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << dice.randrange(8)
        elif kind == 1 and place < len(data):
            data[place] = dice.choice([0, 1, 127, 128, 255])
        elif kind == 2:
            del data[place:end]
        elif kind == 3:
            data[place:place] = data[place:end]
        elif kind == 4:
            data[place:place] = dice.randbytes(dice.randrange(1, 9))
        elif kind == 5:
            data[place:place] = dice.choice(SPLICES)
        else:
            other = dice.choice(others)
            start = dice.randrange(len(other) + 1)
            data[place:end] = other[start : start + dice.randrange(1, 40)]
    return bytes(data)


def rpc(valid, encoded, dice):
    """A method and bytes for it."""
    method, message = dice.choice(valid)
    if dice.random() < 0.05:
        method = dice.choice(list(METHODS))
    kind = dice.random()
    if kind < 0.1:
        return method, dice.randbytes(dice.choice([0, 1, 5, 30, 200]))
    if kind < 0.7 and isinstance(message, predict_pb2.PredictRequest):
        return method, changed(message, dice).SerializeToString()
    return method, mutated(message.SerializeToString(), encoded, dice)


PATHS = ["/v1/models/odd:predict", "/v1/models/odd/versions/1:predict"]
PATHS += ["/v1/models/odd:classify", "/v1/models/odd:regress", "/v1/models/odd"]
PATHS += ["/v1/models/odd/metadata", "/metrics", "/healthz", "/models"]
BODIES = [
    {"inputs": {"ids": [1, 2], "x": [[1, 2, 3], [4, 5, 6]]}},
    {"instances": [{"ids": 1, "x": [1, 2, 3]}, {"ids": 2, "x": [4, 5, 6]}]},
    {"signature_name": "text", "inputs": ["a", {"b64": "/w=="}]},
    {"signature_name": "text", "instances": [["a"], ["é"]]},
    {"signature_name": "classify", "examples": [{"x": 0.5}, {"x": [1.0]}]},
    {"signature_name": "regress", "examples": [{}], "context": {"x": 1.5}},
]
VALUES = [None, True, -1, 2**70, 1e400, 1e-320, "", "\0", {"b64": "?"}, {"b64": 1}]
VALUES += [[], {}, [[]], {"x": 1}, [[[1]]], "\ud800", 0.1, [1, [2]], float("nan")]


def altered(value, dice):
    """A JSON value with one place changed, kept, or given to another name."""
    if dice.random() < 0.25:
        return dice.choice(VALUES)
    if isinstance(value, dict) and value:
        made, key = dict(value), dice.choice(list(value))
        chance = dice.random()
        if chance < 0.15:
            made[dice.choice(["inputs", "instances", "examples", "q"])] = made.pop(key)
        elif chance < 0.2:
            del made[key]
        else:
            made[key] = altered(made[key], dice)
        return made
    if isinstance(value, list) and value:
        made, place = list(value), dice.randrange(len(value))
        made[place] = altered(made[place], dice)
        return made * dice.choice([1, 1, 1, 2])
    return dice.choice(VALUES)


def web(dice):
    """Method, path, headers and body of an HTTP request."""
    path, headers = dice.choice(PATHS), {}
    if dice.random() < 0.1:
        path = mutated(path.encode(), [b"/../", b"%2e%2e"], dice).decode("latin-1")
        path = "/" + "".join(filter(str.isprintable, path)).replace(" ", "").lstrip("/")
    body = dice.choice(BODIES)
    for _ in range(dice.randrange(3)):
        body = altered(body, dice)
    body = json.dumps(body).encode("utf-8", "surrogatepass")
    kind = dice.random()
    if kind < 0.3:
        body = mutated(body, [b"[" * 50, b'{"inputs":', b"NaN", b"1e999"], dice)
    elif kind < 0.33:
        body = b"[" * dice.choice([10, 1000, 50_000])
    elif kind < 0.4:
        body, headers = gzip.compress(body), {"Content-Encoding": "gzip"}
        body = mutated(body, [b""], dice) if dice.random() < 0.5 else body
    method = dice.choices(["POST", "GET", "PUT", "OPTIONS", "HEAD"], [20, 2, 1, 1, 1])[
        0
    ]
    return method, path, headers, body


class Context:
    """What a gRPC handler sees of its call."""

    def __init__(self, seconds):
        self._seconds = seconds

    def time_remaining(self):
        return self._seconds

    async def abort(self, code, text):
        raise Aborted(code, text)


class Aborted(Exception):
    pass


class Request:
    """What `Rest` sees of an HTTP request."""

    def __init__(self, method, path, headers, body):
        self.method, self.raw_path, self.headers = method, path, headers
        self.content_length, self.content, self._body = len(body), self, body

    async def iter_any(self):
        yield self._body


class Faults:
    """Counts statuses and keeps what is wrong, with the input."""

    def __init__(self, last=None):
        self._last = last
        self._longest = 0
        self.counts = collections.Counter()
        self.found = []
        self.slowest = 0.0

    def note(self, text):
        """Keeps the input where a crash leaves it."""
        if self._last is not None:
            data = text.encode("utf-8", "surrogatepass")
            os.pwrite(self._last, data.ljust(self._longest), 0)
            self._longest = len(data)

    def rpc(self, method, data, code, text, answer=None):
        self.counts[f"gRPC {code}"] += 1
        proper = (
            code == "OK" or code in CODES or (code == "INTERNAL" and PARSING in text)
        )
        if code == "OK":
            try:
                ANSWERS[method].FromString(answer)
            except DecodeError:
                proper = False
        if not proper:
            self.add(f"{method} {data.hex()[:600]}: {code} {text[:300]}")

    def web(self, asked, status, answer):
        self.counts[f"REST {status}"] += 1
        proper = status in HTTP
        if proper and status != 200 and asked[1].lower().startswith("/v1/"):
            proper = asked[0] == "HEAD" or "error" in json.loads(answer)
        if not proper:
            self.add(f"{asked[:3]} {asked[3][:200]!r}: {status} {answer[:300]!r}")

    def add(self, text):
        if len(self.found) < 20:
            self.found.append(text)
        self.counts["FAULTS"] += 1


async def in_process(folder, inputs, dice, faults):
    repository = Repository()
    repository.configure({"odd": {"stable": 1}})
    repository.publish(Servable("odd", 1, folder / "odd" / "1"))
    services = Services(repository)
    rest = Rest(services, seconds=10.0)
    handlers = {}
    for generic in services.handlers():
        for method in METHODS:
            details = grpc_details(f"/tensorflow.serving.{method}")
            found = generic.service(details)
            if found is not None:
                handlers[method] = found.unary_unary
    valid = corpus()
    encoded = [message.SerializeToString() for _, message in valid]
    for method, message in valid:  # they are valid
        await handlers[method](message.SerializeToString(), Context(None))
    memory = []
    for number in range(inputs):
        begin = time.perf_counter()
        if dice.random() < 0.65:
            method, data = rpc(valid, encoded, dice)
            faults.note(f"{method} {data.hex()}")
            await ask(handlers[method], method, data, dice, faults)
        else:
            asked = web(dice)
            faults.note(repr(asked))
            response = await rest.handle(Request(*asked))
            faults.web(asked, response.status, response.body or b"")
        faults.slowest = max(faults.slowest, time.perf_counter() - begin)
        if number % max(inputs // 20, 1) == 0:
            memory.append(round(megabytes(os.getpid())))
    rest.close()
    services.close()
    return memory


async def ask(handler, method, data, dice, faults):
    context = Context(dice.choice([None, 10.0]))
    try:
        answer = await handler(data, context)
    except Aborted as aborted:
        code, text = aborted.args
        faults.rpc(method, data, code.name, text)
    else:
        faults.rpc(method, data, "OK", "", answer)


def grpc_details(method):
    return type("Details", (), {"method": method, "invocation_metadata": ()})()


def megabytes(pid):
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def over_the_wire(folder, inputs, dice, faults):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    valid = corpus()
    encoded = [message.SerializeToString() for _, message in valid]
    arguments = [f"--rest_api_port={port}"]
    with local_server(folder, arguments=arguments) as server:
        host, grpc_port = server.address.rsplit(":", 1)
        begin = None
        unbound = [("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(server.address, unbound) as channel:
            for number in range(inputs):
                if number == inputs // 5:
                    begin = megabytes(server.pid)
                kind = dice.random()
                if kind < 0.5:
                    method, data = rpc(valid, encoded, dice)
                    call = channel.unary_unary(f"/tensorflow.serving.{method}")
                    try:
                        faults.rpc(method, data, "OK", "", call(data, timeout=30))
                    except grpc.RpcError as error:
                        faults.rpc(method, data, error.code().name, error.details())
                elif kind < 0.85:
                    asked = web(dice)
                    if asked[1].isascii():
                        faults.web(asked, *http_answer(port, asked))
                else:
                    target = int(grpc_port) if dice.random() < 0.5 else port
                    raw_bytes(host, target, dice)
                    faults.counts["raw bytes"] += 1
            method, message = valid[0]  # it still answers
            call = channel.unary_unary(f"/tensorflow.serving.{method}")
            call(message.SerializeToString(), timeout=30)
        memory = [round(begin), round(megabytes(server.pid))]
        status = server.stop()
        # grpcio logs so that a client has left.
        log = server.log().replace("ExecuteBatchError raised in core", "")
        if status or "nobody thought of" in log:
            faults.add(f"status {status}: {server.log()[-2000:]}")
    return memory


def http_answer(port, asked):
    method, path, headers, body = asked
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def raw_bytes(host, port, dice):
    starts = [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST /v1/models/odd:predict "]
    starts += [b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"]
    try:
        with socket.create_connection((host, port), 5) as raw:
            raw.sendall(dice.choice(starts) + dice.randbytes(dice.randrange(300)))
    except OSError:
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--wire", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--last", help="file for the input that is being tried")
    options = parser.parse_args()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    last = os.open(options.last, os.O_CREAT | os.O_WRONLY) if options.last else None
    begin, faults, dice = time.monotonic(), Faults(last), random.Random(options.seed)
    try:
        save_all(folder)
        near = asyncio.run(in_process(folder, options.inputs, dice, faults))
        far = over_the_wire(folder, options.wire, dice, faults) if options.wire else []
    finally:
        shutil.rmtree(folder)
    for what, memory in (("in process", near), ("over the wire", far)):
        settled = memory[2:] if len(memory) > 4 else memory
        if settled and max(settled) - settled[0] > GROWTH:
            faults.add(f"memory grows {what}: {memory}")
    if faults.slowest > SLOW:
        faults.add(f"an input took {faults.slowest:.1f} s")
    report = {
        "inputs": options.inputs,
        "wire": options.wire,
        "seed": options.seed,
        "seconds": round(time.monotonic() - begin),
        "statuses": dict(sorted(faults.counts.items())),
        "slowest_s": round(faults.slowest, 2),
        "megabytes": near,
        "megabytes_of_the_server": far,
        "faults": faults.found,
    }
    print(json.dumps(report))
    return 1 if faults.found else 0


if __name__ == "__main__":
    sys.exit(main())
