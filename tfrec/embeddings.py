"""Embeddings: ids -> rows of shared tables, sequences and their masks, numbers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
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
    that it is a trained row. All inputs are read in one gather.

    Args:
        rows: non-empty tuple of ints >= 2. Rows of each logical table.
        embedding_dim: int >= 1.
        linear: bool. Each row has one number more, last, that starts at 0: the
            weight of a first-order term.
        unknown_rate: number in [0, 1). Share of training ids looked up as
            unknown.
        scale: number >= 0. Rows start uniform in [-scale, scale].
        l2: number >= 0. Adds `l2 sum_f ||e_f||^2`, the mean over the batch, to the
            loss: of the rows that are looked up only, as often as they are.
        seed: int >= 0 or None. For the start values and the draws.

    Call arguments:
        inputs: list of int id tensors, `(batch,)` or `(batch, time)`.
        tables: list of ints, the logical table of each input.
        stacked: bool. All `(batch,)` inputs come back as one tensor
            `(batch, fields, dim)`, first; it is not split and put together again.

    Shapes: `(batch, dim)` or `(batch, time, dim)` out for each input, in the
    layer's compute dtype: rows are cast after they were read, never the table.
    Raises: `ValueError` on a bad argument, or a `tables` that does not fit.

    >>> table = EmbeddingTable(rows=(4, 3), embedding_dim=2)
    >>> a, b = table([ops.array([0, 3]), ops.array([[1, 2], [2, 0]])], tables=[0, 1])
    >>> a.shape, b.shape, float(ops.sum(ops.abs(a[0])))
    (TensorShape([2, 2]), TensorShape([2, 2, 2]), 0.0)
    """

    def __init__(
        self,
        rows,
        embedding_dim,
        linear=False,
        unknown_rate=0.0,
        scale=0.05,
        l2=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(rows, (tuple, list)) or not (
            rows and all(_checks.is_int(count) and count >= 2 for count in rows)
        ):
            rule = "must be a non-empty tuple of ints >= 2"
            raise _checks.argument(self, "rows", rule, rows)
        _checks.positive_int(self, embedding_dim=embedding_dim)
        _checks.boolean(self, linear=linear)
        _checks.rate(self, unknown_rate=unknown_rate)
        _checks.number(self, 0, scale=scale, l2=l2)
        if seed is not None:
            _checks.integer(self, seed=seed)
        self.rows = tuple(int(count) for count in rows)
        self.embedding_dim = int(embedding_dim)
        self.linear = linear
        self.unknown_rate = float(unknown_rate)
        self.scale = float(scale)
        self.l2 = float(l2)
        self.seed = seed if seed is None else int(seed)
        self.draws = keras.random.SeedGenerator(self.seed) if unknown_rate else None
        self.width = self.embedding_dim + self.linear
        # XLA has no `unique`, which the optimizers need: on a GPU too, compile()
        # must not take the whole step.
        self.supports_jit = False

    def build(self, input_shape):
        self.table = self.add_weight(
            name="table",
            shape=(sum(self.rows), self.width),
            initializer=_Start(self.scale, self.linear, self.seed),
            autocast=False,
        )
        self.table.row_sparse = True

    def save_own_variables(self, store):
        super().save_own_variables(store)
        save_draws(self.draws, store)

    def load_own_variables(self, store):
        super().load_own_variables(load_draws(self.draws, store))

    def call(self, inputs, tables, stacked=False, training=False):
        rows, real = self.places(inputs, tables, stacked, training)
        # tf.gather on the variable reads the rows; ops.take would copy the table.
        vectors = tf.gather(self.table.value, rows)
        if self.l2:
            self.add_loss(self.penalty(vectors, real))
        return self.outputs(vectors, real, inputs, stacked)

    def places(self, inputs, tables, stacked=False, training=False):
        """Where the vectors stand, `(batch, n)`, and which are not padding."""
        self._check_tables(inputs, tables)
        order = _order(inputs, stacked)
        ids = [inputs[place] for place in order]
        parts = [tables[place] for place in order]
        widths = _widths(ids)
        ids = _side_by_side([ops.cast(x, _widest(ids)) for x in ids])
        # Of each place in a row: how long its table is, and where it starts.
        lengths = [self.rows[part] for part in parts]
        starts = [sum(self.rows[:part]) for part in parts]
        repeat = np.repeat if isinstance(widths, list) else tf.repeat
        lengths, starts = (
            tf.cast(repeat(each, widths), ids.dtype) for each in (lengths, starts)
        )
        ids = tf.where((ids >= 0) & (ids < lengths), ids, UNKNOWN_ID)
        real = ops.not_equal(ids, PADDING_ID)
        if training and self.draws is not None:
            drawn = keras.random.uniform(ops.shape(ids), seed=self.draws)
            ids = tf.where((drawn < self.unknown_rate) & real, UNKNOWN_ID, ids)
        return ids + starts, real

    def penalty(self, vectors, real):
        """The L2 term of looked-up rows."""
        squares = ops.square(vectors) * ops.cast(real, vectors.dtype)[:, :, None]
        return self.l2 * ops.mean(ops.sum(squares, axis=(1, 2)))

    def outputs(self, vectors, real, inputs, stacked=False):
        """What `call` gives, out of all vectors side by side."""
        vectors = ops.cast(vectors, self.compute_dtype)
        vectors = vectors * ops.cast(real, self.compute_dtype)[:, :, None]
        widths = _widths([inputs[place] for place in _order(inputs, stacked)])
        return self._split(vectors, inputs, widths, stacked)

    def _split(self, vectors, inputs, widths, stacked):
        """The tensors of `call`, in its order, out of all vectors side by side."""
        singles = sum(len(x.shape) != 2 for x in inputs)
        if stacked and singles == len(inputs):
            return [vectors]
        if stacked and singles:
            rest = widths[singles:]
            if isinstance(widths, list):
                return tf.split(vectors, [singles, *rest], axis=1)
            return tf.split(
                vectors,
                tf.concat([[singles], rest], axis=0),
                num=len(inputs) - singles + 1,
                axis=1,
            )
        parts = tf.split(vectors, widths, num=len(inputs), axis=1)
        return [
            part if len(x.shape) == 2 else tf.squeeze(part, 1)
            for part, x in zip(parts, inputs, strict=True)
        ]

    def _check_tables(self, inputs, tables):
        known = range(len(self.rows))
        if len(tables) != len(inputs) or any(table not in known for table in tables):
            rule = f"must name one of {len(known)} logical tables for each input"
            raise _checks.argument(self, "tables", rule, tables)

    def compute_output_spec(self, inputs, tables, stacked=False, training=False):
        self._check_tables(inputs, tables)
        shapes = [inputs[place].shape for place in _order(inputs, stacked)]
        singles = [shape for shape in shapes if len(shape) == 1]
        if stacked and singles:
            block = (singles[0][0], len(singles))
            shapes = [block, *shapes[len(singles) :]]
        return [
            keras.KerasTensor((*shape, self.width), self.compute_dtype)
            for shape in shapes
        ]

    def get_config(self):
        return {
            **super().get_config(),
            "rows": self.rows,
            "embedding_dim": self.embedding_dim,
            "linear": self.linear,
            "unknown_rate": self.unknown_rate,
            "scale": self.scale,
            "l2": self.l2,
            "seed": self.seed,
        }


def _order(inputs, stacked):
    """Places of the inputs as they are read: single ids first, where stacked."""
    places = range(len(inputs))
    if not stacked:
        return list(places)
    return sorted(places, key=lambda place: len(inputs[place].shape))


def _widths(ids):
    """How many vectors each input has in a row: ints, or a tensor where unknown."""
    widths = [1 if len(x.shape) == 1 else x.shape[1] for x in ids]
    if None not in widths:
        return widths
    shapes = [ops.shape(x) for x in ids]
    return ops.stack([1 if len(shape) == 1 else shape[1] for shape in shapes])


def _side_by_side(ids):
    """`(batch, places)`; ids of rank 1 that follow each other in one operation."""
    parts = []
    for single, group in itertools.groupby(ids, lambda x: len(x.shape) == 1):
        group = list(group)
        parts += [tf.stack(group, axis=1)] if single else group
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=1)


def _widest(ids):
    """int64 as soon as one input has it: an id beyond int32 stays one."""
    return "int64" if any(x.dtype == tf.int64 for x in ids) else "int32"


class _Start:
    """Start values of a table: uniform, the first-order weight 0; in one buffer.

    In a graph TensorFlow scales the drawn numbers in place; one operation after
    the other would hold the table two or three times over.
    """

    def __init__(self, scale, linear, seed):
        self.scale, self.linear = scale, linear
        # `keras.utils.set_random_seed` sets Python's generator too.
        self.seed = [random.getrandbits(31) if seed is None else seed, 0]

    def __call__(self, shape, dtype):
        # The seed is an argument: TensorFlow would evaluate a graph of constants
        # once more, to see whether the result is small.
        @tf.function(autograph=False, input_signature=[tf.TensorSpec([2], tf.int64)])
        def start(seed):
            drawn = tf.random.stateless_uniform(shape, seed, -1.0, 1.0, dtype)
            scales = [self.scale] * (shape[1] - self.linear) + [0.0] * self.linear
            return drawn * tf.constant(scales, dtype)

        # Called so, TensorFlow does not warn of a function that is made again.
        return start.get_concrete_function()(tf.constant(self.seed, tf.int64))


class Fields(NamedTuple):
    """What a tower or a ranker starts from, by column name, in the spec's order.

    vectors: `(batch, dim)`, categorical columns (lists pooled) and buckets.
    sequences: `(batch, time, dim)`.
    masks: `(batch, time)` bool, True where a sequence holds a value.
    numbers: `(batch,)` or `(batch, n)` float32; numbers along a list as their mean.
    blocks: by tuple of column names, `(batch, fields, dim)`: where the look-up is
        stacked, the vectors of all columns that hold one value, as they were read.
    """

    vectors: dict
    sequences: dict
    masks: dict
    numbers: dict
    blocks: dict


class Embeddings:
    """The tables of a spec, made once and shared by every tower that looks them up.

    Logical tables of equal width that the same towers read stand in one physical
    `EmbeddingTable`: one gather a tower. The user tower so holds no item-only
    table, and the reverse.

    Args:
        spec: FeatureSpec with its vocabularies.
        embedding_dim: int >= 1 or None. None: each table's own width.
        linear: bool. Vectors are one wider: their last number is the column's
            first-order weight, which is trained where the table's rows are not.
        unknown_rate: as in `EmbeddingTable`.
        scale: as in `EmbeddingTable`.
        l2: as in `EmbeddingTable`.
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
        linear: bool = False,
        unknown_rate: float = 0.01,
        scale: float = 0.05,
        l2: float = 0.0,
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
            # Rows of another width than the table's own are not the ones to keep.
            frozen = not table.trainable and embedding_dim is None
            groups.setdefault((table.sides, dim, frozen), []).append(table)
        self._place: dict[str, tuple[EmbeddingTable, int]] = {}
        self._weights: dict[str, tuple[EmbeddingTable, int]] = {}
        for number, ((sides, dim, frozen), tables) in enumerate(groups.items()):
            options = {
                "rows": tuple(table.rows for table in tables),
                "unknown_rate": unknown_rate,
                "seed": None if seed is None else seed + number,
            }
            prefix = f"{name}_{'_'.join(sides)}"
            layer = EmbeddingTable(
                embedding_dim=dim,
                linear=linear and not frozen,
                scale=scale,
                l2=l2,
                trainable=not frozen,
                name=f"{prefix}_{dim}{'_frozen' * frozen}",
                **options,
            )
            for index, table in enumerate(tables):
                self._place[table.name] = (layer, index)
            if linear and frozen:
                layer = EmbeddingTable(
                    embedding_dim=1, scale=0.0, name=f"{prefix}_weights", **options
                )
                for index, table in enumerate(tables):
                    self._weights[table.name] = (layer, index)

    def __call__(
        self, inputs: Sequence[keras.KerasTensor], stacked: bool = False
    ) -> Fields:
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
        fields = Fields({}, {}, {}, {}, {})
        for group in looked_up.values():
            singles = [column.name for column in group if not column.is_list]
            if not stacked:
                singles = []
            found = self._read(self._place, group, by_name, stacked)
            if self.spec.table_of(group[0]) in self._weights:
                weights = self._read(self._weights, group, by_name, stacked)
                found = [
                    keras.layers.Concatenate()(pair)
                    for pair in zip(found, weights, strict=True)
                ]
            if singles:
                block = found.pop(0)
                fields.blocks[tuple(singles)] = block
                # Nothing is computed for those that nobody takes.
                vectors.update({name: block[:, i] for i, name in enumerate(singles)})
            others = [c.name for c in group if c.name not in singles]
            vectors.update(zip(others, found, strict=True))
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

    def _read(
        self, places: dict, group: list[Column], by_name: dict, stacked: bool
    ) -> list:
        """What one physical table gives for columns of its logical tables."""
        of_group = [places[self.spec.table_of(column)] for column in group]
        inputs = [by_name[column.name] for column in group]
        tables = [index for _, index in of_group]
        return of_group[0][0](inputs, tables=tables, stacked=stacked)

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
