"""Classify, Regress and MultiInference, by the rules for their signatures."""

import asyncio

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    regression_pb2,
)

from tfrec.serving import inference
from tfrec.serving.predict import Job
from tfrec.serving.refusal import Refusal
from tfrec.serving.services import Services


def example(**values):
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
                for name, value in values.items()
            }
        )
    )


def filled(request, signature="", name="texts", xs=(0.25, 1.0)):
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for x in xs:
        request.input.example_list.examples.append(example(x=x))
    return request


def ask(repository, method, request):
    async def run():
        services = Services(repository)
        try:
            return await getattr(services, method)(request.SerializeToString(), 20.0)
        finally:
            services.close()

    return asyncio.run(run())


def test_classify(repository):
    request = filled(classification_pb2.ClassificationRequest(), "classify")
    data = ask(repository, "classify", request)
    response = classification_pb2.ClassificationResponse.FromString(data)
    rows = [
        [(one.label, one.score) for one in row.classes]
        for row in response.result.classifications
    ]
    assert rows == [[("yes", 0.25), ("no", 0.75)], [("yes", 1), ("no", 0)]]
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "classify"


def test_regress(repository):
    request = filled(regression_pb2.RegressionRequest(), "regress")
    data = ask(repository, "regress", request)
    response = regression_pb2.RegressionResponse.FromString(data)
    assert [one.value for one in response.result.regressions] == [0.5, 2]
    assert response.model_spec.signature_name == "regress"


def test_a_context_goes_before_each_example(repository):
    message = input_pb2.Input()
    listed = message.example_list_with_context
    listed.context.CopyFrom(example(x=3.0))
    listed.examples.extend([example(), example(x=1.0)])
    found = inference.examples_of(message)
    merged = [tf.train.Example.FromString(data) for data in found]
    values = [one.features.feature["x"].float_list.value[0] for one in merged]
    assert values == [3.0, 1.0]


@pytest.mark.parametrize(
    ("method", "kind", "signature", "name", "xs", "text"),
    [
        ("classify", "C", "odd", "texts", (1,), "No signature was found with the name"),
        ("regress", "R", "", "texts", (1,), "found with the name: serving_default"),
        ("regress", "R", "regress", "texts", (), "^Input is empty.$"),
        ("classify", "C", "classify", "texts", (), "^Input is empty.$"),
        ("classify", "C", "both", "texts", (1,), "No classification inputs found in"),
        ("classify", "C", "regress", "texts", (1,), "to contain at least one of"),
        ("regress", "R", "classify", "texts", (1,), "^Expected one output Tensor.$"),
        ("regress", "R", "serving_default", "echo", (1,), "No regression inputs found"),
        ("regress", "R", "serving_default", "sums", (1,), "^Expected one input Tensor"),
    ],
)
def test_refused(repository, method, kind, signature, name, xs, text):
    kinds = {
        "C": classification_pb2.ClassificationRequest,
        "R": regression_pb2.RegressionRequest,
    }
    request = filled(kinds[kind](), signature, name, xs)
    with pytest.raises(Refusal, match=text) as caught:
        ask(repository, method, request)
    assert caught.value.code.name == "INVALID_ARGUMENT"


def test_an_example_without_a_feature(repository):
    request = filled(regression_pb2.RegressionRequest(), "regress", xs=())
    request.input.example_list.examples.append(example(y=1.0))
    with pytest.raises(Refusal, match="x") as caught:
        ask(repository, "regress", request)
    assert caught.value.code.name == "INVALID_ARGUMENT"


EXAMPLES = np.array([b"", b""], object)
SCORES = np.float32([[1, 2], [3, 4]])
LABELS = np.array([[b"a", b"b"], [b"c", b"d"]], object)


@pytest.mark.parametrize(
    ("outputs", "values", "text"),
    [
        (["scores"], [SCORES[0]], "Expected scores Tensor shape"),
        (["scores"], [SCORES[:1]], "Input batch size did not match scores"),
        (["scores"], [SCORES.astype("f8")], "Expected scores Tensor of DT_FLOAT"),
        (["classes"], [SCORES], "Expected classes Tensor of DT_STRING"),
        (["classes", "scores"], [LABELS[:, :1], SCORES], "should match in dim_size"),
    ],
)
def test_outputs_that_classify_cannot_take(outputs, values, text):
    job = Job(None, tuple(outputs), [EXAMPLES])
    with pytest.raises(Refusal, match=text):
        inference.classification(job, values)


def test_missing_labels_and_scores():
    result = inference.classification(Job(None, ("scores",), [EXAMPLES]), [SCORES])
    assert [one.label for one in result.classifications[1].classes] == ["", ""]
    assert [one.score for one in result.classifications[1].classes] == [3, 4]
    result = inference.classification(Job(None, ("classes",), [EXAMPLES]), [LABELS])
    assert [one.label for one in result.classifications[0].classes] == ["a", "b"]
    assert [one.score for one in result.classifications[0].classes] == [0, 0]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (SCORES, "to be either .batch_size. or .batch_size, 1. but got .2,2."),
        (SCORES[:1, 0], "did not match output batch size: 2 vs. 1"),
        (SCORES[:, 0].astype("f8"), "Expected output Tensor of DT_FLOAT"),
    ],
)
def test_outputs_that_regress_cannot_take(values, text):
    with pytest.raises(Refusal, match=text):
        inference.regression(Job(None, ("outputs",), [EXAMPLES]), [values])


def test_a_column_of_regressions():
    job = Job(None, ("outputs",), [EXAMPLES])
    result = inference.regression(job, [SCORES[:, :1]])
    assert [one.value for one in result.regressions] == [1, 3]


METHODS = {"classify": inference.CLASSIFY, "regress": inference.REGRESS}


def tasks(*signatures, name="texts"):
    request = inference_pb2.MultiInferenceRequest()
    for signature in signatures:
        task = request.tasks.add()
        task.model_spec.name = name
        task.model_spec.signature_name = signature
        task.method_name = METHODS.get(signature, "tensorflow/serving/predict")
    request.input.example_list.examples.append(example(x=0.25))
    return request


def test_multi_inference(repository):
    request = tasks("regress", "classify")
    data = ask(repository, "multi_inference", request)
    response = inference_pb2.MultiInferenceResponse.FromString(data)
    one, other = response.results
    assert [value.value for value in one.regression_result.regressions] == [0.5]
    classes = other.classification_result.classifications[0].classes
    assert [(found.label, found.score) for found in classes] == [
        ("yes", 0.25),
        ("no", 0.75),
    ]
    assert one.model_spec.signature_name == "regress"
    assert other.model_spec.version.value == 1


def two_models():
    request = tasks("regress", "classify")
    request.tasks[1].model_spec.name = "sums"
    return request


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (tasks(), "INVALID_ARGUMENT", "at least one inference task"),
        (tasks("regress", name=""), "INVALID_ARGUMENT", "has no name specified"),
        (two_models(), "INVALID_ARGUMENT", "must access the same model name"),
        (
            tasks("regress", "regress"),
            "INVALID_ARGUMENT",
            "^Duplicate evaluation of signature: regress$",
        ),
        (
            tasks("odd"),
            "INVALID_ARGUMENT",
            "^Requested signature not found in model graph: odd$",
        ),
        (
            tasks("both"),
            "UNIMPLEMENTED",
            "^Unsupported signature method_name: tensorflow/serving/predict$",
        ),
    ],
)
def test_multi_inference_refused(repository, request_, code, text):
    with pytest.raises(Refusal, match=text) as caught:
        ask(repository, "multi_inference", request_)
    assert caught.value.code.name == code
