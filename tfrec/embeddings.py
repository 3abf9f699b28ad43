"""Embeddings: ids -> rows of shared tables, sequences and their masks, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf
from keras import ops

from tfrec import _checks
from tfrec.features import FeatureSpec
from tfrec.features.columns import Column, MultiCategorical, Numeric
from tfrec.features.columns import Sequence as SequenceColumn
from tfrec.features.vocabulary import PADDING_ID, UNKNOWN_ID
from tfrec.layers.basic.padding_mask import PaddingMask
from tfrec.layers.sequence.masked_pooling import MaskedPooling


@keras.saving.register_keras_serializable(package="tfrec")
class EmbeddingTable(keras.layers.Layer):
    """One physical table that holds several logical tables, one after another.

    Row 0 of each logical table is padding: its vector is exactly zero and gets
    no gradient. Row 1 is "unknown": ids outside the table are looked up there,
    and in training a share of the ids, drawn at random, is replaced by it, so
    that it is a trained row.

    Args:
        rows: tuple of ints >= 2. Rows of each logical table.
        embedding_dim: int >= 1.
        unknown_rate: number in [0, 1). Share of training ids looked up as
            unknown.
        scale: number >= 0. Rows start uniform in [-scale, scale].
        seed: int or None. For the start values and the draws.

    Call arguments:
        inputs: list of int id tensors, `(batch,)` or `(batch, time)`.
        tables: list of ints, the logical table of each input.

    Shapes: `(batch, dim)` or `(batch, time, dim)` out for each input.
    Raises: `ValueError` on a bad argument.

    >>> table = EmbeddingTable(rows=(4, 3), embedding_dim=2)
    >>> a, b = table([ops.array([0, 3]), ops.array([[1, 2], [2, 0]])], tables=[0, 1])
    >>> a.shape, b.shape, float(ops.sum(ops.abs(a[0])))
    (TensorShape([2, 2]), TensorShape([2, 2, 2]), 0.0)
    """

    def __init__(
        self, rows, embedding_dim, unknown_rate=0.0, scale=0.05, seed=None, **kwargs
    ):
        super().__init__(**kwargs)
        _checks.hidden_units(self, rows=rows)
        _checks.positive_int(self, embedding_dim=embedding_dim)
        _checks.rate(self, unknown_rate=unknown_rate)
        _checks.number(self, 0, scale=scale)
        self.rows = tuple(rows)
        self.embedding_dim = embedding_dim
        self.unknown_rate = unknown_rate
        self.scale = scale
        self.seed = seed
        self.draws = keras.random.SeedGenerator(seed) if unknown_rate else None

    def build(self, input_shape):
        self.table = self.add_weight(
            name="table",
            shape=(sum(self.rows), self.embedding_dim),
            initializer=keras.initializers.RandomUniform(
                -self.scale, self.scale, seed=self.seed
            ),
            autocast=False,
        )

    def call(self, inputs, tables, training=False):
        ids = [x if len(x.shape) == 2 else x[:, None] for x in inputs]
        widths = [
            x.shape[1] if x.shape[1] is not None else ops.shape(x)[1] for x in ids
        ]
        offsets = [sum(self.rows[:table]) for table in tables]
        ids = [
            ops.where((x >= 0) & (x < self.rows[table]), x, UNKNOWN_ID)
            for x, table in zip(ids, tables, strict=True)
        ]
        real = ops.concatenate([x != PADDING_ID for x in ids], axis=1)
        if training and self.draws is not None:
            drawn = keras.random.uniform(ops.shape(real), seed=self.draws)
            drawn = _split(drawn < self.unknown_rate, widths)
            ids = [
                ops.where(hit & (x != PADDING_ID), UNKNOWN_ID, x)
                for x, hit in zip(ids, drawn, strict=True)
            ]
        ids = ops.concatenate(
            [x + offset for x, offset in zip(ids, offsets, strict=True)], axis=1
        )
        # tf.gather on the variable reads the rows; ops.take would copy the table.
        vectors = ops.cast(tf.gather(self.table.value, ids), self.compute_dtype)
        vectors = vectors * ops.cast(real, self.compute_dtype)[:, :, None]
        parts = _split(vectors, widths)
        return [
            part if len(x.shape) == 2 else ops.squeeze(part, 1)
            for part, x in zip(parts, inputs, strict=True)
        ]

    def compute_output_spec(self, inputs, tables, training=False):
        return [
            keras.KerasTensor((*x.shape, self.embedding_dim), self.compute_dtype)
            for x in inputs
        ]

    def get_config(self):
        return {
            **super().get_config(),
            "rows": self.rows,
            "embedding_dim": self.embedding_dim,
            "unknown_rate": self.unknown_rate,
            "scale": self.scale,
            "seed": self.seed,
        }


def _split(matrix, widths):
    """The parts of axis 1 that are `widths` wide."""
    parts, start = [], 0
    for width in widths:
        parts.append(matrix[:, start : start + width])
        start = start + width
    return parts


class Fields(NamedTuple):
    """What a tower or a ranker starts from, by column name, in the spec's order.

    vectors: `(batch, dim)`, categorical columns (lists pooled) and buckets.
    sequences: `(batch, time, dim)`.
    masks: `(batch, time)` bool, True where a sequence holds a value.
    numbers: `(batch, n)` float32.
    """

    vectors: dict
    sequences: dict
    masks: dict
    numbers: dict


class Embeddings:
    """The tables of a spec, made once and shared by every tower that looks them up.

    Logical tables of equal width that the same towers read stand in one physical
    `EmbeddingTable`: one gather a tower. The user tower so holds no item-only
    table, and the reverse.

    Args:
        spec: FeatureSpec with its vocabularies.
        embedding_dim: int or None. None: each table's own width.
        unknown_rate: as in `EmbeddingTable`.
        scale: as in `EmbeddingTable`.
        seed: int or None.
        name: str. Prefix of the layers' names.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        *,
        embedding_dim: int | None = None,
        unknown_rate: float = 0.01,
        scale: float = 0.05,
        seed: int | None = None,
        name: str = "embeddings",
    ) -> None:
        self.spec = spec
        self.name = name
        groups: dict[tuple, list] = {}
        for table in spec.tables.values():
            dim = embedding_dim or table.embedding_dim
            groups.setdefault((table.sides, dim), []).append(table)
        self._place: dict[str, tuple[EmbeddingTable, int]] = {}
        for number, ((sides, dim), tables) in enumerate(groups.items()):
            layer = EmbeddingTable(
                rows=tuple(table.rows for table in tables),
                embedding_dim=dim,
                unknown_rate=unknown_rate,
                scale=scale,
                seed=None if seed is None else seed + number,
                name=f"{name}_{'_'.join(sides)}_{dim}",
            )
            for index, table in enumerate(tables):
                self._place[table.name] = (layer, index)

    def __call__(self, inputs: Sequence[keras.KerasTensor]) -> Fields:
        """Looks up named inputs, all of one side."""
        by_name = {tensor.name: tensor for tensor in inputs}
        columns = [column for column in self.spec if column.name in by_name]
        looked_up: dict[EmbeddingTable, list[Column]] = {}
        for column in columns:
            table = self.spec.table_of(column)
            if table is not None:
                looked_up.setdefault(self._place[table][0], []).append(column)
        vectors = {}
        for layer, group in looked_up.items():
            places = [self._place[self.spec.table_of(column)][1] for column in group]
            rows = layer([by_name[column.name] for column in group], tables=places)
            vectors.update({c.name: v for c, v in zip(group, rows, strict=True)})
        fields = Fields({}, {}, {}, {})
        for column in columns:
            name = column.name
            if isinstance(column, Numeric):
                fields.numbers[name] = by_name[name]
                continue
            if not column.is_list:
                fields.vectors[name] = vectors[name]
                continue
            mask = PaddingMask(name=f"{self.name}_{name}_mask")(by_name[name])
            if isinstance(column, MultiCategorical):
                pooling = MaskedPooling(
                    column.combiner, name=f"{self.name}_{name}_{column.combiner}"
                )
                fields.vectors[name] = pooling(vectors[name], mask=mask)
            elif isinstance(column, SequenceColumn):
                fields.sequences[name] = vectors[name]
                fields.masks[name] = mask
        return fields


def inputs_of(spec: FeatureSpec, *sides: str) -> list[keras.KerasTensor]:
    """One named `keras.Input` a column of these sides, in the spec's order."""
    tensors = []
    for column in spec:
        if column.side not in sides:
            continue
        if isinstance(column, Numeric):
            shape, dtype = tuple(column.shape), "float32"
        else:
            shape, dtype = ((None,) if column.is_list else ()), "int32"
        tensors.append(keras.Input(shape, name=column.name, dtype=dtype))
    return tensors
