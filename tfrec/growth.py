"""Fits a trained model to a spec that has grown, and sets rows by value."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tfrec import _checks
from tfrec.embeddings import EmbeddingTable
from tfrec.features import FeatureSpec, Vocabulary
from tfrec.features.vocabulary import RESERVED_IDS, UNKNOWN_ID
from tfrec.models.dssm import item_log_q
from tfrec.models.two_tower import TwoTower, packed

# Which logical table stands at which index of a physical one.
Places = dict[EmbeddingTable, dict[int, str]]


def extend(
    model: keras.Model, old_spec: FeatureSpec, new_spec: FeatureSpec
) -> keras.Model:
    """The same model with tables as long as `new_spec` says; training goes on.

    Old rows and their optimizer slots keep every bit, so predictions on values that
    `old_spec` knows do too. A new row starts as the unknown row, from which the
    value was read so far, and its slots as the optimizer starts them (a moving
    average of weights: as that of the unknown row). All other weights and slots,
    the draws of random layers, the learning rate, the count of steps and what
    `compile` was given stay. `log_q` of a `TwoTower` is computed anew from the
    counts of `new_spec`.

    The model is made again from its configuration: layers, losses and metrics must
    be ones that `keras.models.load_model` would find. Old and new model are in
    memory together until the old one is dropped.

    Args:
        model: a `TwoTower` or a functional `keras.Model`, compiled or not, in
            which columns go straight into an `EmbeddingTable`.
        old_spec: the FeatureSpec that the model was made from or fitted to.
        new_spec: what `old_spec.extend` returned, on one day or day after day.

    Returns: a new model; the old one is left as it is.
    Raises: `ValueError` when `new_spec` does not extend `old_spec`, the model does
    not have the tables of `old_spec` or cannot be made again; `TypeError` on
    arguments of another kind.

    >>> import tempfile
    >>> from tfrec.features import Categorical
    >>> from tfrec.models import deepfm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     spec = FeatureSpec([Categorical("city", side="user")])
    ...     spec = spec.adapt({"city": ["Rome", "Oslo"]}, f"{folder}/1")
    ...     new_spec = spec.extend({"city": ["Lima"]}, f"{folder}/2")
    ...     model = extend(deepfm(spec), spec, new_spec)
    >>> model.get_layer("embeddings_user_16").rows
    (5,)
    """
    owner = "extend"
    _check_model(owner, model)
    _check_extends(owner, old_spec, new_spec)
    places = _places(owner, model, old_spec)
    _check_looked_up(owner, model, old_spec, new_spec, places)
    moves = {
        layer: _moves(layer, reads, new_spec)
        for layer, reads in places.items()
        if any(
            new_spec.tables[t].rows != old_spec.tables[t].rows for t in reads.values()
        )
    }
    rows: dict[str, tuple[int, ...]] = {}
    for layer, parts in moves.items():
        grown = tuple(part.rows for part in parts)
        if rows.setdefault(layer.name, grown) != grown:
            rule = f'must not have two tables called "{layer.name}"'
            raise _checks.argument(owner, "model", rule, model.name)
    config = _with_rows(model.get_config(), rows)
    log_q = isinstance(model, TwoTower) and model.num_items is not None
    if log_q:
        counted = item_log_q(owner, new_spec, model.item_id)
        config["log_q"] = packed(counted)
    new = type(model).from_config(config)
    new.dtype_policy = model.dtype_policy  # a functional model does not save its own
    _check_same(owner, model, new)
    tables = {id(layer.table): parts for layer, parts in moves.items()}
    for old_variable, variable in zip(model.variables, new.variables, strict=True):
        variable.trainable = old_variable.trainable
        if log_q and old_variable is model.log_q:
            variable.assign(counted)
        elif id(old_variable) in tables:
            moved = _moved(old_variable, variable, tables[id(old_variable)], True)
            variable.assign(moved)
        else:
            variable.assign(old_variable.value)
    if model.compiled:
        _compile_like(owner, model, new, moves)
    return new


class Assigned(NamedTuple):
    """What `assign_rows` could not pair.

    missing: values of the vocabulary that were given no vector, by id.
    unknown: values with a vector that the vocabulary lacks, in their order.
    """

    missing: list[Any]
    unknown: list[Any]


def assign_rows(
    model: keras.Model,
    spec: FeatureSpec,
    table: str,
    vectors: Mapping[Any, Any] | str | os.PathLike[str],
) -> Assigned:
    """Sets rows of a table, found by value and never by position.

    The rows of the values are overwritten in place in every `EmbeddingTable` of the
    model that holds the table at the vectors' width; other rows and the optimizer's
    slots stay as they are.

    Args:
        model: as in `extend`.
        spec: the FeatureSpec that the model was made from or fitted to.
        table: name of a table with a vocabulary (a column's name, where it has no
            `table` of its own).
        vectors: `{value: vector}`, or the path of a file: `.npz` with the arrays
            `values` `(n,)` and `vectors` `(n, dim)`, or `.parquet` with one column of
            values and one of lists.

    Returns: `Assigned(missing, unknown)`.
    Raises: `ValueError` on an unknown table, values of another type or twice, a
    vector of another width or with NaN; nothing is set then.
    """
    owner = "assign_rows"
    _check_model(owner, model)
    _check_spec(owner, spec=spec)
    if table not in spec.tables:
        hint = _checks.closest(table, spec.tables).strip()
        way_out = hint or f"The spec has {_checks.quoted(spec.tables)}."
        raise _checks.argument(owner, "table", "must be in the spec", table, way_out)
    vocabulary = next((v for v in spec.vocabularies if v.table == table), None)
    if vocabulary is None:
        rule = "must have a vocabulary: hashed values and buckets have no row each"
        raise _checks.argument(owner, "table", rule, table)
    values, matrix = _read_vectors(owner, vectors)
    _check_values(owner, values, vocabulary)
    holders = [
        (layer, index)
        for layer, reads in _places(owner, model, spec).items()
        for index, name in reads.items()
        if name == table
    ]
    widths = sorted({layer.embedding_dim for layer, _ in holders})
    if matrix.shape[1] not in widths:
        rule = (
            f'must be as wide as table "{table}" in the model, {widths or "not there"}'
        )
        raise _checks.argument(owner, "vectors", rule, matrix.shape[1])
    vocabulary.verify()
    known = {value: row for row, value in enumerate(vocabulary.values(), RESERVED_IDS)}
    inside = [place for place, value in enumerate(values) if value in known]
    ids = np.array([known[values[place]] for place in inside], np.int64)
    for layer, index in holders:
        if layer.embedding_dim == matrix.shape[1] and len(ids):
            rows = np.array(layer.table.numpy())
            first = sum(layer.rows[:index])
            rows[first + ids, : layer.embedding_dim] = matrix[inside]
            layer.table.assign(rows)
    given = set(values)
    return Assigned(
        [value for value in known if value not in given],
        [value for value in values if value not in known],
    )


def _check_model(owner: str, model: Any) -> None:
    if not isinstance(model, keras.Model) or not next(_graphs(model), None):
        rule = "must be a TwoTower or a functional keras.Model"
        raise _checks.argument(owner, "model", rule, model, kind=TypeError)


def _check_spec(owner: str, **specs: Any) -> None:
    for name, spec in specs.items():
        if not isinstance(spec, FeatureSpec):
            rule = "must be a FeatureSpec"
            raise _checks.argument(owner, name, rule, spec, kind=TypeError)
        spec.check_adapted()


def _check_extends(owner: str, old: FeatureSpec, new: FeatureSpec) -> None:
    """Same columns, and each vocabulary begins with the old one."""
    _check_spec(owner, old_spec=old, new_spec=new)
    way_out = "Make it with `new_spec = old_spec.extend(rows, directory)`."
    if new.names != old.names:
        rule = f"must have the columns of `old_spec`, {_checks.quoted(old.names)}"
        raise _checks.argument(owner, "new_spec", rule, list(new.names), way_out)
    for column, other in zip(old, new, strict=True):
        if column != other:
            rule = "must be the same in `old_spec` and `new_spec`"
            found = f"{other} in `new_spec`"
            raise _checks.column(owner, column.name, rule, found, way_out)
    for vocabulary in old.vocabularies:
        grown = new.vocabulary(vocabulary.table)
        if grown == vocabulary:
            continue
        vocabulary.verify()
        grown.verify()
        before = Path(vocabulary.file).read_bytes()
        if not Path(grown.file).read_bytes().startswith(before):
            pairs = zip(vocabulary.values(), grown.values(), strict=False)
            first = next(((o, n) for o, n in pairs if o != n), None)
            found = f"{grown.size} values, `old_spec` has {vocabulary.size}"
            if first is not None:
                found = f"{first[1]!r} where `old_spec` has {first[0]!r}"
            rule = "must have the values of `old_spec`, in their order, before others"
            name = old.tables[vocabulary.table].columns[0]
            raise _checks.column(owner, name, rule, found, way_out)


def _graphs(model: keras.Model) -> Iterator[keras.Model]:
    """The functional models in a model, itself among them."""
    if getattr(model, "inputs", None):
        yield model
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _graphs(layer)


def _places(owner: str, model: keras.Model, spec: FeatureSpec) -> Places:
    """What the graph says: the columns that each part of a table is read for."""
    places: Places = {}
    for graph in _graphs(model):
        layers = {layer.name: layer for layer in graph.layers}
        for entry in graph.get_config().get("layers", ()):
            layer = layers.get(entry["name"])
            if not isinstance(layer, EmbeddingTable):
                continue
            reads = places.setdefault(layer, {})
            for node in entry["inbound_nodes"]:
                names, indices = _call(node)
                for name, index in zip(names, indices, strict=True):
                    table = spec.table_of(spec[name]) if name in spec else None
                    if table is None or reads.setdefault(index, table) != table:
                        rule = "must be a column of the spec that looks up its table"
                        found = f'it in part {index} of "{layer.name}"'
                        raise _checks.column(owner, name, rule, found)
    for layer, reads in places.items():
        for index, name in reads.items():
            table = spec.tables[name]
            if layer.rows[index] != table.rows:
                rule = f"must have {table.rows} rows in the model, as in the spec"
                found = f'{layer.rows[index]} in "{layer.name}"'
                way_out = "Pass the spec that the model was made from or fitted to."
                raise _checks.column(owner, table.columns[0], rule, found, way_out)
    return places


def _call(node: Mapping[str, Any]) -> tuple[list[str], list[int]]:
    """Names of the layers that one call of an EmbeddingTable reads, and `tables`."""
    args, kwargs = list(node["args"]), node["kwargs"]
    inputs = kwargs["inputs"] if "inputs" in kwargs else args.pop(0)
    tables = kwargs["tables"] if "tables" in kwargs else args.pop(0)
    return [one["config"]["keras_history"][0] for one in inputs], list(tables)


def _check_looked_up(
    owner: str,
    model: keras.Model,
    old: FeatureSpec,
    new: FeatureSpec,
    places: Places,
) -> None:
    """Each table that grows and that an input belongs to is one that can grow."""
    held = {table for reads in places.values() for table in reads.values()}
    names = {tensor.name for graph in _graphs(model) for tensor in graph.inputs}
    for table in old.tables.values():
        inputs = [name for name in table.columns if name in names]
        if new.tables[table.name].rows != table.rows and inputs:
            if table.name not in held:
                rule = "must be looked up in an EmbeddingTable, else it cannot grow"
                found = f'another use in "{model.name}"'
                raise _checks.column(owner, inputs[0], rule, found)


class _Move(NamedTuple):
    """One logical table: where it stood and stands, how long it was and is."""

    old_start: int
    start: int
    old_rows: int
    rows: int


def _moves(
    layer: EmbeddingTable, reads: Mapping[int, str], spec: FeatureSpec
) -> tuple[_Move, ...]:
    """All parts of a physical table; one that nothing reads stays as it is."""
    moves, old_start, start = [], 0, 0
    for index, old_rows in enumerate(layer.rows):
        rows = spec.tables[reads[index]].rows if index in reads else old_rows
        moves.append(_Move(old_start, start, old_rows, rows))
        old_start, start = old_start + old_rows, start + rows
    return tuple(moves)


def _moved(
    old: Any, new: Any, moves: tuple[_Move, ...], like_unknown: bool
) -> np.ndarray:
    """`new` with the rows of `old`; the others as the unknown row, or as they are."""
    source, result = old.numpy(), np.array(new.numpy())
    for move in moves:
        end = move.start + move.old_rows
        part = source[move.old_start : move.old_start + move.old_rows]
        result[move.start : end] = part
        if like_unknown:
            result[end : move.start + move.rows] = part[UNKNOWN_ID]
    return result


def _with_rows(config: Any, rows: Mapping[str, tuple[int, ...]]) -> Any:
    """A copy of a model's configuration with other `rows` of its tables, by name."""
    if isinstance(config, (list, tuple)):
        return type(config)(_with_rows(one, rows) for one in config)
    if not isinstance(config, dict):
        return config
    config = {key: _with_rows(value, rows) for key, value in config.items()}
    name = keras.saving.get_registered_name(EmbeddingTable)
    inner = config.get("config")
    if config.get("registered_name") == name and inner["name"] in rows:
        inner["rows"] = rows[inner["name"]]
    return config


def _check_same(owner: str, old: keras.Model, new: keras.Model) -> None:
    """The model made again has the same variables, but for numbered names."""

    def described(model: keras.Model) -> list[tuple[str, int]]:
        return [
            (re.sub(r"_\d+(?=/|$)", "", variable.path), len(variable.shape))
            for variable in model.variables
        ]

    if described(old) != described(new):
        rule = "must have the same variables when it is made from its configuration"
        way_out = "Check `get_config` of its layers."
        raise _checks.argument(owner, "model", rule, old.name, way_out)


def _compile_like(
    owner: str,
    old: keras.Model,
    new: keras.Model,
    moves: Mapping[EmbeddingTable, tuple[_Move, ...]],
) -> None:
    """Compiles as the old model was and moves the optimizer's variables."""
    settings = keras.saving.deserialize_keras_object(old.get_compile_config())
    scaled = isinstance(old.optimizer, keras.optimizers.LossScaleOptimizer)
    new.compile(**settings, auto_scale_loss=scaled)
    if old.optimizer is None or not old.optimizer.built:
        return
    new.optimizer.build(new.trainable_variables)
    before, after = old.optimizer.variables, new.optimizer.variables
    names = [[variable.name for variable in side] for side in (before, after)]
    if names[0] != names[1]:
        rule = "must have an optimizer of its own trainable weights"
        way_out = "Compile it again after a change of `trainable`."
        found = f"{len(names[0])} slots, {len(names[1])} are needed"
        raise _checks.argument(owner, "model", rule, found, way_out)
    inner = getattr(old.optimizer, "inner_optimizer", old.optimizer)
    waiting = [len(ids.numpy()) for ids, _ in getattr(inner, "waiting", {}).values()]
    if any(waiting):
        rule = "must not be in the middle of an accumulation of gradients"
        way_out = "Fit on until the next update."
        found = f"{sum(waiting)} rows that wait"
        raise _checks.argument(owner, "model", rule, found, way_out)
    for slot, variable in zip(before, after, strict=True):
        if slot.shape == variable.shape:
            variable.assign(slot.value)
            continue
        average = bool(inner.use_ema) and slot.name.endswith("_average")
        parts = _moves_of(owner, slot, variable, moves)
        variable.assign(_moved(slot, variable, parts, average))


def _moves_of(
    owner: str,
    slot: Any,
    variable: Any,
    moves: Mapping[EmbeddingTable, tuple[_Move, ...]],
) -> tuple[_Move, ...]:
    """The moves of the table that a slot belongs to: by its name, else its length."""
    fitting = {
        layer.table.path.replace("/", "_"): parts
        for layer, parts in moves.items()
        if slot.shape[0] == sum(part.old_rows for part in parts)
        and variable.shape[0] == sum(part.rows for part in parts)
    }
    named = {parts for path, parts in fitting.items() if slot.name.startswith(path)}
    found = named or set(fitting.values())
    if len(found) != 1:
        rule = f"has an optimizer variable that is no table's slot, {slot.name!r}"
        raise _checks.argument(owner, "model", rule, tuple(slot.shape))
    return found.pop()


def _read_vectors(owner: str, vectors: Any) -> tuple[list[Any], np.ndarray]:
    """The values and their vectors, `(n, dim)` float32."""
    if isinstance(vectors, Mapping):
        values, rows = list(vectors), list(vectors.values())
    elif isinstance(vectors, (str, os.PathLike)):
        values, rows = _read_file(owner, Path(vectors))
    else:
        rule = "must be a {value: vector} mapping or a path"
        raise _checks.argument(owner, "vectors", rule, vectors, kind=TypeError)
    if not values:
        raise _checks.argument(owner, "vectors", "must not be empty", vectors)
    matrix = np.empty((0, 0), np.float32)
    for place, (value, row) in enumerate(zip(values, rows, strict=True)):
        vector = _vector(row)
        if not place:
            matrix = np.empty((len(values), vector.size), np.float32)
        if vector.ndim != 1 or not vector.size or vector.shape != matrix.shape[1:]:
            rule = "must be a vector of numbers, as wide as the first"
        elif not np.isfinite(vector).all():
            rule = "must hold finite float32 numbers"
        else:
            matrix[place] = vector
            continue
        raise _checks.argument(owner, f"vectors[{value!r}]", rule, row)
    return values, matrix


def _vector(row: Any) -> np.ndarray:
    """The numbers as float32; no vector where they are none."""
    try:
        with np.errstate(over="ignore"):  # becomes infinite, which is refused
            return np.asarray(row, np.float32)
    except (TypeError, ValueError):
        return np.empty(())


def _read_file(owner: str, path: Path) -> tuple[list[Any], Any]:
    if path.suffix == ".npz":
        try:
            with np.load(path) as file:
                values, rows = file["values"], file["vectors"]
        except (KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
            rule = f"must hold plain arrays `values` and `vectors`: {error}"
            raise _checks.argument(owner, "vectors", rule, str(path)) from error
        if values.ndim != 1 or rows.ndim != 2 or len(values) != len(rows):
            rule = "must hold `values` (n,) and `vectors` (n, dim)"
            found = f"{values.shape} and {rows.shape} in {str(path)!r}"
            raise _checks.argument(owner, "vectors", rule, found)
        return values.tolist(), rows
    if path.suffix not in (".parquet", ".pq"):
        rule = "must be a .npz or .parquet file"
        raise _checks.argument(owner, "vectors", rule, str(path))
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        read = pq.read_table(path)
    except pa.ArrowInvalid as error:
        rule = f"must be a Parquet file that can be read: {error}"
        raise _checks.argument(owner, "vectors", rule, str(path)) from error
    lists = [f.name for f in read.schema if pa.types.is_nested(f.type)]
    others = [name for name in read.schema.names if name not in lists]
    if len(lists) != 1 or len(others) != 1:
        rule = "must have one column of values and one of lists"
        raise _checks.argument(owner, "vectors", rule, list(read.schema.names))
    return read[others[0]].to_pylist(), read[lists[0]].to_pylist()


def _check_values(owner: str, values: list[Any], vocabulary: Vocabulary) -> None:
    """Values of the vocabulary's type, each once."""
    seen = set()
    for value in values:
        if vocabulary.dtype == "string":
            fits = isinstance(value, str)
        else:
            fits = _checks.is_int(value)
        if not fits or value in seen:
            rule = f"must have {vocabulary.dtype} values, each once"
            raise _checks.argument(owner, "vectors", rule, value)
        seen.add(value)
