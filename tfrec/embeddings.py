"""Embeddings: ids -> rows of shared tables, sequences and their masks, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf
from keras import ops

from tfrec import _checks
from tfrec.features import FeatureSpec
from tfrec.features.columns import (
    SIDES,
    Column,
    MultiCategorical,
    Numeric,
    NumericSequence,
)
from tfrec.features.vocabulary import PADDING_ID, UNKNOWN_ID
from tfrec.layers.basic.draws import load_draws, save_draws
from tfrec.layers.basic.padding_mask import PaddingMask
from tfrec.layers.sequence.masked_pooling import MaskedPooling
from tfrec.layers.sequence.weighted_pooling import WeightedPooling


@keras.saving.register_keras_serializable(package="tfrec")
class EmbeddingTable(keras.layers.Layer):
    """One physical table that holds several logical tables, one after another.

    Row 0 of each logical table is padding: its vector is exactly zero and gets
    no gradient. Row 1 is "unknown": ids outside the table are looked up there,
    and in training a share of the ids, drawn at random, is replaced by it, so
    that it is a trained row.

    Args:
        rows: non-empty tuple of ints >= 2. Rows of each logical table.
        embedding_dim: int >= 1.
        unknown_rate: number in [0, 1). Share of training ids looked up as
            unknown.
        scale: number >= 0. Rows start uniform in [-scale, scale].
        seed: int >= 0 or None. For the start values and the draws.

    Call arguments:
        inputs: list of int id tensors, `(batch,)` or `(batch, time)`.
        tables: list of ints, the logical table of each input.

    Shapes: `(batch, dim)` or `(batch, time, dim)` out for each input, in the
    layer's compute dtype: rows are cast after they were read, never the table.
    Raises: `ValueError` on a bad argument, or a `tables` that does not fit.

    >>> table = EmbeddingTable(rows=(4, 3), embedding_dim=2)
    >>> a, b = table([ops.array([0, 3]), ops.array([[1, 2], [2, 0]])], tables=[0, 1])
    >>> a.shape, b.shape, float(ops.sum(ops.abs(a[0])))
    (TensorShape([2, 2]), TensorShape([2, 2, 2]), 0.0)
    """

    def __init__(
        self, rows, embedding_dim, unknown_rate=0.0, scale=0.05, seed=None, **kwargs
    ):
        super().__init__(**kwargs)
        if not isinstance(rows, (tuple, list)) or not (
            rows and all(_checks.is_int(count) and count >= 2 for count in rows)
        ):
            rule = "must be a non-empty tuple of ints >= 2"
            raise _checks.argument(self, "rows", rule, rows)
        _checks.positive_int(self, embedding_dim=embedding_dim)
        _checks.rate(self, unknown_rate=unknown_rate)
        _checks.number(self, 0, scale=scale)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.rows = tuple(int(count) for count in rows)
        self.embedding_dim = int(embedding_dim)
        self.unknown_rate = float(unknown_rate)
        self.scale = float(scale)
        self.seed = seed if seed is None else int(seed)
        self.draws = keras.random.SeedGenerator(self.seed) if unknown_rate else None

    def build(self, input_shape):
        self.table = self.add_weight(
            name="table",
            shape=(sum(self.rows), self.embedding_dim),
            initializer=keras.initializers.RandomUniform(
                -self.scale, self.scale, seed=self.seed
            ),
            autocast=False,
        )

    def save_own_variables(self, store):
        super().save_own_variables(store)
        save_draws(self.draws, store)

    def load_own_variables(self, store):
        super().load_own_variables(load_draws(self.draws, store))

    def call(self, inputs, tables, training=False):
        self._check_tables(inputs, tables)
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
            part if len(x.shape) == 2 else part[:, 0]
            for part, x in zip(parts, inputs, strict=True)
        ]

    def _check_tables(self, inputs, tables):
        known = range(len(self.rows))
        if len(tables) != len(inputs) or any(table not in known for table in tables):
            rule = f"must name one of {len(known)} logical tables for each input"
            raise _checks.argument(self, "tables", rule, tables)

    def compute_output_spec(self, inputs, tables, training=False):
        self._check_tables(inputs, tables)
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
    numbers: `(batch,)` or `(batch, n)` float32; numbers along a list as their mean.
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
        embedding_dim: int >= 1 or None. None: each table's own width.
        unknown_rate: as in `EmbeddingTable`.
        scale: as in `EmbeddingTable`.
        seed: int >= 0 or None.
        name: str. Prefix of the layers' names.

    Raises: `ValueError` on a bad argument or a spec that is not adapted;
    `TypeError` when `spec` is not a FeatureSpec.
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
        if not isinstance(spec, FeatureSpec):
            raise _checks.argument(
                self, "spec", "must be a FeatureSpec", spec, kind=TypeError
            )
        if embedding_dim is not None:
            _checks.positive_int(self, embedding_dim=embedding_dim)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.spec = spec
        self.name = name
        groups: dict[tuple, list] = {}
        for table in spec.tables.values():
            dim = table.embedding_dim if embedding_dim is None else embedding_dim
            # The 1-wide weights of a first-order part are not the table's rows.
            frozen = not table.trainable and embedding_dim is None
            groups.setdefault((table.sides, dim, frozen), []).append(table)
        self._place: dict[str, tuple[EmbeddingTable, int]] = {}
        for number, ((sides, dim, frozen), tables) in enumerate(groups.items()):
            layer = EmbeddingTable(
                rows=tuple(table.rows for table in tables),
                embedding_dim=dim,
                unknown_rate=unknown_rate,
                scale=scale,
                seed=None if seed is None else seed + number,
                trainable=not frozen,
                name=f"{name}_{'_'.join(sides)}_{dim}{'_frozen' * frozen}",
            )
            for index, table in enumerate(tables):
                self._place[table.name] = (layer, index)

    def __call__(self, inputs: Sequence[keras.KerasTensor]) -> Fields:
        """Looks up named inputs, all of one side.

        Raises: `ValueError` when an input is no column of the spec.
        """
        by_name = {tensor.name: tensor for tensor in inputs}
        for name in by_name:
            if name not in self.spec:
                rule, found = "must be in the spec", _checks.quoted(self.spec.names)
                raise _checks.column(self, name, rule, found)
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
        masks = {
            column.name: PaddingMask(name=f"{self.name}_{column.name}_mask")(
                by_name[column.name]
            )
            for column in columns
            if column.is_list and column.name in vectors
        }
        weights = {getattr(column, "weights", None) for column in columns}
        for column in columns:
            name = column.name
            if isinstance(column, NumericSequence):
                if name not in weights:
                    steps = keras.layers.Reshape((-1, 1), name=f"{self.name}_{name}_t")
                    pooling = MaskedPooling("mean", name=f"{self.name}_{name}_mean")
                    mask = masks[column.along]
                    fields.numbers[name] = pooling(steps(by_name[name]), mask=mask)
            elif isinstance(column, Numeric):
                fields.numbers[name] = by_name[name]
            elif isinstance(column, MultiCategorical):
                inputs = [vectors[name], by_name.get(column.weights)]
                fields.vectors[name] = self._pooled(column, inputs, masks[name])
            elif column.is_list:
                fields.sequences[name] = vectors[name]
                fields.masks[name] = masks[name]
            else:
                fields.vectors[name] = vectors[name]
        return fields

    def _pooled(self, column: MultiCategorical, inputs: list, mask: object) -> object:
        """One vector of the set's values, weighted where the column has weights."""
        name = f"{self.name}_{column.name}_{column.combiner}"
        if inputs[1] is None:
            return MaskedPooling(column.combiner, name=name)(inputs[0], mask=mask)
        return WeightedPooling(column.combiner, name=name)(inputs, mask=mask)


def inputs_of(spec: FeatureSpec, *sides: str) -> list[keras.KerasTensor]:
    """One named `keras.Input` a column of these sides, in the spec's order.

    Raises: `ValueError` on a side that there is not.
    """
    for side in sides:
        _checks.one_of("inputs_of", SIDES, sides=side)
    tensors = []
    for column in spec:
        if column.side not in sides:
            continue
        if isinstance(column, Numeric):
            shape = (None,) if column.is_list else tuple(column.shape)
            dtype = "float32"
        else:
            shape, dtype = ((None,) if column.is_list else ()), "int32"
        tensors.append(keras.Input(shape, name=column.name, dtype=dtype))
    return tensors
