"""Serialized `tensorflow.Example`s as raw columns, for Classify and Regress."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfrec.features import FeatureSpec, Numeric


def parse_examples(
    spec: FeatureSpec, inputs: Mapping[str, tf.TensorSpec], examples: tf.Tensor
) -> dict[str, tf.Tensor]:
    """The columns of `tensorflow.Example`s as a served signature takes them.

    A feature is named like its column: strings as bytes_list, int64 as int64_list,
    numbers as float_list, lists as several values. What an Example lacks is
    missing in that row, or an empty list; a number without a `fill` must be there.

    Args:
        spec: FeatureSpec.
        inputs: the raw columns, by name.
        examples: serialized Examples.

    Shapes: `(batch,)` string in; `(batch,)`, lists `(batch, longest)` out.
    """
    features, found = {}, {}
    for name, tensor in inputs.items():
        features[name] = tf.io.RaggedFeature(tensor.dtype, name)
        if _required(spec, name):
            shape = tensor.shape.as_list()[1:]
            features[name] = tf.io.FixedLenFeature(shape, tensor.dtype)
    parsed = tf.io.parse_example(examples, features)
    for name, tensor in inputs.items():
        if _required(spec, name):
            found[name] = parsed[name]
            continue
        missing, is_list = _missing(spec, name), spec[name].is_list
        width = None if is_list else math.prod(tensor.shape.as_list()[1:])
        shape: Any = [None, width]
        lead = getattr(spec[name], "along", None)
        if lead:  # a missing attribute stands where its value does
            shape = [-1, parsed[lead].bounding_shape(axis=1, out_type=tf.int32)]
        values = parsed[name].to_tensor(missing, shape=shape)
        found[name] = values if len(tensor.shape) == 2 else values[:, 0]
    return found


def _required(spec: FeatureSpec, name: str) -> bool:
    """A number that has no value to stand for a missing one."""
    column = spec[name]
    return isinstance(column, Numeric) and not column.is_list and column.fill is None


def _missing(spec: FeatureSpec, name: str) -> str | int | float:
    padding = spec.padding_of(spec[name])
    return math.nan if padding is None else padding
