"""Where each column stands in the packed matrices, and batches out of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfrec import _checks
from tfrec.data.encode import encode_block
from tfrec.encoder import IdEncoder
from tfrec.features import FeatureSpec
from tfrec.features.columns import Numeric

Packed = tuple[np.ndarray, np.ndarray]


class Layout:
    """The columns of a row in two matrices: int32 ids and float32 numbers.

    Packed rows are gathered whole; a batch is split into columns afterwards.
    Labels and the weight stand at the end of the numbers, a missing label as NaN.

    Args:
        spec: FeatureSpec.
        names: columns wanted, without labels and weight, or None: all, with them.
        missing_labels: allow missing labels; elements then carry sample weights.

    `columns` are the names that rows must hold.
    """

    def __init__(
        self, spec: FeatureSpec, names: list[str] | None, missing_labels: bool = False
    ) -> None:
        self.spec = spec
        self.names = [name for name in spec.names if names is None or name in names]
        self.ids: list[tuple[str, int, bool]] = []
        self.floats: list[tuple[str, int, bool]] = []
        for name in self.names:
            column = spec[name]
            width = spec.width(column)
            places = self.floats if isinstance(column, Numeric) else self.ids
            places.append((name, width or 1, width is not None))
        self.with_targets = names is None
        self.missing_labels = missing_labels
        self.targets = list(spec.labels) if self.with_targets else []
        if self.with_targets and spec.weight:
            self.targets.append(spec.weight)
        self.columns = [*spec.raw_names(self.names), *self.targets]
        self.floats += [(f"target:{name}", 1, False) for name in self.targets]

    def encode(
        self, encoder: IdEncoder, block: dict[str, pa.Array], *, owner: str
    ) -> Packed:
        """The two matrices of a block of raw columns."""
        columns = encode_block(encoder, block, owner=owner)
        for name in self.targets:
            missing = self.missing_labels and name != self.spec.weight
            columns[f"target:{name}"] = _target(owner, name, block[name], missing)
        rows = len(next(iter(columns.values())))
        packed = []
        for places, dtype in ((self.ids, np.int32), (self.floats, np.float32)):
            matrix = np.empty((rows, sum(width for _, width, _ in places)), dtype)
            start = 0
            for name, width, _ in places:
                matrix[:, start : start + width] = columns[name].reshape(rows, width)
                start += width
            packed.append(matrix)
        return packed[0], packed[1]

    def signature(self, rows: int | None) -> tuple[tf.TensorSpec, tf.TensorSpec]:
        """What the matrices of a batch look like."""
        ids, floats = (
            sum(width for _, width, _ in places) for places in (self.ids, self.floats)
        )
        return (
            tf.TensorSpec([rows, ids], tf.int32),
            tf.TensorSpec([rows, floats], tf.float32),
        )

    def unpack(self, ids: tf.Tensor, floats: tf.Tensor) -> Any:
        """`(columns, labels[, weights])` of a packed batch, or the columns alone."""
        found = {}
        for matrix, places in ((ids, self.ids), (floats, self.floats)):
            if not places:
                continue
            parts = tf.split(matrix, [width for _, width, _ in places], axis=1)
            for part, (name, _, wide) in zip(parts, places, strict=True):
                found[name] = part if wide else tf.squeeze(part, 1)
        if not self.with_targets:
            return found
        targets = {name: found.pop(f"target:{name}") for name in self.targets}
        weight = targets.pop(self.spec.weight) if self.spec.weight else None
        if not targets:
            # Retrieval logs have no label: each row is a positive of reward 1.
            y = tf.ones(tf.shape(floats)[:1])
            return (found, y) if weight is None else (found, y, weight)
        if self.missing_labels:
            absent = {name: tf.math.is_nan(y) for name, y in targets.items()}
            targets = {
                name: tf.where(absent[name], 0.0, y) for name, y in targets.items()
            }
            kept = 1.0 if weight is None else weight
            weight = {
                name: tf.where(gone, 0.0, kept * tf.ones_like(targets[name]))
                for name, gone in absent.items()
            }
            if len(weight) == 1:
                (weight,) = weight.values()
        y = next(iter(targets.values())) if len(targets) == 1 else targets
        return (found, y) if weight is None else (found, y, weight)


def _target(owner: str, name: str, array: pa.Array, missing: bool) -> np.ndarray:
    """A label or weight as float32; NaN where it is missing, if it may be."""
    kind = array.type
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif pa.types.is_null(kind):
        array = array.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        rule = "is a label or weight and must hold numbers"
        raise _checks.column(owner, name, rule, str(kind), "Convert the column.")
    wide = pc.fill_null(array.cast(pa.float64(), safe=False), np.nan)
    wide = wide.to_numpy(zero_copy_only=False)
    absent = np.isnan(wide)
    if absent.any() and not missing:
        rule = "is a label or weight and must not be missing"
        found = f"NaN or null in row {int(np.argmax(absent))}, {absent.sum()} in all"
        way_out = "Drop these rows, or pass `missing_labels=True` if it is a label: "
        way_out += "they then count for the other labels only."
        raise _checks.column(owner, name, rule, found, way_out)
    with np.errstate(over="ignore"):
        values = wide.astype(np.float32)
    infinite = np.isinf(values)
    if infinite.any():
        row = int(np.argmax(infinite))
        rule = "is a label or weight and must hold finite float32 numbers"
        found = f"{wide[row]} in row {row}"
        raise _checks.column(owner, name, rule, found, "Clip or clean the column.")
    return values
