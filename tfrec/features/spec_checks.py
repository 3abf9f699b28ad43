"""What a FeatureSpec refuses to be made of; each check raises `ValueError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfrec import _checks
from tfrec.features.columns import (
    Bucketized,
    Categorical,
    Column,
    Crossed,
    MultiCategorical,
    NumericSequence,
    Sequence,
    check_padding,
    half,
)
from tfrec.features.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tfrec.features.spec import FeatureSpec

# What columns that look up one table must agree on.
SAME_IN_A_TABLE = (
    "embedding_dim",
    "dtype",
    "hash_buckets",
    "min_count",
    "max_size",
    "vocabulary",
    "trainable",
)


def check_names(spec: FeatureSpec) -> None:
    """Names of labels, weight, group and time, and of columns, stand once each."""
    for argument in ("weight", "group", "timestamp"):
        value = getattr(spec, argument)
        if value is not None:
            _checks.string(spec, **{argument: value})
    for label in spec.labels:
        _checks.string(spec, labels=label)
    targets = (*spec.labels, *([spec.weight] if spec.weight else ()))
    if len(set(targets)) < len(targets):
        rule = "must not repeat each other or `weight`"
        raise _checks.argument(spec, "labels", rule, targets, "Drop one.")
    seen: dict[str, str] = {}
    for name in spec.names:
        if name.lower() in seen:  # a served signature does not tell case apart
            rule = "must stand once in the spec, upper and lower case being one"
            found = f'"{seen[name.lower()]}" and "{name}"'
            raise _checks.column(spec, name, rule, found, "Rename or drop one.")
        seen[name.lower()] = name
    for name in targets:
        if name in spec.names:
            rule = "must not be a feature and a label or weight at once"
            raise _checks.column(spec, name, rule, "it as both", "Drop one.")


def check_references(spec: FeatureSpec) -> None:
    """What a column names is there, of the kind and with the sides it needs."""
    for column in spec.columns:
        if isinstance(column, Sequence):
            target = _refers(spec, column, "of", (Categorical, Bucketized))
            dtype = getattr(target, "dtype", "")
            if dtype:
                check_padding(f'Sequence "{column.name}"', column.padding, dtype)
        if isinstance(column, (Sequence, NumericSequence)) and column.along:
            _check_along(spec, column)
        if isinstance(column, MultiCategorical) and column.weights:
            weights = _refers(spec, column, "weights", (NumericSequence,))
            if weights.along != column.name:
                rule = f'must be along "{column.name}", whose weights they are'
                found = f'along="{weights.along}"'
                raise _checks.column(spec, weights.name, rule, found)
        if isinstance(column, Crossed):
            _check_crossed(spec, column)


def _refers(
    spec: FeatureSpec,
    column: Column,
    argument: str,
    kinds: tuple[type, ...],
    name: str = "",
) -> Any:
    """The column that an argument names, of one of these kinds."""
    name = name or getattr(column, argument)
    target = spec.get(name)
    if isinstance(target, kinds) and target is not column:
        return target
    wanted = " or ".join(kind.__name__ for kind in kinds)
    rule = f"must name a {wanted} of the spec in `{argument}`"
    names = [c.name for c in spec.columns if isinstance(c, kinds)]
    found = f'{argument}="{name}", the spec has {_checks.quoted(names) or "none"}'
    way_out = f"Add the column, or correct `{argument}`."
    raise _checks.column(spec, column.name, rule, found, way_out)


def _check_along(spec: FeatureSpec, column: Any) -> None:
    lead = _refers(spec, column, "along", (Sequence, MultiCategorical))
    if getattr(lead, "along", None):
        rule = "must go along a column that goes along no other"
        found = f'"{lead.name}", which goes along "{lead.along}"'
        raise _checks.column(spec, column.name, rule, found)
    same: dict[str, Any] = {"side": (half(column), half(lead))}
    if isinstance(column, Sequence):
        same["max_length"] = (column.max_length, lead.max_length)
    for name, (own, other) in same.items():
        if own != other:
            rule = f'must agree with "{lead.name}" on `{name}`: it goes along it'
            found = f"{own!r} and {other!r}"
            raise _checks.column(spec, column.name, rule, found)
    if column.serve and not lead.serve:
        rule = f'cannot be served without "{lead.name}", which it goes along'
        raise _checks.column(spec, column.name, rule, "serve=True")


def _check_crossed(spec: FeatureSpec, column: Crossed) -> None:
    for name in column.of:
        target = _refers(spec, column, "of", (Categorical, Bucketized), name)
        if target.is_list:
            rule = "must cross columns of single values"
            found = f'"{name}", a {type(target).__name__}'
            raise _checks.column(spec, column.name, rule, found)
        if half(target) != half(column):
            rule = "must cross columns of its own side: towers cannot see both"
            found = f'side={column.side!r}, "{name}" has {target.side!r}'
            raise _checks.column(spec, column.name, rule, found)
        if column.serve and not target.serve:
            rule = f'cannot be served without "{name}", which it crosses'
            way_out = "Give it serve=False."
            raise _checks.column(spec, column.name, rule, "serve=True", way_out)


def check_tables(spec: FeatureSpec) -> None:
    """Columns that look up one table agree on what it is."""
    owners: dict[str, Column] = {}
    for column in spec.columns:
        if not isinstance(column, (Categorical, Bucketized, Crossed)):
            continue
        first = owners.setdefault(column.table_name, column)
        for name in SAME_IN_A_TABLE:
            one, other = getattr(first, name, None), getattr(column, name, None)
            if one != other:
                rule = f'must agree with "{first.name}" on `{name}`: both look up'
                rule += f' table "{column.table_name}"'
                raise _checks.column(
                    spec,
                    column.name,
                    rule,
                    f"{name}={other!r} and {name}={one!r}",
                    "Make them equal, or give each its own `table`.",
                )


def check_vocabularies(spec: FeatureSpec) -> None:
    """Each vocabulary is one of a table, and holds its values."""
    tables = {
        column.table_name: column.dtype
        for column in spec.columns
        if isinstance(column, Categorical) and column.hash_buckets is None
    }
    seen = set()
    for vocabulary in spec.vocabularies:
        if not isinstance(vocabulary, Vocabulary):
            raise _checks.argument(
                spec,
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
