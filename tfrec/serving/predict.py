"""Predict: checks in TensorFlow Serving's order, with its codes and words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.serving import tensors
from tfrec.serving.refusal import Refusal, code_name
from tfrec.serving.servable import DEFAULT_SIGNATURE, Servable, Signature


class Job(NamedTuple):
    """A checked request, ready to run."""

    signature: Signature
    outputs: tuple[str, ...]
    arrays: list[np.ndarray]

    @property
    def slow(self) -> bool:
        """True when it should not run where it holds up others."""
        return self.signature.slow(self.outputs, self.arrays)

    def run(self, seconds: float | None = None) -> list[np.ndarray]:
        """The outputs' arrays; with `seconds`, the graph is stopped after them.

        Raises: `Refusal` when the graph cannot take what it got, or is stopped.
        """
        try:
            return self.signature.run(self.outputs, self.arrays, seconds)
        except tf.errors.OpError as error:
            raise Refusal(code_name(error.error_code), error.message) from error
        except (TypeError, ValueError) as error:
            raise Refusal("INVALID_ARGUMENT", str(error)) from error

    def response(self, values: Sequence[Any], *, content: bool = False) -> bytes:
        """The bytes of the PredictResponse."""
        return self.signature.response(self.outputs, values, content=content)


def prepare(
    servable: Servable, request: Any, max_fill_bytes: int = tensors.MAX_FILL_BYTES
) -> Job:
    """Checks a PredictRequest against the servable and decodes its inputs.

    Raises: `Refusal`.
    """
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(key)
    if signature is None:
        text = f'Serving signature key "{key}" not found.'
        raise Refusal("FAILED_PRECONDITION", text)
    arrays = _inputs(signature, request.inputs, max_fill_bytes)
    outputs = _outputs(signature, request.output_filter)
    for place, (wanted, array) in enumerate(zip(signature.types, arrays, strict=True)):
        received = tensors.type_of(array)
        if wanted != received:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"Expects arg[{place}] to be {tensors.type_name(wanted)} but "
                f"{tensors.type_name(received)} is provided",
            )
    return Job(signature, outputs, arrays)


def _inputs(signature: Signature, sent: Any, max_fill_bytes: int) -> list[np.ndarray]:
    known, defaults = signature.inputs, signature.defaults
    if len(sent) > len(known) or (len(sent) < len(known) and not defaults):
        raise Refusal(
            "INVALID_ARGUMENT",
            f"input size does not match signature: {len(sent)}!={len(known)} "
            f"len({{{_names(sent)}}}) != len({{{_names(known)}}}). "
            f"Sent extra: {{{_names(set(sent) - set(known))}}}. "
            f"Missing but required: {{{_names(set(known) - set(sent))}}}.",
        )
    arrays, used = [], 0
    for alias, info in known.items():
        if alias in sent:
            used += 1
            try:
                arrays.append(tensors.decode(sent[alias], max_fill_bytes))
            except (ValueError, MemoryError) as error:
                text = f"tensor parsing error: {alias}"
                raise Refusal("INVALID_ARGUMENT", text) from error
        elif alias in defaults:
            arrays.append(defaults[alias])
        else:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"Signature input alias: {alias}(feed name: {info.name}) not found in "
                "request and no default value provided. Inputs expected to be in the "
                f"request {{{_names(sent)}}}, or default input alias set: "
                f"{_names(defaults)}",
            )
    if used < len(sent):
        raise Refusal(
            "INVALID_ARGUMENT",
            "Inputs contains invalid name. Used request inputs: "
            f"{_names(set(sent) & set(known))}, request input: {_names(sent)}",
        )
    return arrays


def _outputs(signature: Signature, wanted: Iterable[str]) -> tuple[str, ...]:
    known = signature.outputs
    chosen: set[str] = set()
    for alias in wanted:
        if alias not in known:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"output tensor alias not found in signature: {alias} Outputs expected "
                f"to be in the set {{{_names(known)}}}.",
            )
        if alias in chosen:
            raise Refusal("INVALID_ARGUMENT", f"duplicate output tensor alias: {alias}")
        chosen.add(alias)
    return tuple(sorted(chosen or known))


def _names(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
