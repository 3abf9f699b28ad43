"""The items of a catalogue, as the exported graphs hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec import _checks
from tfrec.encoder import IdEncoder
from tfrec.export.pair import pair_id
from tfrec.export.servable import Servable
from tfrec.features import FeatureSpec, wire
from tfrec.features.sources import blocks
from tfrec.models.two_tower import TwoTower

ROWS = 4096


@dataclass(frozen=True, eq=False)
class Vectors:
    """What a nearest-neighbour library takes.

    Args:
        ids: the items' ids, bytes objects or int64, each once.
        vectors: float32, one row an item.
        pair_id: str. Only user vectors of the same pair id may meet these.

    Shapes: `ids` is `(items,)`, `vectors` `(items, dim)`.
    """

    ids: np.ndarray
    vectors: np.ndarray
    pair_id: str


def vectors(model: TwoTower, spec: FeatureSpec, catalogue: Any) -> Vectors:
    """The ids and vectors of a catalogue, from the graph that `item_tower` serves.

    Args:
        model: a `TwoTower`.
        spec: its FeatureSpec, with vocabularies.
        catalogue: one row an item: a DataFrame, a dict of columns, or the path of
            Parquet or CSV files. All vectors are held in memory; `tfrec index
            build` writes them to disk as it goes.

    Raises: `TypeError` on another model; `ValueError` on a missing column, a
    missing or repeated id.
    """
    owner = "export.vectors"
    check_two_tower(owner, model)
    tower = Servable(owner, model.item_tower, spec, {"vector": _float32})
    embed = tower.functions["serving_default"]
    ids, columns = read_items(
        owner, spec, catalogue, model.item_id, tower.encoder.raw_names, embed
    )
    return Vectors(ids, columns["vector"], pair_id(model, spec))


def check_two_tower(owner: str, model: Any) -> None:
    """Raises `TypeError` when `model` is no TwoTower."""
    if not isinstance(model, TwoTower):
        rule = "must be a TwoTower"
        raise _checks.argument(owner, "model", rule, model, kind=TypeError)


def read_items(
    owner: str,
    spec: FeatureSpec,
    catalogue: Any,
    item_id: str,
    names: Sequence[str],
    function: Callable[..., dict[str, tf.Tensor]],
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The ids of a catalogue, and what a function of its raw columns gives.

    Args:
        owner: whom errors name.
        spec: FeatureSpec.
        catalogue: rows, one an item.
        item_id: the column of the ids.
        names: the columns that the function takes, by name.
        function: raw columns -> {name: array}, row by row.

    Raises: `ValueError` on a missing, repeated or unwritable id, or no rows.
    """
    ids, found = [], []
    for arrays in item_blocks(owner, spec, catalogue, [item_id, *names]):
        ids.append(arrays[item_id])
        tensors = {name: tf.constant(arrays[name]) for name in names}
        found.append({name: v.numpy() for name, v in function(**tensors).items()})
    if not ids:
        raise _checks.argument(owner, "catalogue", "must hold an item", 0)
    whole = np.concatenate(ids)
    check_ids(owner, spec, item_id, whole)
    return whole, {
        name: np.concatenate([part[name] for part in found]) for name in found[0]
    }


def item_blocks(
    owner: str, spec: FeatureSpec, catalogue: Any, names: Sequence[str]
) -> Iterator[dict[str, np.ndarray]]:
    """The raw columns of a catalogue, a few thousand rows at a time."""
    raw = list(spec.raw_names(dict.fromkeys(names)))
    for block in blocks(catalogue, spec, raw, block_rows=ROWS, owner=owner):
        if len(next(iter(block.values()))):
            yield wire(spec, block, raw, owner=block.owner)


def check_ids(owner: str, spec: FeatureSpec, item_id: str, ids: np.ndarray) -> None:
    """Raises `ValueError` on an id that is missing, repeated, or breaks a line."""
    missing = padding(spec, item_id)
    if (ids == missing).any():
        row = int(np.flatnonzero(ids == missing)[0])
        rule = "must name an item in every row of the catalogue"
        raise _checks.column(owner, item_id, rule, f"none in row {row}")
    distinct, counts = np.unique(ids, return_counts=True)
    if len(distinct) < len(ids):
        rule = "must name each item of the catalogue once"
        received = f"{distinct[counts > 1][0]!r}, {counts.max()} times"
        raise _checks.column(owner, item_id, rule, received, "Drop duplicate rows.")
    broken = [i for i in ids if b"\n" in i or b"\r" in i] if ids.dtype == object else []
    if broken:
        rule = "must not hold line breaks"
        raise _checks.column(owner, item_id, rule, repr(broken[0]))


def padding(spec: FeatureSpec, name: str) -> Any:
    """The value that means "missing", as it stands in wire arrays."""
    value = spec.padding_of(spec[name])
    return value.encode() if isinstance(value, str) else value


def encoded(encoder: IdEncoder) -> Callable[..., dict[str, tf.Tensor]]:
    """An IdEncoder as a function of its raw columns by name."""
    return tf.function(lambda **features: encoder(features)).get_concrete_function(
        **encoder.signature()
    )


def popularity(spec: FeatureSpec, item_id: str, ids: np.ndarray) -> np.ndarray:
    """Each item's share of the counted rows, float32; 0 where it was not counted.

    A hashed id has no counts: all items are equally popular then.
    """
    column = spec[item_id]
    if column.hash_buckets is not None:
        return np.zeros(len(ids), np.float32)
    counts = spec.vocabulary(column.table_name).counts()
    encoder = IdEncoder(spec, [item_id])
    rows = encoder({item_id: tf.constant(ids)})[item_id].numpy()
    known = np.where(rows >= 2, counts[rows], 0)
    return (known / max(counts.sum(), 1)).astype(np.float32)


def _float32(tensor: tf.Tensor) -> tf.Tensor:
    return tf.cast(tensor, tf.float32)
