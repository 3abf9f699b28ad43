"""FeatureSpec: the ordered columns of a log, its labels, and what was learned."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrec import _checks
from tfrec.features.columns import (
    KINDS,
    Bucketized,
    Categorical,
    Column,
    Numeric,
    Sequence,
    check_padding,
)
from tfrec.features.vocabulary import RESERVED_IDS, Vocabulary

FORMAT = 1


@dataclass(frozen=True)
class Table:
    """A logical embedding table: who looks it up and how large it is.

    Args:
        name: str.
        rows: int. Padding, unknown, then one row a value (or bucket).
        embedding_dim: int.
        sides: the towers that read it: `"user"` (user and context columns),
            `"item"`.
        columns: names of the columns that look it up.
    """

    name: str
    rows: int
    embedding_dim: int
    sides: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class FeatureSpec:
    """What one row of a log holds, and nothing of how it is modelled.

    Args:
        columns: the columns, in the order in which models see them.
        labels: names of the label columns; may be empty (retrieval logs).
        weight: name of the sample-weight column, or None.
        group: name of the column that groups rows for GAUC, or None.
        timestamp: name of the event-time column, or None.
        vocabularies: what `adapt` learned; one for each table that has one.

    Equal specs are interchangeable. JSON both ways: `save`, `load`.
    Raises: `ValueError` that names the column on a bad combination.

    >>> spec = FeatureSpec([Categorical("city", side="user")], labels=["click"])
    >>> spec.names, spec.labels
    (('city',), ('click',))
    """

    columns: tuple[Column, ...]
    labels: tuple[str, ...] = ()
    weight: str | None = None
    group: str | None = None
    timestamp: str | None = None
    vocabularies: tuple[Vocabulary, ...] = ()

    def __post_init__(self) -> None:
        for name in ("columns", "labels", "vocabularies"):
            value = getattr(self, name)
            if not isinstance(value, (list, tuple)):
                raise _checks.argument(
                    self, name, "must be a list or tuple", value, kind=TypeError
                )
            object.__setattr__(self, name, tuple(value))
        for column in self.columns:
            if not isinstance(column, tuple(KINDS.values())):
                wanted = ", ".join(kind.__name__ for kind in KINDS.values())
                raise _checks.argument(
                    self, "columns", f"must hold {wanted}", column, kind=TypeError
                )
        if not self.columns:
            raise _checks.argument(self, "columns", "must not be empty", self.columns)
        self._check_names()
        self._check_references()
        self._check_tables()
        self._check_vocabularies()

    def _check_names(self) -> None:
        for argument in ("weight", "group", "timestamp"):
            value = getattr(self, argument)
            if value is not None:
                _checks.string(self, **{argument: value})
        for label in self.labels:
            _checks.string(self, labels=label)
        targets = (*self.labels, *([self.weight] if self.weight else ()))
        if len(set(targets)) < len(targets):
            rule = "must not repeat each other or `weight`"
            raise _checks.argument(self, "labels", rule, targets, "Drop one.")
        seen: dict[str, str] = {}
        for name in self.names:
            if name.lower() in seen:  # a served signature does not tell case apart
                rule = "must stand once in the spec, upper and lower case being one"
                found = f'"{seen[name.lower()]}" and "{name}"'
                raise _checks.column(self, name, rule, found, "Rename or drop one.")
            seen[name.lower()] = name
        for name in targets:
            if name in self.names:
                rule = "must not be a feature and a label or weight at once"
                raise _checks.column(self, name, rule, "it as both", "Drop one.")

    def _check_references(self) -> None:
        for column in self.columns:
            if not isinstance(column, Sequence):
                continue
            target = self.get(column.of)
            if not isinstance(target, Categorical):
                rule = "must be `of` a Categorical or MultiCategorical of the spec"
                names = [c.name for c in self.columns if isinstance(c, Categorical)]
                found = f'of="{column.of}", the spec has {_checks.quoted(names)}'
                way_out = "Add the column, or correct `of`."
                raise _checks.column(self, column.name, rule, found, way_out)
            check_padding(f'Sequence "{column.name}"', column.padding, target.dtype)

    def _check_tables(self) -> None:
        owners: dict[str, Column] = {}
        for column in self.columns:
            if not isinstance(column, (Categorical, Bucketized)):
                continue
            first = owners.setdefault(column.table_name, column)
            same = ("embedding_dim", "dtype", "hash_buckets", "min_count", "max_size")
            for name in same:
                one, other = getattr(first, name, None), getattr(column, name, None)
                if one != other:
                    rule = f'must agree with "{first.name}" on `{name}`: both look up'
                    rule += f' table "{column.table_name}"'
                    raise _checks.column(
                        self,
                        column.name,
                        rule,
                        f"{name}={other!r} and {name}={one!r}",
                        "Make them equal, or give each its own `table`.",
                    )

    def _check_vocabularies(self) -> None:
        tables = {
            column.table_name: column.dtype
            for column in self.columns
            if isinstance(column, Categorical) and column.hash_buckets is None
        }
        seen = set()
        for vocabulary in self.vocabularies:
            if not isinstance(vocabulary, Vocabulary):
                raise _checks.argument(
                    self,
                    "vocabularies",
                    "must hold Vocabulary objects",
                    vocabulary,
                    kind=TypeError,
                )
            if vocabulary.table in seen:
                raise ValueError(
                    f'FeatureSpec: table "{vocabulary.table}" must have one '
                    "vocabulary. Received: two. Drop one."
                )
            seen.add(vocabulary.table)
            dtype = tables.get(vocabulary.table)
            if dtype is None:
                raise ValueError(
                    f'FeatureSpec: the vocabulary of table "{vocabulary.table}" '
                    "belongs to no column. Received tables: "
                    f"{_checks.quoted(tables)}. Drop it or name the table."
                )
            if dtype != vocabulary.dtype:
                raise ValueError(
                    f'FeatureSpec: the vocabulary of table "{vocabulary.table}" must '
                    f"hold {dtype}. Received: {vocabulary.dtype}."
                )

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return any(column.name == name for column in self.columns)

    def __getitem__(self, name: str) -> Column:
        column = self.get(name)
        if column is None:
            raise KeyError(
                f'FeatureSpec: no column "{name}". Received columns: '
                f"{_checks.quoted(self.names)}.{_checks.closest(name, self.names)}"
            )
        return column

    def get(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return next((c for c in self.columns if c.name == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def source(self, column: Column) -> Categorical | None:
        """The Categorical that says how `column`'s raw values are looked up."""
        if isinstance(column, Sequence):
            column = self[column.of]
        return column if isinstance(column, Categorical) else None

    def table_of(self, column: Column) -> str | None:
        """Name of the table that `column` looks up; None for numbers."""
        if isinstance(column, Bucketized):
            return column.table_name
        source = self.source(column)
        return source.table_name if source is not None else None

    def padding_of(self, column: Column) -> str | int | None:
        """The raw value that means "missing" in `column`; None for numbers."""
        source = self.source(column)
        if source is None:
            return None
        own = getattr(column, "padding", None)
        if own is None:
            own = source.padding
        return own if own is not None else ("" if source.dtype == "string" else -1)

    def vocabulary(self, table: str) -> Vocabulary:
        """The table's vocabulary.

        Raises: `ValueError` when it was not learned yet.
        """
        for vocabulary in self.vocabularies:
            if vocabulary.table == table:
                return vocabulary
        raise ValueError(
            f'FeatureSpec: table "{table}" has no vocabulary yet. Received '
            f"vocabularies: {_checks.quoted(v.table for v in self.vocabularies)}. "
            "Learn them with `spec = spec.adapt(rows, directory)`."
        )

    @property
    def tables(self) -> dict[str, Table]:
        """The logical tables by name, in order of their first column.

        Raises: `ValueError` when a vocabulary or boundaries are not learned yet.
        """
        found: dict[str, Table] = {}
        for column in self.columns:
            name = self.table_of(column)
            if name is None:
                continue
            side = "item" if column.side == "item" else "user"
            if name not in found:
                owner = (
                    column if isinstance(column, Bucketized) else self.source(column)
                )
                dim = owner.embedding_dim  # type: ignore[union-attr]
                found[name] = Table(name, self._rows(name, owner), dim, (side,), ())
            table = found[name]
            found[name] = dataclasses.replace(
                table,
                sides=tuple(sorted({*table.sides, side}, reverse=True)),
                columns=(*table.columns, column.name),
            )
        return found

    def _rows(self, table: str, owner: Any) -> int:
        if isinstance(owner, Bucketized):
            if owner.boundaries is None:
                raise self._not_adapted(owner.name, "boundaries")
            return len(owner.boundaries) + 1 + RESERVED_IDS
        if owner.hash_buckets is not None:
            return owner.hash_buckets + RESERVED_IDS
        return self.vocabulary(table).rows

    def _not_adapted(self, name: str, what: str) -> Exception:
        return _checks.column(
            self,
            name,
            f"needs its {what}",
            "none",
            "Learn them with `spec = spec.adapt(rows, directory)`.",
        )

    def check_adapted(self) -> None:
        """Raises `ValueError` when a vocabulary or a statistic is missing."""
        _ = self.tables
        for column in self.columns:
            if isinstance(column, Numeric) and not column.adapted:
                raise self._not_adapted(column.name, "scaling statistics")

    def select(self, names: Iterable[str]) -> FeatureSpec:
        """The spec of these columns only, in the spec's order.

        Raises: `ValueError` on an unknown name, or when a Sequence loses the
        column that it is `of`.
        """
        names = set(names)
        for name in sorted(names - set(self.names)):
            way_out = _checks.closest(name, self.names).strip()
            found = _checks.quoted(self.names)
            raise _checks.column(self, name, "must be in the spec", found, way_out)
        columns = tuple(column for column in self.columns if column.name in names)
        tables = {
            column.table_name for column in columns if isinstance(column, Categorical)
        }
        kept = tuple(v for v in self.vocabularies if v.table in tables)
        return dataclasses.replace(self, columns=columns, vocabularies=kept)

    def without(self, *names: str) -> FeatureSpec:
        """The spec without these columns; raises as `select` does."""
        self.select({*self.names, *names})
        return self.select(set(self.names) - set(names))

    def adapt(self, rows: Any, directory: str | os.PathLike[str]) -> FeatureSpec:
        """Learns vocabularies, scaling statistics and quantiles in one pass.

        Args:
            rows: a DataFrame, a dict of columns, a pyarrow table, the path of a
                Parquet or CSV file, folder or glob, or a list of such paths.
            directory: where the vocabulary files are written.

        Every value that `Categorical` and `MultiCategorical` columns hold is
        counted; those of a `Sequence` are not. What an earlier `adapt` learned is
        learned anew, but boundaries that are there stay.

        Returns: a new spec that holds what was learned.
        Raises: `ValueError` that names the column; nothing is written then.
        """
        from tfrec.features.adapt import adapt

        return adapt(self, rows, directory)

    def to_json(self) -> str:
        """The spec as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def to_dict(self, folder: str | os.PathLike[str] | None = None) -> dict[str, Any]:
        """The spec as plain data; vocabulary paths relative to `folder`."""
        document: dict[str, Any] = {"format": FORMAT, "columns": []}
        for column in self.columns:
            entry: dict[str, Any] = {"kind": column.kind, "name": column.name}
            for field in dataclasses.fields(column):
                value = getattr(column, field.name)
                if field.name == "side" or value != field.default:
                    entry[field.name] = list(value) if type(value) is tuple else value
            document["columns"].append(entry)
        document["labels"] = list(self.labels)
        for name in ("weight", "group", "timestamp"):
            document[name] = getattr(self, name)
        document["vocabularies"] = [
            {
                **dataclasses.asdict(vocabulary),
                "file": (
                    Path(os.path.relpath(vocabulary.file, folder)).as_posix()
                    if folder is not None and vocabulary.file
                    else vocabulary.file
                ),
            }
            for vocabulary in self.vocabularies
        ]
        return document

    @classmethod
    def from_json(
        cls, document: str | Mapping[str, Any], folder: str | os.PathLike[str] = ""
    ) -> FeatureSpec:
        """Reads what `to_json` wrote; vocabulary paths are relative to `folder`.

        Raises: `ValueError` on unknown or missing keys, kinds or formats.
        """
        if isinstance(document, str):
            try:
                document = json.loads(document)
            except json.JSONDecodeError as error:
                raise ValueError(f"FeatureSpec: not JSON: {error}") from error
        if not isinstance(document, Mapping):
            raise _checks.argument(cls, "document", "must be an object", document)
        fields = {field.name for field in dataclasses.fields(cls)} | {"format"}
        _check_keys("FeatureSpec", document, fields)
        if document.get("format") != FORMAT:
            raise _checks.argument(
                cls, "format", f"must be {FORMAT}", document.get("format")
            )
        parts: dict[str, Any] = {
            key: value for key, value in document.items() if key != "format"
        }
        for key in ("columns", "labels", "vocabularies"):
            if not isinstance(parts.setdefault(key, []), (list, tuple)):
                raise _checks.argument(cls, key, "must be a list", parts[key])
        parts["columns"] = [_column(entry) for entry in parts["columns"]]
        parts["vocabularies"] = [
            _vocabulary(entry, folder) for entry in parts["vocabularies"]
        ]
        return cls(**parts)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the spec as JSON; vocabulary paths relative to the file."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        text = json.dumps(self.to_dict(folder=path.parent), indent=2)
        partial.write_text(text + "\n", encoding="utf-8")
        os.replace(partial, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FeatureSpec:
        """Reads what `save` wrote and checks that the vocabularies are the same.

        Raises: `ValueError` on a bad document or a changed vocabulary file;
        `FileNotFoundError`.
        """
        path = Path(path)
        spec = cls.from_json(path.read_text(encoding="utf-8"), path.parent)
        for vocabulary in spec.vocabularies:
            vocabulary.verify()
        return spec


def _column(entry: Any) -> Column:
    if not isinstance(entry, Mapping) or entry.get("kind") not in list(KINDS):
        kind = entry.get("kind") if isinstance(entry, Mapping) else entry
        rule = "must be one of " + ", ".join(repr(kind) for kind in KINDS)
        raise _checks.argument("FeatureSpec", "kind", rule, kind)
    kind = KINDS[entry["kind"]]
    owner = f'{kind.__name__} "{entry.get("name", "")}"'
    arguments = {key: value for key, value in entry.items() if key != "kind"}
    _check_fields(owner, kind, arguments)
    for key, value in arguments.items():
        if isinstance(value, list):
            arguments[key] = tuple(value)
    return kind(**arguments)


def _vocabulary(entry: Any, folder: str | os.PathLike[str]) -> Vocabulary:
    owner = "FeatureSpec vocabulary"
    if not isinstance(entry, Mapping):
        rule = "must hold objects"
        raise _checks.argument("FeatureSpec", "vocabularies", rule, entry)
    _check_fields(owner, Vocabulary, entry)
    file = entry.get("file", "")
    _ = Vocabulary(**entry)
    if file:
        file = os.path.normpath(os.path.join(folder, file))
    return Vocabulary(**{**entry, "file": file})


def _check_fields(owner: str, kind: Any, document: Mapping[str, Any]) -> None:
    """The document has the fields of a dataclass: no other, none missing."""
    fields = dataclasses.fields(kind)
    _check_keys(owner, document, {field.name for field in fields})
    for field in fields:
        if field.default is dataclasses.MISSING and field.name not in document:
            raise ValueError(
                f'{owner}: key "{field.name}" is missing. Received keys: '
                f"{_checks.quoted(document)}. Add it."
            )


def _check_keys(owner: str, document: Mapping[str, Any], known: set[str]) -> None:
    for key in document:
        if key not in known:
            raise ValueError(
                f'{owner}: unknown key "{key}". Received keys: '
                f"{_checks.quoted(document)}.{_checks.closest(key, known)}"
            )
