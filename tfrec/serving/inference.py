"""Classify, Regress and MultiInference: tf.Examples in, typed results out."""

from __future__ import annotations

from typing import Any

import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    model_pb2,
    regression_pb2,
)

from tfrec.serving.predict import Job
from tfrec.serving.refusal import Refusal
from tfrec.serving.servable import DEFAULT_SIGNATURE, Servable, Signature

EXAMPLES, CLASSES, SCORES, VALUES = "inputs", "classes", "scores", "outputs"
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def examples_of(message: Any) -> np.ndarray:
    """The Examples of an Input, serialised, `(N,)`; a context goes before each.

    Raises: `Refusal` when there is none.
    """
    if message.WhichOneof("kind") == "example_list_with_context":
        listed = message.example_list_with_context
        context = listed.context.SerializeToString()
    else:
        listed, context = message.example_list, b""
    if not listed.examples:
        raise Refusal("INVALID_ARGUMENT", "Input is empty.")
    found = np.empty(len(listed.examples), object)
    found[:] = [context + example.SerializeToString() for example in listed.examples]
    return found


def prepare_classify(servable: Servable, spec: Any, message: Any) -> Job:
    """Checks a classification's signature and reads its Examples.

    Raises: `Refusal`.
    """
    signature = _signature(servable, spec)
    aliases = list(signature.outputs)
    if len(aliases) not in (1, 2):
        found = f"Expected one or two output Tensors, found {len(aliases)}"
        raise Refusal("INVALID_ARGUMENT", found)
    if EXAMPLES not in signature.inputs:
        raise _wrong("No classification inputs found in SignatureDef", signature)
    if not {CLASSES, SCORES} & set(aliases):
        text = (
            "Expected classification signature outputs to contain at least one of "
            f'"{CLASSES}" or "{SCORES}". Signature was'
        )
        raise _wrong(text, signature)
    outputs = tuple(alias for alias in aliases if alias in (CLASSES, SCORES))
    return Job(signature, outputs, [examples_of(message)])


def prepare_regress(servable: Servable, spec: Any, message: Any) -> Job:
    """Checks a regression's signature and reads its Examples.

    Raises: `Refusal`.
    """
    signature = _signature(servable, spec)
    if len(signature.outputs) != 1:
        raise Refusal("INVALID_ARGUMENT", "Expected one output Tensor.")
    if EXAMPLES not in signature.inputs:
        raise _wrong("No regression inputs found in SignatureDef", signature)
    if VALUES not in signature.outputs:
        raise _wrong("No regression outputs found in SignatureDef", signature)
    return Job(signature, (VALUES,), [examples_of(message)])


def _signature(servable: Servable, spec: Any) -> Signature:
    key = spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(key)
    if signature is None:
        text = f"No signature was found with the name: {key}"
        raise Refusal("INVALID_ARGUMENT", text)
    if len(signature.inputs) != 1:
        raise Refusal("INVALID_ARGUMENT", "Expected one input Tensor.")
    return signature


def _wrong(text: str, signature: Signature) -> Refusal:
    return Refusal("INVALID_ARGUMENT", f"{text}: {signature.definition}")


def classification(job: Job, values: list[np.ndarray]) -> Any:
    """The ClassificationResult of a job's outputs.

    Raises: `Refusal` when they do not have one row an Example.
    """
    found = dict(zip(job.outputs, values, strict=True))
    rows = len(job.arrays[0])
    for name, array in found.items():
        if array.ndim != 2:
            text = f"Expected {name} Tensor shape [? ?] but got: {_shape(array)}"
            raise Refusal("INVALID_ARGUMENT", text)
        if len(array) != rows:
            text = f"Input batch size did not match {name} batch size: "
            raise Refusal("INVALID_ARGUMENT", f"{text}{rows} vs. {len(array)}")
    scores, labels = found.get(SCORES), found.get(CLASSES)
    if scores is not None and scores.dtype != np.float32:
        text = f"Expected scores Tensor of DT_FLOAT. Got: {scores.dtype}"
        raise Refusal("INVALID_ARGUMENT", text)
    if labels is not None and labels.dtype != object:
        text = f"Expected classes Tensor of DT_STRING. Got: {labels.dtype}"
        raise Refusal("INVALID_ARGUMENT", text)
    shape = next(iter(found.values())).shape
    if any(array.shape != shape for array in found.values()):
        text = "Tensors class and score should match in dim_size(1): "
        raise Refusal("INVALID_ARGUMENT", text + " vs. ".join(map(_shape, values)))
    all_scores: Any = np.zeros(shape) if scores is None else scores
    all_labels: Any = np.full(shape, b"", object) if labels is None else labels
    result = classification_pb2.ClassificationResult()
    pairs = zip(all_labels.tolist(), all_scores.tolist(), strict=True)
    for row_labels, row_scores in pairs:
        row = result.classifications.add().classes
        for label, score in zip(row_labels, row_scores, strict=True):
            row.add(label=label.decode("utf-8", "replace"), score=score)
    return result


def regression(job: Job, values: list[np.ndarray]) -> Any:
    """The RegressionResult of a job's output.

    Raises: `Refusal` when it is not one number an Example.
    """
    (array,) = values
    rows = len(job.arrays[0])
    if array.ndim != 1 and (array.ndim != 2 or array.shape[1] != 1):
        raise Refusal(
            "INVALID_ARGUMENT",
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got {_shape(array)}",
        )
    if len(array) != rows:
        text = f"Input batch size did not match output batch size: {rows} vs. "
        raise Refusal("INVALID_ARGUMENT", f"{text}{len(array)}")
    if array.dtype != np.float32:
        text = f"Expected output Tensor of DT_FLOAT.  Got: {array.dtype}"
        raise Refusal("INVALID_ARGUMENT", text)
    result = regression_pb2.RegressionResult()
    for value in array.reshape(-1).tolist():
        result.regressions.add(value=value)
    return result


def _shape(array: np.ndarray) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def prepare_tasks(servable: Servable, request: Any) -> list[Job]:
    """A job for every task of a MultiInferenceRequest.

    Raises: `Refusal`.
    """
    jobs, seen = [], set()
    for task in request.tasks:
        spec = task.model_spec
        if not spec.name:
            text = "Found ModelSpec with an empty model name."
            raise Refusal("INVALID_ARGUMENT", text)
        if spec.name != servable.name:
            raise Refusal(
                "INVALID_ARGUMENT",
                "All ModelSpecs in a MultiInferenceRequest must access the same model "
                "name.",
            )
        key = spec.signature_name or DEFAULT_SIGNATURE
        if key in seen:
            raise Refusal(
                "INVALID_ARGUMENT", f"Duplicate evaluation of signature: {key}"
            )
        seen.add(key)
        if key not in servable.signatures:
            text = f"Requested signature not found in model graph: {key}"
            raise Refusal("INVALID_ARGUMENT", text)
        method = task.method_name  # a TF2 signature's own is that of Predict
        if method == CLASSIFY:
            jobs.append(prepare_classify(servable, spec, request.input))
        elif method == REGRESS:
            jobs.append(prepare_regress(servable, spec, request.input))
        else:
            text = f"Unsupported signature method_name: {method}"
            raise Refusal("UNIMPLEMENTED", text)
    return jobs


def results(request: Any, jobs: list[Job], answers: list[list[np.ndarray]]) -> Any:
    """The MultiInferenceResponse of a request's jobs and their outputs.

    Raises: `Refusal`.
    """
    response = inference_pb2.MultiInferenceResponse()
    for task, job, values in zip(request.tasks, jobs, answers, strict=True):
        result = response.results.add()
        result.model_spec.CopyFrom(spec_of(job))
        if task.method_name == CLASSIFY:
            result.classification_result.CopyFrom(classification(job, values))
        else:
            result.regression_result.CopyFrom(regression(job, values))
    return response


def spec_of(job: Job) -> Any:
    """The ModelSpec of what answered."""
    return model_pb2.ModelSpec.FromString(job.signature.spec)
