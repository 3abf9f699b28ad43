"""Predict over JSON: a body to arrays, row or columnar, and outputs to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrec.serving import json_text
from tfrec.serving.json_tensor import array, is_object
from tfrec.serving.json_text import invalid
from tfrec.serving.refusal import Refusal

Arrays = dict[str, np.ndarray]


def signature_name(document: Mapping[str, Any]) -> str:
    """What the body calls the signature; empty for the default one.

    Raises: `Refusal`.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {json_text.show(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def arrays(
    document: Mapping[str, Any], inputs: Mapping[str, Any]
) -> tuple[Arrays, bool]:
    """The inputs that a parsed body holds, and whether they came by row.

    Args:
        document: the parsed body.
        inputs: TensorInfo by name, of the signature that it asks for.

    Raises: `Refusal`.
    """
    keys = [key for key in ("instances", "inputs") if key in document]
    if not inputs:
        named = document.get("signature_name") or "DEFAULT"
        raise invalid(f"Failed to get input map for signature: {named}")
    if not keys:
        raise invalid("Missing 'inputs' or 'instances' key")
    if len(keys) > 1:
        raise invalid(
            f"JSON Value: {json_text.show(document)} Not formatted correctly expecting "
            "only one of 'inputs' or 'instances' keys to exist "
        )
    by_row = keys[0] == "instances"
    return (rows if by_row else columns)(document[keys[0]], inputs), by_row


def columns(value: Any, inputs: Mapping[str, Any]) -> Arrays:
    """Inputs that came name by name, or as the bare value of the only one."""
    if not is_object(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        value = dict.fromkeys(inputs, value)
    for name in inputs:
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: array(value[name], info.dtype) for name, info in inputs.items()}


def rows(value: Any, inputs: Mapping[str, Any]) -> Arrays:
    """Inputs that came row by row, stacked."""
    if not isinstance(value, list):
        shown = json_text.show(value)
        text = f"JSON Value: {shown} Excepting 'instances' to be an list/array"
        raise invalid(text)
    if not value:
        raise invalid("JSON Value: [] No values in 'instances' array")
    named = is_object(value[0])
    if not named and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    for place, row in enumerate(value):
        if is_object(row) != named:
            rule = "object but got list" if named else "value/list but got object"
            raise invalid(f"Expecting {rule} at item {place} of input list")
        if named and row.keys() != inputs.keys():
            raise invalid(
                f"Failed to process element: {place} of 'instances' list. JSON object: "
                f"{json_text.show(row)} keys must be equal to: {','.join(inputs)}"
            )
    if not named:
        return {name: _stack(value, info.dtype, "") for name, info in inputs.items()}
    return {
        name: _stack([row[name] for row in value], info.dtype, f" key: {name}")
        for name, info in inputs.items()
    }


def _stack(values: list[Any], kind: int, key: str) -> np.ndarray:
    try:
        return array(values, kind)
    except Refusal as refusal:
        if refusal.code.name == "UNIMPLEMENTED":
            raise
        place, text = _first_fault(values, kind)
        raise invalid(
            f"Failed to process element: {place}{key} of 'instances' list. "
            f"Error: INVALID_ARGUMENT: {text}"
        ) from refusal


def _first_fault(values: list[Any], kind: int) -> tuple[int, str]:
    """The row that does not go with those before it, and why."""
    first = None
    for place, value in enumerate(values):
        try:
            row = array(value, kind)
        except Refusal as refusal:
            return place, refusal.message
        first = row if first is None else first
        if row.size != first.size:
            text = f"Expecting tensor size: {first.size} but got: {row.size}"
            return place, text
        if row.shape != first.shape:
            wanted, found = (str([*part.shape]) for part in (first, row))
            text = f"Expecting shape {wanted} but got: {found}".replace(", ", ",")
            return place, text
    return 0, "too many levels of lists"  # one fewer than a stack of them


def answer(outputs: Mapping[str, Any], *, by_row: bool) -> dict[str, Any]:
    """The answer to a request, for `json_text.dump`.

    Args:
        outputs: arrays, or what a session gives for a scalar, by name.
        by_row: True: one element a row, under `predictions`; else `outputs`.

    Raises: `Refusal` on an output that JSON, or a row, cannot hold.
    """
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    if by_row:
        _check_rows(arrays)
    values = {
        name: json_text.plain(value, content=name.endswith("_bytes"))
        for name, value in arrays.items()
    }
    key = "predictions" if by_row else "outputs"
    if len(values) == 1:
        return {key: next(iter(values.values()))}
    if not by_row:
        return {key: values}
    listed = [v.tolist() if isinstance(v, np.ndarray) else v for v in values.values()]
    by_place = zip(*listed, strict=True)
    return {key: [dict(zip(values, row, strict=True)) for row in by_place]}


def _check_rows(outputs: Mapping[str, np.ndarray]) -> None:
    size = None
    for name, value in outputs.items():
        if not value.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if size is not None and len(value) != size:
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(value)} "
                f"expecting: {size}"
            )
        size = len(value)
