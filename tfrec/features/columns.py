"""What one row holds: column descriptions, frozen and comparable."""

from __future__ import annotations

import itertools
import re
import struct
from dataclasses import KW_ONLY, dataclass, fields
from keyword import iskeyword
from typing import Any, ClassVar

from tfrec import _checks

# A column's name is an argument of the served function, a table's a file's name.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
TABLE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
SIDES = ("user", "item", "context")
DTYPES = ("string", "int64")
COMBINERS = ("mean", "sum", "sqrtn", "max")
SCALINGS = ("none", "standard", "log1p", "min_max")
LEARNED_SCALINGS = ("standard", "min_max")
MAX_ROWS = 2**31 - 1  # ids are int32
SMALLEST = 2.0**-126  # of the normal float32 numbers


@dataclass(frozen=True)
class _Column:
    name: str
    _: KW_ONLY
    side: str
    serve: bool = True

    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        _checks.string(self, name=self.name)
        keyword = iskeyword(self.name) or self.name == "self"
        if keyword or not NAME.fullmatch(self.name):
            rule = "must be of letters, digits and '_', start with a letter and be no "
            rule += "word of Python"
            way_out = "Rename the column: the served model has an argument of its name."
            raise _checks.argument(self, "name", rule, self.name, way_out)
        _checks.one_of(self, SIDES, side=self.side)
        _checks.boolean(self, serve=self.serve)
        self._check()
        for field in fields(self):  # NumPy scalars do not go into JSON
            value = getattr(self, field.name)
            if _checks.is_number(value):
                plain = int(value) if _checks.is_int(value) else float(value)
                object.__setattr__(self, field.name, plain)

    def _check(self) -> None:
        """Checks of the subclass."""

    @property
    def _owner(self) -> str:
        return f'{type(self).__name__} "{self.name}"'

    @property
    def is_list(self) -> bool:
        """True when a row holds a list of values."""
        return False


@dataclass(frozen=True)
class Categorical(_Column):
    """One value of a vocabulary.

    Args:
        name: str. The column's name in the rows and in the served signature:
            letters, digits and '_', a letter first.
        side: `"user"`, `"item"` or `"context"`. The user tower sees user and
            context, the item tower sees item, a ranker sees all.
        embedding_dim: int >= 1. Width of the table's rows.
        dtype: `"string"` or `"int64"`: what the raw values are. True and False are
            the integers 1 and 0.
        table: str or None. The table (and vocabulary) the column looks up;
            columns that name the same table share it. None: its own, called
            like the column.
        min_count: int >= 1. Values seen less often become unknown.
        max_size: int >= 1 or None. Keeps the most frequent values only.
        hash_buckets: int >= 1 or None. No vocabulary: values are hashed into
            that many rows.
        vocabulary: str or None. Path of a text file with one value a line: these
            values and no others, in this order; `adapt` only counts them.
        trainable: False: the table's rows never change (see
            `tfrec.growth.assign_rows` for how they get their values).
        padding: value that means "missing" (id 0, a zero vector). None: `""`
            for strings, -1 for int64.
        serve: False: exists in training only; the export does not ask for it.

    Raises: `ValueError` on a bad argument.

    >>> Categorical("city", side="user", embedding_dim=8).table_name
    'city'
    """

    embedding_dim: int = 16
    dtype: str = "string"
    table: str | None = None
    min_count: int = 1
    max_size: int | None = None
    hash_buckets: int | None = None
    vocabulary: str | None = None
    trainable: bool = True
    padding: str | int | None = None

    kind: ClassVar[str] = "categorical"

    def _check(self) -> None:
        owner = self._owner
        _checks.positive_int(
            owner, embedding_dim=self.embedding_dim, min_count=self.min_count
        )
        _checks.one_of(owner, DTYPES, dtype=self.dtype)
        if self.table is not None:
            _checks.string(owner, table=self.table)
            if not TABLE_NAME.fullmatch(self.table):
                rule = "must be of letters, digits, '_', '-' and '.'"
                raise _checks.argument(owner, "table", rule, self.table)
        if self.max_size is not None:
            _checks.positive_int(owner, max_size=self.max_size)
        if self.hash_buckets is not None:
            _checks.positive_int(owner, hash_buckets=self.hash_buckets)
            if self.hash_buckets > MAX_ROWS - 2:
                rule = f"must be an int <= {MAX_ROWS - 2}: ids are int32"
                raise _checks.argument(owner, "hash_buckets", rule, self.hash_buckets)
            if self.min_count != 1 or self.max_size is not None:
                raise _checks.argument(
                    owner,
                    "hash_buckets",
                    "has no vocabulary to cut",
                    self.hash_buckets,
                    "Drop `min_count` and `max_size`, or drop `hash_buckets`.",
                )
        _checks.boolean(owner, trainable=self.trainable)
        if self.vocabulary is not None:
            _checks.string(owner, vocabulary=self.vocabulary)
            others = self.min_count != 1 or self.max_size is not None
            if others or self.hash_buckets is not None:
                rule = "already says which values there are"
                way_out = "Drop `min_count`, `max_size` and `hash_buckets`."
                raise _checks.argument(
                    owner, "vocabulary", rule, self.vocabulary, way_out
                )
        check_padding(owner, self.padding, self.dtype)

    @property
    def table_name(self) -> str:
        """The logical table's name."""
        return self.table or self.name


@dataclass(frozen=True)
class MultiCategorical(Categorical):
    """A set of values of a vocabulary, pooled to one vector.

    Args:
        combiner: `"mean"`, `"sum"`, `"sqrtn"` (sum over the square root of the
            count) or `"max"`. An empty set gives the zero vector.
        separator: str or None. None: rows hold lists; else rows hold strings
            that are split at it.
        max_length: int >= 1. Values kept of one row (the last ones).
        weights: str or None. Name of a `NumericSequence` along this column: the
            weight w of each value x. `"sum"` is then sum(w x), `"mean"` sum(w x) /
            sum(w), `"sqrtn"` sum(w x) / sqrt(sum(w^2)).
        The other arguments are those of `Categorical`.

    Raises: `ValueError` on a bad argument.

    >>> MultiCategorical("genres", side="item", separator="|").combiner
    'mean'
    """

    combiner: str = "mean"
    separator: str | None = None
    max_length: int = 50
    weights: str | None = None

    kind: ClassVar[str] = "multi_categorical"

    def _check(self) -> None:
        super()._check()
        _checks.one_of(self._owner, COMBINERS, combiner=self.combiner)
        check_list(self._owner, self.separator, self.max_length)
        if self.weights is not None:
            _checks.string(self._owner, weights=self.weights)
            if self.combiner == "max":
                rule = "have no meaning with the combiner 'max'"
                raise _checks.argument(self._owner, "weights", rule, self.weights)

    @property
    def is_list(self) -> bool:
        return True


@dataclass(frozen=True)
class Sequence(_Column):
    """Values of another column in order of time, oldest first.

    It shares that column's table and vocabulary.

    Args:
        name: str. The column's name.
        of: str. Name of the `Categorical` or `Bucketized` column whose values
            these are.
        along: str or None. Name of another list column: this one holds an
            attribute of its values, place by place. Rows must have lists of equal
            length in both; a place that the other column leaves out is left out
            here too, and a missing attribute is unknown.
        side: as in `Categorical`; a history is the user's.
        max_length: int >= 1. The newest values are kept.
        separator: str or None. None: rows hold lists; else strings to split.
        padding: as in `Categorical`; list elements equal to it are left out.
        serve: as in `Categorical`.

    Raises: `ValueError` on a bad argument.

    >>> Sequence("history", of="movie_id", max_length=20).side
    'user'
    """

    side: str = "user"
    of: str = ""
    along: str | None = None
    max_length: int = 50
    separator: str | None = None
    padding: str | int | None = None

    kind: ClassVar[str] = "sequence"

    def _check(self) -> None:
        _checks.string(self._owner, of=self.of)
        if self.along is not None:
            _checks.string(self._owner, along=self.along)
        check_list(self._owner, self.separator, self.max_length)

    @property
    def is_list(self) -> bool:
        return True


@dataclass(frozen=True)
class Numeric(_Column):
    """A number or a vector of numbers.

    `scaling` maps a value x to: `"none"` x; `"standard"` (x - mean) / sd;
    `"min_max"` (x - min) / (max - min); `"log1p"` sign(x) log(1 + |x|).

    Args:
        name: str. The column's name.
        side: as in `Categorical`.
        shape: `()` for a number, `(n,)` for a vector.
        scaling: one of the four above. The statistics are learned by
            `FeatureSpec.adapt` and kept in the spec.
        fill: number or None. What a missing value (null, NaN) becomes, before
            scaling. None: a missing value is an error that names the column.
        shift, scale: learned statistics of `"standard"` and `"min_max"`; leave
            them to `adapt`.
        serve: as in `Categorical`.

    Raises: `ValueError` on a bad argument.

    >>> Numeric("price", side="item", scaling="log1p").shape
    ()
    """

    shape: tuple[int, ...] = ()
    scaling: str = "none"
    fill: float | None = None
    shift: float | None = None
    scale: float | None = None

    kind: ClassVar[str] = "numeric"

    def _check(self) -> None:
        owner = self._owner
        _checks.hidden_units(owner, shape=self.shape)
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        if len(self.shape) > 1:
            raise _checks.argument(owner, "shape", "must be () or (n,)", self.shape)
        _checks.one_of(owner, SCALINGS, scaling=self.scaling)
        for name in ("fill", "shift", "scale"):
            value = getattr(self, name)
            if value is not None:
                _checks.number(owner, **{name: value})
                if single(value) is None:
                    rule = "must be a number that float32 can hold"
                    raise _checks.argument(owner, name, rule, value)
        if self.scale is not None and self.scale < SMALLEST:
            raise _checks.argument(owner, "scale", "must be a number > 0", self.scale)
        learned = self.shift is not None or self.scale is not None
        if learned and self.scaling not in LEARNED_SCALINGS:
            rule = f"has no use for `shift` and `scale` as {self.scaling!r}"
            way_out = "Drop both, or choose 'standard' or 'min_max'."
            raise _checks.argument(owner, "scaling", rule, self.scaling, way_out)
        if learned and (self.shift is None or self.scale is None):
            name = "shift" if self.shift is None else "scale"
            rule = "must be given where the other of `shift` and `scale` is"
            raise _checks.argument(owner, name, rule, None, "Leave both to `adapt`.")

    @property
    def adapted(self) -> bool:
        """True when the scaling has the statistics that it needs."""
        return self.scaling not in LEARNED_SCALINGS or self.scale is not None


@dataclass(frozen=True)
class NumericSequence(Numeric):
    """A number for each value of a list column, such as a time gap or a weight.

    Args:
        name: str. The column's name.
        along: str. Name of the list column whose values the numbers belong to.
            Rows must have lists of equal length in both; a place that the other
            column leaves out is left out here too.
        separator: str or None. None: rows hold lists; else strings to split.
        side: as in `Categorical`; a history is the user's.
        The other arguments are those of `Numeric`, but for `shape`.

    Raises: `ValueError` on a bad argument.

    >>> NumericSequence("gaps", along="history", scaling="log1p", fill=0).kind
    'numeric_sequence'
    """

    side: str = "user"
    along: str = ""
    separator: str | None = None

    kind: ClassVar[str] = "numeric_sequence"

    def _check(self) -> None:
        super()._check()
        _checks.string(self._owner, along=self.along)
        check_list(self._owner, self.separator, 1)
        if self.shape:
            rule = "must be (): one number a place"
            raise _checks.argument(self._owner, "shape", rule, self.shape)

    @property
    def is_list(self) -> bool:
        return True


@dataclass(frozen=True)
class Bucketized(_Column):
    """A number looked up by the interval that it falls into.

    The id of x is 2 + the number of boundaries <= x, both as float32; a missing
    value has id 0.

    Args:
        name: str. The column's name.
        side: as in `Categorical`.
        boundaries: increasing numbers, or None: learned by `FeatureSpec.adapt`
            as quantiles. Boundaries that are there already, it keeps.
        num_buckets: int >= 2. Number of quantile buckets where `boundaries` is
            None.
        embedding_dim: int >= 1. Width of the bucket's vector.
        serve: as in `Categorical`.

    Raises: `ValueError` on a bad argument.

    >>> Bucketized("age", side="user", boundaries=(18, 25, 35)).boundaries
    (18.0, 25.0, 35.0)
    """

    boundaries: tuple[float, ...] | None = None
    num_buckets: int = 10
    embedding_dim: int = 16

    kind: ClassVar[str] = "bucketized"

    def _check(self) -> None:
        owner = self._owner
        _checks.positive_int(owner, embedding_dim=self.embedding_dim)
        _checks.integer(owner, 2, num_buckets=self.num_buckets)
        if self.boundaries is None:
            return
        bounds = self.boundaries
        rule = "must be a non-empty tuple of increasing finite numbers"
        if (
            not isinstance(bounds, (tuple, list))
            or not bounds
            or not all(_checks.is_number(bound) for bound in bounds)
            or any(a >= b for a, b in itertools.pairwise(bounds))
        ):
            raise _checks.argument(owner, "boundaries", rule, bounds)
        singles = [single(bound) for bound in bounds]
        if None in singles or len(set(singles)) < len(singles):
            rule = "must be finite and different as float32 numbers too"
            way_out = "Subtract an offset from the column and the boundaries."
            raise _checks.argument(owner, "boundaries", rule, bounds, way_out)
        object.__setattr__(self, "boundaries", tuple(float(b) for b in bounds))

    @property
    def table_name(self) -> str:
        """The logical table's name."""
        return self.name


@dataclass(frozen=True)
class Crossed(_Column):
    """Combinations of values of other columns, hashed into a table of their own.

    The id is 2 + hash(ids of the columns) mod `hash_buckets`; 0 where one of the
    values is missing. Rows need not hold the column: it is made of the others.

    Args:
        name: str. The column's name; no column of the rows may bear it.
        of: names of two or more `Categorical` or `Bucketized` columns, all of the
            user (and context) or all of the item.
        side: as in `Categorical`.
        hash_buckets: int >= 1.
        embedding_dim: int >= 1.
        serve: as in `Categorical`.

    Raises: `ValueError` on a bad argument.

    >>> Crossed("city_x_hour", of=("city", "hour"), side="user", hash_buckets=99).of
    ('city', 'hour')
    """

    of: tuple[str, ...] = ()
    hash_buckets: int = 0
    embedding_dim: int = 16

    kind: ClassVar[str] = "crossed"

    def _check(self) -> None:
        owner = self._owner
        names = self.of
        if (
            not isinstance(names, (tuple, list))
            or not all(isinstance(name, str) and name for name in names)
            or len(set(names)) < max(len(names), 2)
        ):
            rule = "must name two or more columns, each once"
            raise _checks.argument(owner, "of", rule, names)
        object.__setattr__(self, "of", tuple(names))
        _checks.positive_int(
            owner, hash_buckets=self.hash_buckets, embedding_dim=self.embedding_dim
        )
        if self.hash_buckets > MAX_ROWS - 2:
            rule = f"must be an int <= {MAX_ROWS - 2}: ids are int32"
            raise _checks.argument(owner, "hash_buckets", rule, self.hash_buckets)

    @property
    def table_name(self) -> str:
        """The logical table's name."""
        return self.name


Column = (
    Categorical
    | MultiCategorical
    | Sequence
    | Numeric
    | NumericSequence
    | Bucketized
    | Crossed
)
KINDS: dict[str, type] = {
    column.kind: column
    for column in (
        Categorical,
        MultiCategorical,
        Sequence,
        Numeric,
        NumericSequence,
        Bucketized,
        Crossed,
    )
}


def check_list(owner: str, separator: Any, max_length: Any) -> None:
    """The arguments that columns of lists share."""
    if separator is not None:
        _checks.string(owner, separator=separator)
    _checks.positive_int(owner, max_length=max_length)


def check_padding(owner: str, padding: Any, dtype: str) -> None:
    """`padding` is None or a value of `dtype`."""
    if dtype == "string":
        fits = isinstance(padding, str)
    else:
        fits = _checks.is_int(padding) and -(2**63) <= padding < 2**63
    if padding is not None and not fits:
        raise _checks.argument(
            owner, "padding", f"must be None or a value of dtype {dtype!r}", padding
        )


def single(value: float) -> float | None:
    """`value` as float32 holds it; None where it overflows."""
    try:
        return struct.unpack("<f", struct.pack("<f", float(value)))[0]
    except OverflowError:
        return None


def half(column: Column) -> str:
    """Which tower reads a column: `"user"` (context too) or `"item"`."""
    return "item" if column.side == "item" else "user"
