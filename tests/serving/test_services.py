"""The gRPC methods, asked as any client of TensorFlow Serving asks."""

import asyncio
import re
import socket
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from tfrec.serving.batching import Batcher, Parameters
from tfrec.serving.options import Options
from tfrec.serving.refusal import Refusal
from tfrec.serving.services import Services

AB = {"a": np.float32([1, 2]), "b": np.float32([3, 4])}
PREDICT = "/tensorflow.serving.PredictionService/Predict"
METHODS = [
    PREDICT,
    "/tensorflow.serving.PredictionService/Classify",
    "/tensorflow.serving.PredictionService/Regress",
    "/tensorflow.serving.PredictionService/MultiInference",
    "/tensorflow.serving.PredictionService/GetModelMetadata",
    "/tensorflow.serving.ModelService/GetModelStatus",
]


def refused(call, message, code, text, timeout=20):
    """The call fails with this code and a message that matches."""
    with pytest.raises(grpc.RpcError) as caught:
        call(message, timeout=timeout)
    assert caught.value.code().name == code
    assert re.search(text, caught.value.details()), caught.value.details()


def appears(path):
    """Waits for a file."""
    end = time.monotonic() + 30
    while not Path(path).exists():
        assert time.monotonic() < end, f"{path} does not appear"
        time.sleep(0.01)


def test_predict(prediction, request_for):
    response = prediction.Predict(request_for("sums", **AB))
    assert list(response.outputs["sum"].float_val) == [28, 42]
    assert list(response.outputs["product"].float_val) == [3, 8]
    assert response.model_spec.name == "sums"
    assert response.model_spec.version.value == 7
    assert response.model_spec.signature_name == "serving_default"
    assert response.model_spec.WhichOneof("version_choice") == "version"


@pytest.mark.parametrize(("version", "weight"), [(1, 1), (2, 2), (7, 7)])
def test_predict_with_a_version(prediction, request_for, version, weight):
    response = prediction.Predict(request_for("sums", version=version, **AB))
    assert list(response.outputs["sum"].float_val) == [4 * weight, 6 * weight]
    assert response.model_spec.version.value == version


def test_predict_with_a_signature_and_a_filter(prediction, request_for):
    x = np.ones([2, 3], np.float32)
    message = request_for("sums", version=1, signature="matmul", x=x)
    response = prediction.Predict(message)
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [[3], [3]]
    assert response.model_spec.signature_name == "matmul"
    response = prediction.Predict(request_for("sums", outputs=["product"], **AB))
    assert list(response.outputs) == ["product"]
    both = request_for("sums", outputs=["sum", "product"], **AB)
    assert sorted(prediction.Predict(both).outputs) == ["product", "sum"]


def test_defaults_fill_what_is_missing(prediction, request_for):
    response = prediction.Predict(request_for("optional", a=np.float32([1, 2])))
    assert list(response.outputs["sum"].float_val) == [11, 12]
    response = prediction.Predict(request_for("optional", **AB))
    assert list(response.outputs["sum"].float_val) == [4, 6]


def no_spec(request_for):
    message = request_for("sums", **AB)
    message.ClearField("model_spec")
    return message


def labelled(request_for, name, label):
    message = request_for(name, **AB)
    message.model_spec.version_label = label
    return message


def petabyte(request_for):
    message = request_for("sums", a=AB["a"])
    tensor = message.inputs["b"]
    tensor.dtype = tf.float32.as_datatype_enum
    tensor.tensor_shape.dim.add(size=1 << 50)
    tensor.float_val.append(1)
    return message


def undecodable(request_for):
    message = request_for("sums", **AB)
    message.inputs["b"].tensor_content = b"123"
    return message


F, X = np.float32([1]), np.ones([1, 3], np.float32)
LOOK_UPS = [
    (no_spec, "INVALID_ARGUMENT", r"^Missing ModelSpec$"),
    (lambda r: r("", **AB), "INVALID_ARGUMENT", r"^ModelSpec has no name specified.$"),
    (
        lambda r: r("absent", **AB),
        "NOT_FOUND",
        r"^Servable not found for request: Latest\(absent\)$",
    ),
    (
        lambda r: r("sums", version=99, **AB),
        "NOT_FOUND",
        r"^Servable not found for request: Specific\(sums, 99\)$",
    ),
    (
        lambda r: r("sums", version=0, **AB),
        "NOT_FOUND",
        r"^Servable not found for request: Specific\(sums, 0\)$",
    ),
    (
        lambda r: labelled(r, "sums", "stable"),
        "INVALID_ARGUMENT",
        r"^Unrecognized servable version label: stable$",
    ),
    (
        lambda r: labelled(r, "absent", ""),
        "INVALID_ARGUMENT",
        r"^Unrecognized servable version label: $",
    ),
]
PREDICT_ERRORS = [
    *LOOK_UPS,
    (
        lambda r: r("sums", signature="odd", **AB),
        "FAILED_PRECONDITION",
        r'^Serving signature key "odd" not found.$',
    ),
    (
        lambda r: r("sums", c=F, d=F, **AB),
        "INVALID_ARGUMENT",
        r"^input size does not match signature: 4!=2 len\(\{a,b,c,d\}\) != "
        r"len\(\{a,b\}\). Sent extra: \{c,d\}. Missing but required: \{\}.$",
    ),
    (
        lambda r: r("sums", b=F),
        "INVALID_ARGUMENT",
        r"^input size does not match signature: 1!=2 len\(\{b\}\) != "
        r"len\(\{a,b\}\). Sent extra: \{\}. Missing but required: \{a\}.$",
    ),
    (
        lambda r: r("sums", a=F, c=F),
        "INVALID_ARGUMENT",
        r"^Signature input alias: b\(feed name: serving_default_b:0\) not found in "
        r"request and no default value provided. Inputs expected to be in the request "
        r"\{a,c\}, or default input alias set: $",
    ),
    (
        lambda r: r("optional", b=F),
        "INVALID_ARGUMENT",
        r"^Signature input alias: a\(feed name: .*\) .* default input alias set: b$",
    ),
    (undecodable, "INVALID_ARGUMENT", r"^tensor parsing error: b$"),
    (petabyte, "INVALID_ARGUMENT", r"^tensor parsing error: b$"),
    (
        lambda r: r("optional", a=F, c=F),
        "INVALID_ARGUMENT",
        r"^Inputs contains invalid name. Used request inputs: a, request input: a,c$",
    ),
    (
        lambda r: r("sums", outputs=["odd"], **AB),
        "INVALID_ARGUMENT",
        r"^output tensor alias not found in signature: odd Outputs expected to be in "
        r"the set \{product,sum\}.$",
    ),
    (
        lambda r: r("sums", outputs=["sum", "sum"], **AB),
        "INVALID_ARGUMENT",
        r"^duplicate output tensor alias: sum$",
    ),
    (
        lambda r: r("sums", a=F.astype("float64"), b=F),
        "INVALID_ARGUMENT",
        r"^Expects arg\[0\] to be float but double is provided$",
    ),
    (
        lambda r: r("sums", a=F, b=np.array([1])),
        "INVALID_ARGUMENT",
        r"^Expects arg\[1\] to be float but int64 is provided$",
    ),
    (
        lambda r: r("sums", version=1, signature="matmul", x=X[:, :2]),
        "INVALID_ARGUMENT",
        r"^Matrix size-incompatible: In\[0\]: \[1,2\], In\[1\]: \[3,1\]",
    ),
    (
        lambda r: r("sums", a=np.ones(2, "f"), b=np.ones(3, "f")),
        "INVALID_ARGUMENT",
        r"[Ii]ncompatible shapes",
    ),
    (
        lambda r: r("sums", signature="x" * 3000, **AB),
        "FAILED_PRECONDITION",
        r"^.{1024}\.\.\.TRUNCATED$",
    ),
    (
        lambda r: r("sums", signature="__saved_model_init_op"),
        "OUT_OF_RANGE",
        "",
    ),
]


@pytest.mark.parametrize(
    ("make", "code", "text"), PREDICT_ERRORS, ids=range(len(PREDICT_ERRORS))
)
def test_predict_errors(prediction, request_for, make, code, text):
    refused(prediction.Predict, make(request_for), code, text)


def test_the_first_failure_wins(prediction, request_for):
    """Each request has every fault from its own on."""
    message = request_for("absent", version=5, signature="odd", outputs=["odd"], a=X)
    refused(prediction.Predict, message, "NOT_FOUND", "Specific")
    message = request_for("sums", signature="odd", outputs=["odd"], a=X)
    refused(prediction.Predict, message, "FAILED_PRECONDITION", "signature key")
    message = request_for("sums", outputs=["odd"], a=F.astype("float64"))
    refused(prediction.Predict, message, "INVALID_ARGUMENT", "input size")
    message = request_for("sums", outputs=["odd"], a=F.astype("float64"), c=F)
    refused(prediction.Predict, message, "INVALID_ARGUMENT", "input alias: b")
    message = petabyte(request_for)
    message.output_filter.append("odd")
    refused(prediction.Predict, message, "INVALID_ARGUMENT", "parsing error")
    message = request_for("sums", outputs=["odd"], a=F.astype("float64"), b=F)
    refused(prediction.Predict, message, "INVALID_ARGUMENT", "alias not found")


@pytest.mark.parametrize(
    "shape", [(), (0,), (2, 2), (1, 1, 1)], ids=lambda shape: str(list(shape))
)
def test_shapes_are_the_graphs_business(prediction, request_for, shape):
    value = np.ones(shape, np.float32)
    for seconds in (None, 20.0):  # with a deadline a graph may run in another way
        message = request_for("sums", a=value, b=value)
        response = prediction.Predict(message, timeout=seconds)
        assert tf.make_ndarray(response.outputs["product"]).shape == shape


@pytest.mark.parametrize("name", ["string", "float32"])
def test_many_dimensions_do_not_end_the_server(prediction, request_for, name):
    value = b"x" if name == "string" else np.float32(1)
    message = request_for("echo", signature=name, x=value)
    for _ in range(40):
        message.inputs["x"].tensor_shape.dim.add(size=1)
    text = "has 40 dimensions, at most 16 are taken"
    refused(prediction.Predict, message, "INVALID_ARGUMENT", text)


def test_a_string_scalar_keeps_the_zeros_at_its_end(prediction, request_for):
    message = request_for("echo", signature="string")
    for text in (b"u\0\0", b"\0", b""):
        message.inputs["x"].CopyFrom(tf.make_tensor_proto(text))
        for seconds in (None, 20.0):
            answer = prediction.Predict(message, timeout=seconds).outputs["y"]
            assert list(answer.string_val) == [text] and not answer.tensor_shape.dim


def test_first_dimensions_need_not_agree(prediction, request_for):
    one, many = np.float32([2]), np.float32([1, 2, 3])
    response = prediction.Predict(request_for("sums", a=one, b=many))
    assert list(response.outputs["product"].float_val) == [2, 4, 6]


ECHOED = {
    "string": [b"", b"\xff\x00", "é".encode()],
    "bool": [True, False],
    "complex64": [1 + 2j, -1j],
    "complex128": [1 + 2j, -1j],
    **{name: [0, 1, 2] for name in ("uint8", "uint16", "uint32", "uint64")},
    **{name: [0, 1, -2] for name in ("int8", "int16", "int32", "int64")},
    **{name: [0, 1.5, -2] for name in ("float16", "bfloat16", "float32", "float64")},
}
LIMITS = {
    "int64": [-(2**63), 2**63 - 1],
    "uint64": [2**64 - 1, 0],
    "int8": [-128, 127],
    "float32": [np.nan, np.inf, -0.0],
    "float16": [np.nan, -np.inf, -0.0],
}


@pytest.mark.parametrize("content", [False, True], ids=["typed", "content"])
@pytest.mark.parametrize("name", ECHOED)
def test_every_dtype_comes_back_in_typed_fields(prediction, request_for, name, content):
    dtype = tf.as_dtype(name).as_numpy_dtype
    for values in (ECHOED[name], LIMITS.get(name, [])):
        array = np.array(values, dtype)
        message = request_for("echo", signature=name)
        if content:
            message.inputs["x"].CopyFrom(tf.make_tensor_proto(array))
        else:
            listed = tf.constant(array).numpy()
            proto = tf.make_tensor_proto(listed)
            proto.ClearField("tensor_content")
            _typed(proto, array)
            message.inputs["x"].CopyFrom(proto)
        output = prediction.Predict(message).outputs["y"]
        assert not output.tensor_content
        back = tf.make_ndarray(output)
        if name == "string":
            assert back.tolist() == array.tolist()
        else:
            assert back.dtype == array.dtype
            assert back.tobytes() == array.tobytes()


def _typed(proto, array):
    """Fills the typed field with Python values."""
    for name in ("half_val", "scomplex_val", "dcomplex_val"):
        proto.ClearField(name)
    kind = str(array.dtype)
    if kind in ("float16", "bfloat16"):
        proto.half_val.extend(array.view(np.uint16).tolist())
    elif kind.startswith("complex"):
        parts = array.view(array.real.dtype).tolist()
        name = "scomplex_val" if kind == "complex64" else "dcomplex_val"
        getattr(proto, name).extend(parts)
    elif array.dtype != object:
        fields = {"float32": "float_val", "float64": "double_val", "bool": "bool_val"}
        wide = {"int64": "int64_val", "uint32": "uint32_val", "uint64": "uint64_val"}
        name = {**fields, **wide}.get(kind, "int_val")
        proto.ClearField(name)
        getattr(proto, name).extend(array.tolist())


def test_the_same_request_gets_the_same_bytes(channel, request_for):
    send = channel.unary_unary(PREDICT)
    data = request_for("sums", **AB).SerializeToString(deterministic=True)
    assert len({send(data) for _ in range(20)}) == 1


def metadata_request(name="sums", *fields, version=None):
    message = get_model_metadata_pb2.GetModelMetadataRequest()
    message.model_spec.name = name
    message.metadata_field.extend(fields or ["signature_def"])
    if version is not None:
        message.model_spec.version.value = version
    return message


def test_metadata(prediction, plain):
    response = prediction.GetModelMetadata(metadata_request(version=1))
    assert response.model_spec.name == "sums"
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == ""
    definitions = get_model_metadata_pb2.SignatureDefMap()
    packed = response.metadata["signature_def"]
    url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    assert packed.type_url == url
    assert packed.Unpack(definitions)
    from tensorflow.core.protobuf import saved_model_pb2

    data = (plain.parent / "sums" / "1" / "saved_model.pb").read_bytes()
    saved = saved_model_pb2.SavedModel.FromString(data).meta_graphs[0].signature_def
    assert "__saved_model_init_op" in definitions.signature_def
    assert dict(definitions.signature_def) == dict(saved)


@pytest.mark.parametrize("number", range(len(LOOK_UPS)))
def test_metadata_look_up_errors(prediction, request_for, number):
    make, code, text = LOOK_UPS[number]
    asked = make(request_for)
    message = metadata_request()
    message.ClearField("model_spec")
    if asked.HasField("model_spec"):
        message.model_spec.CopyFrom(asked.model_spec)
    refused(prediction.GetModelMetadata, message, code, text)


def test_metadata_fields_are_checked_before_the_look_up(prediction):
    message = metadata_request("absent")
    message.metadata_field[:] = []
    text = "^GetModelMetadataRequest must specify at least one metadata_field$"
    refused(prediction.GetModelMetadata, message, "INVALID_ARGUMENT", text)
    message = metadata_request("absent", "signature_def", "size")
    text = "^Metadata field size is not supported$"
    refused(prediction.GetModelMetadata, message, "INVALID_ARGUMENT", text)


def status_request(name="sums", version=None, label=None):
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = name
    if version is not None:
        message.model_spec.version.value = version
    if label is not None:
        message.model_spec.version_label = label
    return message


@pytest.mark.parametrize(
    ("message", "versions"),
    [
        (status_request(), [7, 2, 1]),
        (status_request(version=2), [2]),
        (status_request(label="ignored"), [7, 2, 1]),
    ],
    ids=["all", "one", "label"],
)
def test_status(models, message, versions):
    found = models.GetModelStatus(message).model_version_status
    assert [entry.version for entry in found] == versions
    for entry in found:
        assert entry.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
        assert entry.HasField("status")
        assert (entry.status.error_code, entry.status.error_message) == (0, "")


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (
            get_model_status_pb2.GetModelStatusRequest(),
            "INVALID_ARGUMENT",
            "^Missing ModelSpec$",
        ),
        (
            status_request("absent"),
            "NOT_FOUND",
            "^Could not find any versions of model absent$",
        ),
        (status_request(""), "NOT_FOUND", "^Could not find any versions of model $"),
        (
            status_request(version=99),
            "NOT_FOUND",
            "^Could not find version 99 of model sums$",
        ),
    ],
    ids=["missing", "unknown", "empty", "version"],
)
def test_status_errors(models, message, code, text):
    refused(models.GetModelStatus, message, code, text)


@pytest.mark.parametrize("method", METHODS)
def test_bytes_that_do_not_parse(channel, method):
    refused(channel.unary_unary(method), b"\xff\xff\xff", "INTERNAL", "does not parse")


@pytest.mark.parametrize(
    "method", ["PredictionService/Odd", "SessionService/SessionRun", "Odd/Odd"]
)
def test_unknown_methods(channel, method):
    send = channel.unary_unary(f"/tensorflow.serving.{method}")
    refused(send, b"", "UNIMPLEMENTED", "")


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(METHODS),
    start=st.sampled_from([b"", b"\x0a\x06\x0a\x04sums"]),
    rest=st.binary(max_size=60),
)
def test_any_bytes_get_a_status(channel, method, start, rest):
    try:
        channel.unary_unary(method)(start + rest, timeout=20)
    except grpc.RpcError as error:
        known = ("INTERNAL", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION")
        assert error.code().name in known, error


def test_unknown_fields_are_ignored(channel, request_for):
    data = request_for("sums", **AB).SerializeToString() + b"\xfa\x7f\x02hi"
    answer = channel.unary_unary(PREDICT)(data)
    outputs = predict_pb2.PredictResponse.FromString(answer).outputs
    assert list(outputs["product"].float_val) == [3, 8]


def test_noise_on_the_socket_harms_nobody(server, prediction, request_for):
    host, port = server.address.rsplit(":", 1)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 500, preface + b"\xff" * 500):
        with socket.create_connection((host, int(port)), timeout=20) as raw:
            raw.sendall(noise)
    assert prediction.Predict(request_for("sums", **AB)).outputs


def test_a_request_above_the_limit(prediction, request_for):
    message = request_for("sums", a=np.ones(2**20 + 1, "f"), b=F)
    text = "(?i)larger than max"
    refused(prediction.Predict, message, "RESOURCE_EXHAUSTED", text)


def test_a_slow_graph_holds_up_nobody_and_its_deadline_passes(
    prediction, request_for, tmp_path
):
    started, go = str(tmp_path / "started"), str(tmp_path / "go")
    slow = request_for("waiter", started=started, go=go)
    running = prediction.Predict.future(slow, timeout=60)
    appears(started)
    for _ in range(5):
        prediction.Predict(request_for("sums", **AB), timeout=20)
    assert not running.done()
    late = request_for("waiter", started=str(tmp_path / "late"), go=go)
    refused(prediction.Predict, late, "DEADLINE_EXCEEDED", "", timeout=0.2)
    Path(go).write_text("")
    assert list(running.result().outputs["done"].float_val) == [1]


def asked(repository, test, **options):
    """Runs a test with `Services` of its own, in this process."""

    async def run():
        services = Services(repository, options=Options(**options))
        try:
            return await test(services)
        finally:
            services.close()

    return asyncio.run(run())


def test_what_waits_for_a_thread_is_bounded(repository, request_for, tmp_path):
    go = tmp_path / "go"

    def slow(name):
        message = request_for("waiter", started=str(tmp_path / name), go=str(go))
        return message.SerializeToString()

    async def run(services):
        most = services._most_jobs
        waiting = [
            asyncio.ensure_future(services.predict(slow(str(n)), 60.0))
            for n in range(most)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="--max_queued_requests") as caught:
            await services.predict(slow("more"), 60.0)
        assert caught.value.code.name == "RESOURCE_EXHAUSTED"
        quick = request_for("sums", **AB)
        with repository.hold(quick.model_spec) as servable:
            signature = servable.signatures["serving_default"]
            arrays = list(AB.values())
            for _ in range(2):
                signature.run(("product", "sum"), arrays)
            for _ in range(100):
                signature._calls[("product", "sum")][1].learn(16, 1e-5)
        assert await services.predict(quick, 5.0)  # what is quick needs no thread
        go.write_text("")
        await asyncio.gather(*waiting)
        with repository.hold(request_for("waiter").model_spec) as waiter:
            assert waiter._users == 1  # only this test's
        assert services._jobs == 0

    asked(repository, run, max_queued_requests=1)


def test_a_request_that_waited_too_long_is_not_run(repository, request_for, tmp_path):
    go = tmp_path / "go"

    async def run(services):
        def slow(number):
            place = str(tmp_path / str(number))
            return request_for("waiter", started=place, go=str(go))

        count = services._most_jobs - services._options.max_queued_requests
        running = [
            asyncio.ensure_future(services.predict(slow(n), 60.0)) for n in range(count)
        ]
        await asyncio.sleep(0)
        with pytest.raises(asyncio.TimeoutError):
            await services.predict(slow("late"), 0.05)
        go.write_text("")
        await asyncio.gather(*running)
        assert not (tmp_path / "late").exists()

    asked(repository, run)


def test_numbers_may_go_to_tensor_content(repository, request_for):
    async def run(services):
        return await services.predict(request_for("sums", **AB), 20.0)

    data = asked(repository, run, enable_serialization_as_tensor_content=True)
    output = predict_pb2.PredictResponse.FromString(data).outputs["product"]
    assert output.tensor_content == np.float32([3, 8]).tobytes()


def test_a_label(repository, request_for):
    async def run(services):
        message = request_for("sums", **AB)
        message.model_spec.version_label = "stable"
        return await services.predict(message, 20.0)

    response = predict_pb2.PredictResponse.FromString(asked(repository, run))
    assert response.model_spec.version.value == 2
    assert not response.model_spec.version_label


def test_arrays_in_arrays_out(repository, request_for):
    async def run(services):
        with repository.hold(request_for("sums").model_spec) as servable:
            signature = servable.signatures["serving_default"]
            return await services.run(signature, ("sum",), list(AB.values()), 20.0)

    (values,) = asked(repository, run)
    assert values.tolist() == [28, 42]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"host": "0.0.0.0"}, "PERMISSION_DENIED"),
        ({"allow_reload_config_request": "never"}, "PERMISSION_DENIED"),
        (
            {"host": "0.0.0.0", "allow_reload_config_request": "always"},
            "FAILED_PRECONDITION",
        ),
        ({}, "FAILED_PRECONDITION"),
    ],
    ids=range(4),
)
def test_who_may_reload(repository, options, code):
    async def run(services):
        await services.handle_reload_config_request(b"", 20.0)

    with pytest.raises(Refusal) as caught:
        asked(repository, run, **options)
    assert caught.value.code.name == code


def test_batched_requests_get_their_own_rows(repository, request_for):
    async def run():
        batcher = Batcher(Parameters(num_batch_threads=1))
        services = Services(repository, batcher=batcher)
        calls = [
            services.predict(request_for("sums", a=F * n, b=F), 20.0) for n in range(4)
        ]
        calls.append(services.predict(request_for("sums", a=X, b=F), 20.0))
        found = await asyncio.gather(*calls, return_exceptions=True)
        services.close()
        return found

    *good, last = asyncio.run(run())
    sums = [predict_pb2.PredictResponse.FromString(d).outputs["sum"] for d in good]
    assert [list(one.float_val) for one in sums] == [[7], [14], [21], [28]]
    assert predict_pb2.PredictResponse.FromString(last).outputs["sum"].float_val
