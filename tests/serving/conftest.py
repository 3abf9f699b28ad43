"""Small SavedModels, made once, and one server that has loaded them all."""

import asyncio
import datetime
import http.client
import http.server
import ipaddress
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from tfrec.features import Categorical, FeatureSpec, Numeric, Sequence
from tfrec.serving import local_server
from tfrec.serving.repository import Repository
from tfrec.serving.rest import Rest
from tfrec.serving.rest_server import RestServer
from tfrec.serving.servable import Servable
from tfrec.serving.services import Services

LIMIT = 4 * 2**20
MOVIES = [f"m{number}" for number in range(50)]
DTYPES = [
    *("float32", "float64", "float16", "bfloat16", "complex64", "complex128"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bool", "string"),
]
SPEC = FeatureSpec(
    [
        Categorical("user_id", side="user"),
        Sequence("history", of="movie_id"),
        Numeric("age", side="user"),
        Categorical("movie_id", side="item"),
        Numeric("price", side="item"),
    ]
)


class Movies(tf.Module):
    """Two towers and their ranker, over a vocabulary from a file."""

    def __init__(self, vocabulary):
        super().__init__()
        values = tf.random.stateless_normal([len(MOVIES) + 2, 4], seed=[1, 2])
        self.vectors = tf.Variable(values)
        whole, line = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex
        source = tf.lookup.TextFileInitializer(
            vocabulary,
            tf.string,
            whole,
            tf.int64,
            line.LINE_NUMBER,
            value_index_offset=2,
        )
        self.table = tf.lookup.StaticHashTable(source, 1)

    def user(self, user_id, history, age):
        ids = tf.where(history == "", tf.zeros_like(self.table.lookup(history)), 1)
        ids = ids * self.table.lookup(history)
        seen = tf.cast(ids > 0, tf.float32)[..., None]
        mean = tf.reduce_sum(tf.gather(self.vectors, ids) * seen, axis=1)
        own = tf.cast(tf.strings.to_hash_bucket_fast(user_id, 97), tf.float32)[:, None]
        return mean + own / 97.0 + age[:, None]

    def item(self, movie_id, price):
        return tf.gather(self.vectors, self.table.lookup(movie_id)) + price[:, None]

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "user_id"),
            tf.TensorSpec([None, None], tf.string, "history"),
            tf.TensorSpec([None], tf.float32, "age"),
        ]
    )
    def user_tower(self, user_id, history, age):
        return {"user_embedding": self.user(user_id, history, age)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "movie_id"),
            tf.TensorSpec([None], tf.float32, "price"),
        ]
    )
    def item_tower(self, movie_id, price):
        return {"item_embedding": self.item(movie_id, price)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "user_id"),
            tf.TensorSpec([None, None], tf.string, "history"),
            tf.TensorSpec([None], tf.float32, "age"),
            tf.TensorSpec([None], tf.string, "movie_id"),
            tf.TensorSpec([None], tf.float32, "price"),
        ]
    )
    def ranker(self, user_id, history, age, movie_id, price):
        user, item = self.user(user_id, history, age), self.item(movie_id, price)
        return {"score": tf.reduce_sum(user * item, axis=1)}


class Sums(tf.Module):
    """Two numbers in, two out; a weight that tells the versions apart."""

    def __init__(self, weight):
        super().__init__()
        self.weight = tf.Variable(float(weight))
        self.matrix = tf.Variable(tf.ones([3, 1]))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, "a"),
            tf.TensorSpec([None], tf.float32, "b"),
        ]
    )
    def sums(self, a, b):
        return {"sum": (a + b) * self.weight, "product": a * b}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def matmul(self, x):
        return {"y": tf.matmul(x, self.matrix)}


class Echo(tf.Module):
    """One signature a dtype that gives back what it got."""

    def signatures(self):
        made = {}
        for name in DTYPES:
            spec = tf.TensorSpec(None, name, "x")
            made[name] = tf.function(
                lambda x: {"y": tf.identity(x)}, input_signature=[spec]
            )
        made["serving_default"] = made["float32"]
        return made


class Waiter(tf.Module):
    """Writes one file, then waits in the graph until another is there."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.string, "started"),
            tf.TensorSpec([], tf.string, "go"),
        ]
    )
    def wait(self, started, go):
        tf.io.write_file(started, "here")
        turns = tf.constant(0)
        while tf.size(tf.io.matching_files(go + "*")) == 0:
            turns += 1
        return {"done": tf.ones([1]), "turns": turns}


def save(module, folder, signatures):
    tf.saved_model.save(module, str(folder), signatures=signatures)


def document(servable, names, output, shape):
    """What export writes as `feature_spec.json`."""
    dtypes = {"age": "float32", "price": "float32"}
    inputs = {
        name: {
            "dtype": dtypes.get(name, "string"),
            "shape": [None, None] if name == "history" else [None],
            "side": SPEC[name].side,
        }
        for name in names
    }
    return {
        "format": 1,
        "servable": servable,
        "version": 1,
        "inputs": inputs,
        "outputs": {output: {"dtype": "float32", "shape": shape}},
        "spec": json.loads(SPEC.to_json()),
    }


def warm(folder, requests):
    """Writes a warm-up file."""
    extra = Path(folder) / "assets.extra"
    extra.mkdir(parents=True, exist_ok=True)
    path = extra / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())


def request(servable, /, *, version=None, signature="", outputs=(), **inputs):
    """A PredictRequest, made with TensorFlow's own functions."""
    message = predict_pb2.PredictRequest()
    message.model_spec.name = servable
    message.model_spec.signature_name = signature
    if version is not None:
        message.model_spec.version.value = version
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    message.output_filter.extend(outputs)
    return message


@pytest.fixture(scope="session", name="request_for")
def _request_for():
    return request


@pytest.fixture(scope="session", name="write_warmup")
def _write_warmup():
    return warm


USER = ("user_id", "history", "age")
ITEM = ("movie_id", "price")


@pytest.fixture(scope="session")
def movies(tmp_path_factory):
    """A folder as export writes it: user_tower, item_tower, ranker."""
    root = tmp_path_factory.mktemp("saved_models") / "movies"
    vocabulary = root.parent / "movies.txt"
    vocabulary.write_text("\n".join(MOVIES) + "\n")
    module = Movies(str(vocabulary))
    for servable, names, output, shape in [
        ("user_tower", USER, "user_embedding", [None, 4]),
        ("item_tower", ITEM, "item_embedding", [None, 4]),
        ("ranker", USER + ITEM, "score", [None]),
    ]:
        folder = root / servable / "1"
        save(module, folder, getattr(module, servable))
        extra = folder / "assets.extra"
        extra.mkdir()
        content = json.dumps(document(servable, names, output, shape))
        (extra / "feature_spec.json").write_text(content)
    vocabulary.unlink()  # the asset must do
    inputs = {
        "user_id": ["u"],
        "history": [["m1", ""]],
        "age": np.float32([1]),
        "movie_id": ["m1", "m2"],
        "price": np.float32([1, 2]),
    }
    warm(root / "ranker" / "1", [request("any", **inputs)])
    return root


@pytest.fixture(scope="session")
def waiter(tmp_path_factory):
    """A folder with the one servable `waiter`."""
    root = tmp_path_factory.mktemp("waiter")
    module = Waiter()
    save(module, root / "waiter" / "1", module.wait)
    return root


@pytest.fixture(scope="session")
def plain(tmp_path_factory, waiter):
    """A `models.config` over servables of no export.

    `sums` has versions 1, 2 and 7 and, beside them, names that are none;
    `optional` is `sums` with a default for input b.
    """
    root = tmp_path_factory.mktemp("plain")
    for version in (1, 2):
        module = Sums(version)
        signatures = {"serving_default": module.sums, "matmul": module.matmul}
        save(module, root / "sums" / str(version), signatures)
    module = Sums(7)
    save(module, root / "sums" / "00000007", module.sums)
    for name in ("tmp-9", "8.partial", "9x"):
        (root / "sums" / name).mkdir()
    (root / "sums" / "10").write_text("a file is no version")
    folder = root / "optional" / "1"
    module = Sums(1)
    save(module, folder, module.sums)
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    signature = model.meta_graphs[0].signature_def["serving_default"]
    signature.defaults["b"].CopyFrom(tf.make_tensor_proto(np.float32([10])))
    path.write_bytes(model.SerializeToString())
    echo = Echo()
    save(echo, root / "echo" / "1", echo.signatures())
    entries = [("sums", root), ("optional", root), ("echo", root), ("waiter", waiter)]
    config = root / "models.config"
    config.write_text(
        "model_config_list {\n"
        + "\n".join(
            f'config {{ name: "{name}" base_path: "{folder}/{name}" '
            'model_platform: "tensorflow" model_version_policy { all {} } }'
            for name, folder in entries
        )
        + "\n}\n"
    )
    return config


@pytest.fixture(scope="session")
def rest_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture(scope="session")
def server(movies, plain, rest_port):
    """All of them in one process, capped at 4 MiB a request."""
    arguments = [
        f"--model_config_file={plain}",
        f"--rest_api_port={rest_port}",
        f"--grpc_channel_arguments=grpc.max_receive_message_length={LIMIT}",
    ]
    with local_server(movies, arguments=arguments) as running:
        yield running


@pytest.fixture(scope="session", params=["grpc", "rest"])
def address(request, server, rest_port):
    """The server's address, for each of the protocols."""
    over_rest = f"http://127.0.0.1:{rest_port}"
    return server.address if request.param == "grpc" else over_rest


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A folder with `ca.pem`, and `server` and `client` as `.pem` and `.key`."""
    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    names = [x509.DNSName("localhost")]
    names += [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signer = None
    for name in ("ca", "server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        by, issuer = signer or (key, subject)
        certificate = (
            x509.CertificateBuilder(issuer, subject, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(name == "ca", None), True)
            .add_extension(x509.SubjectAlternativeName(names), False)
            .sign(by, hashes.SHA256())
        )
        signer = signer or (key, subject)
        pem = serialization.Encoding.PEM
        form = serialization.PrivateFormat.PKCS8
        plain = key.private_bytes(pem, form, serialization.NoEncryption())
        (folder / f"{name}.key").write_bytes(plain)
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
    return folder


class Flaky:
    """Plays a list: bytes are answered, names of codes refused, events awaited.

    `address` is its own; `left` is the list, `asked` what came, `headers` of the
    last request.
    """

    def __init__(self):
        self.left, self.asked, self.headers = [], [], {}

    def play(self, data, headers):
        """What to answer, and the name of its code."""
        self.asked.append(data)
        self.headers = {name.lower(): value for name, value in headers}
        one = self.left.pop(0)
        if isinstance(one, threading.Event):
            one.wait(30)
            one = b""
        return (one, "OK") if isinstance(one, bytes) else (b"no", one)


@pytest.fixture
def flaky_grpc():
    flaky = Flaky()

    def handle(data, context):
        answer, code = flaky.play(data, context.invocation_metadata())
        if code == "OK":
            return answer
        context.abort(grpc.StatusCode[code], answer.decode())

    handler = grpc.unary_unary_rpc_method_handler(handle)
    services = [
        grpc.method_handlers_generic_handler(
            f"tensorflow.serving.{service}", {method: handler}
        )
        for service, method in [
            ("PredictionService", "Predict"),
            ("ModelService", "GetModelStatus"),
        ]
    ]
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, handlers=services)
        flaky.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield flaky
        server.stop(None).wait()


@pytest.fixture
def flaky_rest():
    flaky = Flaky()
    statuses = {"OK": 200, "UNAVAILABLE": 503, "INTERNAL": 500, "NOT_FOUND": 404}
    statuses["INVALID_ARGUMENT"] = 400

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer, code = flaky.play(body, self.headers.items())
            if code != "OK":
                answer = json.dumps({"error": answer.decode()}).encode()
            self.send_response(statuses[code])
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # a client that did not wait
        flaky.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield flaky
        server.shutdown()
        thread.join()


@pytest.fixture(params=["grpc", "rest"])
def flaky(request):
    """A server of each protocol that plays a list."""
    return request.getfixturevalue(f"flaky_{request.param}")


@pytest.fixture(scope="session")
def channel(server):
    with grpc.insecure_channel(server.address) as opened:
        yield opened


@pytest.fixture(scope="session")
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="session")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


class Web:
    """An HTTP server of ours, on a loop in a thread of this process."""

    def __init__(self, services, server=None, context=None, **options):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.services = services
        self.port = self.run(self._start(server or {}, context, options))

    async def _start(self, server, context, options):
        rest = Rest(self.services, **options)
        self._server = RestServer(rest, **server)
        return await self._server.start("127.0.0.1", 0, context)

    def run(self, coroutine):
        """What a coroutine gives on the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def ask(self, path, body=None, method=None, headers=(), context=None):
        """Status, headers and body of the answer; JSON is parsed."""
        kind = http.client.HTTPConnection
        more = {}
        if context is not None:
            kind, more = http.client.HTTPSConnection, {"context": context}
        connection = kind("localhost", self.port, timeout=30, **more)
        try:
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            method = method or ("GET" if body is None else "POST")
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.headers["Content-Type"] == "application/json" and answer:
            answer = json.loads(answer)
        return response.status, response.headers, answer

    def stop(self):
        self.run(self._server.stop())
        self.services.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Texts(tf.Module):
    """What REST treats in its own way: Examples, strings, outputs of no rows."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress(self, inputs):
        columns = {"x": tf.io.FixedLenFeature([], tf.float32)}
        return {"outputs": tf.io.parse_example(inputs, columns)["x"] * 2}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify(self, inputs):
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})
        scores = tf.stack([x["x"], 1 - x["x"]], axis=1)
        names = tf.repeat(tf.constant([["yes", "no"]]), tf.shape(scores)[0], axis=0)
        return {"scores": scores, "classes": names}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, "x")])
    def both(self, x):
        return {"text": x, "raw_bytes": x}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def uneven(self, x):
        return {"a": x, "whole": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def shorter(self, x):
        return {"a": x, "b": x[:1]}


@pytest.fixture(scope="session")
def repository(tmp_path_factory, plain, waiter):
    """Servables that are loaded in this process."""
    folder = tmp_path_factory.mktemp("texts") / "1"
    module = Texts()
    names = ("regress", "classify", "both", "uneven", "shorter")
    save(module, folder, {name: getattr(module, name) for name in names})
    made = Repository()
    made.configure({"sums": {"stable": 2}, "texts": {}, "echo": {}, "waiter": {}})
    for name, version, place in [
        *(("sums", number, plain.parent / "sums" / str(number)) for number in (1, 2)),
        ("sums", 7, plain.parent / "sums" / "00000007"),
        ("echo", 1, plain.parent / "echo" / "1"),
        ("waiter", 1, waiter / "waiter" / "1"),
        ("texts", 1, folder),
    ]:
        made.publish(Servable(name, version, place))
    return made


@pytest.fixture(scope="session")
def start_web(repository):
    """Starts a `Web`; its options are those of `Rest`."""
    started = []

    def start(services=None, **options):
        started.append(Web(services or Services(repository), **options))
        return started[-1]

    yield start
    for web in started:
        web.stop()


@pytest.fixture(scope="session")
def web(start_web):
    """An HTTP server with nothing special about it."""
    return start_web()
