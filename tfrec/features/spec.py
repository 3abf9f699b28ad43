"""FeatureSpec: the ordered columns of a log, its labels, and what was learned."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrec import _checks
from tfrec.features import spec_checks, spec_json
from tfrec.features.columns import (
    KINDS,
    Bucketized,
    Categorical,
    Column,
    Crossed,
    MultiCategorical,
    Numeric,
    NumericSequence,
    Sequence,
    half,
)
from tfrec.features.vocabulary import RESERVED_IDS, Vocabulary


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
        trainable: False: its rows never change.
    """

    name: str
    rows: int
    embedding_dim: int
    sides: tuple[str, ...]
    columns: tuple[str, ...]
    trainable: bool = True


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
        spec_checks.check_names(self)
        spec_checks.check_references(self)
        spec_checks.check_tables(self)
        spec_checks.check_vocabularies(self)

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

    def raw_names(self, names: Iterable[str] | None = None) -> tuple[str, ...]:
        """The columns that rows must hold for these (None: all) to be encoded.

        A crossed column is made of those it crosses; one that goes along another
        needs that one too.
        """
        needed: dict[str, None] = {}
        for name in self.names if names is None else names:
            column = self[name]
            if isinstance(column, Crossed):
                needed.update(dict.fromkeys(column.of))
            else:
                along = getattr(column, "along", None)
                needed.update(dict.fromkeys([name, along or name]))
        return tuple(needed)

    def source(self, column: Column) -> Categorical | Bucketized | None:
        """The column that says how `column`'s raw values become ids, if they do."""
        if isinstance(column, Sequence):
            column = self[column.of]
        return column if isinstance(column, (Categorical, Bucketized)) else None

    def table_of(self, column: Column) -> str | None:
        """Name of the table that `column` looks up; None for numbers."""
        source = column if isinstance(column, Crossed) else self.source(column)
        return source.table_name if source is not None else None

    def padding_of(self, column: Column) -> str | int | float | None:
        """The raw value that means "missing" in `column`; NaN for numbers."""
        source = self.source(column)
        if not isinstance(source, Categorical):
            return math.nan
        own = getattr(column, "padding", None)
        if own is None:
            own = source.padding
        return own if own is not None else ("" if source.dtype == "string" else -1)

    def width(self, column: Column) -> int | None:
        """How many values an encoded row has; None: one, and no axis for it."""
        if isinstance(column, NumericSequence):
            return self.width(self[column.along])
        if isinstance(column, (MultiCategorical, Sequence)):
            return column.max_length
        return column.shape[0] if isinstance(column, Numeric) and column.shape else None

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
        self.check_sizes()
        return self.known_tables()

    def check_sizes(self) -> None:
        """Raises `ValueError` when a vocabulary or boundaries are not learned yet."""
        for column in self.columns:
            name = self.table_of(column)
            if name is not None:
                self._rows(name, self.source(column) or column)

    def known_tables(self) -> dict[str, Table]:
        """`tables` without those whose size is not learned yet."""
        found: dict[str, Table] = {}
        for column in self.columns:
            name = self.table_of(column)
            if name is None:
                continue
            side = half(column)
            if name not in found:
                owner: Any = self.source(column) or column
                try:
                    dim, rows = owner.embedding_dim, self._rows(name, owner)
                except ValueError:
                    continue
                trainable = getattr(owner, "trainable", True)
                found[name] = Table(name, rows, dim, (side,), (), trainable)
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
        self.check_sizes()
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
        counted, of a list the newest `max_length`; those of a `Sequence` are not.
        What an earlier `adapt` learned is learned anew, but boundaries that are
        there stay.

        Returns: a new spec that holds what was learned.
        Raises: `ValueError` that names the column; nothing is written then.
        """
        from tfrec.features.adapt import adapt

        return adapt(self, rows, directory)

    def extend(self, rows: Any, directory: str | os.PathLike[str]) -> FeatureSpec:
        """Adds to the vocabularies what new rows hold, in one pass.

        Values that are there keep their ids, and their counts grow. Values that a
        vocabulary lacks get the ids behind them, most frequent first, ties in order
        of the value: those that the new rows alone hold `min_count` times, and as
        many as `max_size` leaves room for. What was learned of numbers (scaling,
        boundaries) stays as it is, hashed columns have nothing to learn, and a
        column with a `vocabulary` of its own is only counted.

        Args:
            rows: as in `adapt`; the new rows only.
            directory: where the new vocabulary files are written, one of its own:
                the files of this spec are neither changed nor needed by the new.

        Returns: a new spec; `tfrec.extend` fits a trained model to it.
        Raises: `ValueError` when this spec is not adapted, its files have changed or
        the directory holds vocabularies already, and as `adapt` does; nothing is
        written then.
        """
        from tfrec.features.extend import extend

        return extend(self, rows, directory)

    def to_json(self) -> str:
        """The spec as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def to_dict(self, folder: str | os.PathLike[str] | None = None) -> dict[str, Any]:
        """The spec as plain data; vocabulary paths relative to `folder`."""
        return spec_json.to_document(self, folder)

    @classmethod
    def from_json(
        cls, document: str | Mapping[str, Any], folder: str | os.PathLike[str] = ""
    ) -> FeatureSpec:
        """Reads what `to_json` wrote; vocabulary paths are relative to `folder`.

        Raises: `ValueError` on unknown or missing keys, kinds or formats.
        """
        return cls(**spec_json.arguments_of(cls, document, folder))

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
