"""What every source shares: checked options, pools of rows, batches in tf.data."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrec import _checks
from tfrec.data.layout import Layout, Packed
from tfrec.encoder import IdEncoder
from tfrec.features import FeatureSpec

Random = np.random.Generator | None


class Position:
    """Where the next pass over a data set begins.

    A data set of one pass (`repeat=1`) has one as `dataset.position`; who restarts
    training in the middle sets it before the pass begins.

    `epoch`: int or None. The passes that begin have the order of this pass, the
    first is 0; None: of the count of passes so far.
    `skip`: int. How many batches they leave out at their start.
    `passes`: int. How many have begun.

    >>> position = Position()
    >>> position.begin(), position.begin(), position.passes
    ((0, 0), (1, 0), 2)
    """

    def __init__(self) -> None:
        self.epoch: int | None = None
        self.skip = 0
        self.passes = 0

    def begin(self) -> tuple[int, int]:
        """The order and the batches to leave out of a pass that begins now."""
        epoch = self.passes if self.epoch is None else self.epoch
        self.passes += 1
        return epoch, self.skip


class Pipeline:
    """From packed rows to batches; the options are those of `from_pandas`.

    Args:
        owner: whom an error names.
        spec: FeatureSpec with its vocabularies.
        The others: as in `from_pandas`.

    Raises: `ValueError` and `TypeError` on a bad argument.
    """

    def __init__(
        self,
        owner: str,
        spec: Any,
        *,
        columns: Iterable[str] | None,
        batch_size: int,
        shuffle: bool,
        seed: int,
        drop_remainder: bool,
        repeat: int | None,
        shard: tuple[int, int] | None,
        missing_labels: bool,
    ) -> None:
        if not isinstance(spec, FeatureSpec):
            rule = "must be a FeatureSpec"
            raise _checks.argument(owner, "spec", rule, spec, kind=TypeError)
        _checks.positive_int(owner, batch_size=batch_size)
        _checks.integer(owner, 0, seed=seed)
        _checks.boolean(
            owner,
            shuffle=shuffle,
            drop_remainder=drop_remainder,
            missing_labels=missing_labels,
        )
        if repeat is not None:
            _checks.positive_int(owner, repeat=repeat)
        if shard is not None:
            _check_shard(owner, shard)
        names = None if columns is None else list(columns)
        if names == []:
            raise _checks.argument(owner, "columns", "must not be empty", names)
        if missing_labels and (names is not None or not spec.labels):
            rule = "needs a spec with labels, and `columns=None`"
            raise _checks.argument(owner, "missing_labels", rule, missing_labels)
        self.owner, self.spec = owner, spec
        self.batch_size, self.drop_remainder = batch_size, drop_remainder
        self.shuffle, self.seed = shuffle, seed
        self.repeat, self.shard = repeat, shard
        self.encoder = IdEncoder(spec, names)
        self.layout = Layout(spec, names, missing_labels)

    def encode(self, block: dict[str, pa.Array], owner: str) -> Packed:
        """The packed ids and numbers of a block of raw columns."""
        return self.layout.encode(self.encoder, block, owner=owner)

    def share(self, rows: int) -> tuple[int, int]:
        """First row of this shard and the one after its last."""
        index, count = self.shard or (0, 1)
        if rows < count:
            rule = f"must have at most as many parts as there are rows, {rows}"
            raise _checks.argument(self.owner, "shard", rule, self.shard)
        return rows * index // count, rows * (index + 1) // count

    def dataset(
        self, rows: int, epoch: Callable[[Random], Iterator[Packed]]
    ) -> tf.data.Dataset:
        """Batches of a source.

        Args:
            rows: int. How many an epoch has.
            epoch: generator -> packed batches, all full but the last; it shuffles
                with the generator that it is given, or not at all where it is None.
        """
        size = self.batch_size
        if self.drop_remainder and rows < size:
            rule = f"must be at most {rows}, the number of rows, with `drop_remainder`"
            raise _checks.argument(self.owner, "batch_size", rule, size)
        position = Position()

        def batches() -> Iterator[Packed]:
            order, skip = position.begin()
            random = np.random.default_rng([self.seed, order])
            made = epoch(random if self.shuffle else None)
            for batch in itertools.islice(made, skip, None):
                if not self.drop_remainder or len(batch[0]) == size:
                    yield batch

        dataset = tf.data.Dataset.from_generator(
            batches,
            output_signature=self.layout.signature(
                size if self.drop_remainder else None
            ),
        )
        count = rows // size if self.drop_remainder else -(-rows // size)
        dataset = _at_most(dataset, count)
        if self.repeat != 1:
            dataset = dataset.repeat(self.repeat)
        dataset = dataset.map(
            self.layout.unpack, num_parallel_calls=2, deterministic=True
        )
        dataset = dataset.prefetch(2).with_options(self._options())
        if self.repeat == 1:
            dataset.position = position
        return dataset

    def _options(self) -> tf.data.Options:
        options = tf.data.Options()
        # Nothing is left to tune, and the end of a pass waits for the tuner's sleep:
        # for as long as the pass took, at worst.
        options.autotune.enabled = False
        if self.shard is not None:  # tf.distribute must not split it once more
            options.experimental_distribute.auto_shard_policy = (
                tf.data.experimental.AutoShardPolicy.OFF
            )
        return options


def _at_most(dataset: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """The data set, which says that it has `count` elements and may end before.

    `assert_cardinality` would make an error of a pass that leaves batches out. Of
    two data sets, one without an end, the first is chosen always.
    """
    empty = tf.nest.map_structure(
        lambda spec: tf.zeros([size or 0 for size in spec.shape], spec.dtype),
        dataset.element_spec,
    )
    endless = tf.data.Dataset.from_tensors(empty).repeat()
    first = tf.data.Dataset.from_tensors(tf.constant(0, tf.int64)).repeat()
    chosen = tf.data.Dataset.choose_from_datasets(
        [dataset, endless], first, stop_on_empty_dataset=True
    )
    return chosen.take(count)


def _check_shard(owner: str, shard: Any) -> None:
    good = isinstance(shard, (tuple, list)) and len(shard) == 2
    if not good or not all(map(_checks.is_int, shard)) or not 0 <= shard[0] < shard[1]:
        rule = "must be (index, count) with 0 <= index < count"
        raise _checks.argument(owner, "shard", rule, shard)


def pooled(
    blocks: Iterator[Packed], *, batch_size: int, pool_rows: int, random: Random
) -> Iterator[Packed]:
    """Batches of consecutive blocks, permuted within pools of `pool_rows` rows.

    The next pool is made in a thread of its own while this one is consumed.
    """
    for whole in ahead(_pools(blocks, batch_size, pool_rows, random)):
        for start in range(0, len(whole[0]), batch_size):
            stop = start + batch_size
            yield whole[0][start:stop], whole[1][start:stop]


def _pools(
    blocks: Iterator[Packed], batch_size: int, pool_rows: int, random: Random
) -> Iterator[Packed]:
    """Pools of whole batches; what is over goes into the next one."""
    parts: list[Packed] = []
    size = 0
    for block in blocks:
        parts.append(block)
        size += len(block[0])
        if size >= max(pool_rows, batch_size):
            ids, floats = _merge(parts, random)
            full = size - size % batch_size
            parts, size = [(ids[full:].copy(), floats[full:].copy())], size - full
            whole = ids[:full], floats[:full]
            del block, ids, floats
            yield whole
            del whole
    if size:
        yield _merge(parts, random)


def _merge(parts: list[Packed], random: Random) -> Packed:
    """One block of all parts, which it takes out of the list."""
    if random is None and len(parts) == 1:
        return parts.pop()
    rows = sum(len(ids) for ids, _ in parts)
    order = np.arange(rows) if random is None else random.permutation(rows)
    ids, floats = (np.empty((rows, m.shape[1]), m.dtype) for m in parts[0])
    while parts:  # from the end, so that each is freed once it is copied
        part = parts.pop()
        places = order[rows - len(part[0]) : rows]
        ids[places], floats[places] = part
        rows -= len(part[0])
    return ids, floats


def ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The items, each made in a thread while the one before is in use.

    >>> list(ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    with ThreadPoolExecutor(1, thread_name_prefix="tfrec-data") as pool:
        pending = pool.submit(next, items, None)
        while (item := pending.result()) is not None:
            pending = pool.submit(next, items, None)
            yield item
