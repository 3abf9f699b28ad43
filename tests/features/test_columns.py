import dataclasses
import json
import re

import numpy as np
import pytest

from tfrec.features import (
    Bucketized,
    Categorical,
    Crossed,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    NumericSequence,
    Sequence,
)
from tfrec.features.columns import KINDS, MAX_ROWS, single


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


ALL = [
    Categorical("a", side="user"),
    MultiCategorical("a", side="user"),
    Sequence("a", of="b"),
    Numeric("a", side="user"),
    Bucketized("a", side="user"),
    NumericSequence("a", along="b"),
    Crossed("a", of=("b", "c"), side="user", hash_buckets=5),
]


@pytest.mark.parametrize("column", ALL, ids=lambda column: column.kind)
def test_frozen_and_comparable(column):
    assert KINDS[column.kind] is type(column)
    assert column == dataclasses.replace(column) and hash(column) is not None
    assert column != dataclasses.replace(column, side="item")
    assert column != dataclasses.replace(column, serve=False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        column.side = "item"
    with pytest.raises(TypeError):
        type(column)("a", nonsense=1)


@pytest.mark.parametrize("column", ALL, ids=lambda column: column.kind)
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": ""}, "`name` must be a non-empty string. Received: name='' (str)."),
        ({"name": 3}, "`name` must be a non-empty string. Received: name=3 (int)."),
        ({"name": "a/b"}, "`name` must be of letters, digits and '_', start with a"),
        ({"name": "../a"}, "the column: the served model has an argument of its name"),
        ({"name": "a b"}, "Received: name='a b' (str)."),
        ({"name": "a-b"}, "Received: name='a-b' (str)."),
        ({"name": "a.b"}, "Received: name='a.b' (str)."),
        ({"name": "_a"}, "start with a letter"),
        ({"name": "1a"}, "start with a letter"),
        ({"name": "class"}, "and be no word of Python. Received: name='class' (str)."),
        ({"name": "self"}, "and be no word of Python. Received: name='self' (str)."),
        ({"name": "ä"}, "`name` must be of letters, digits"),
        ({"name": "a\n"}, "`name` must be of letters, digits"),
        ({"side": "usr"}, "`side` must be one of 'user', 'item', 'context'."),
        ({"side": "usr"}, 'Did you mean "user"?'),
        ({"side": None}, "`side` must be one of"),
        ({"serve": 1}, "`serve` must be True or False. Received: serve=1 (int)."),
    ],
)
def test_errors_of_every_column(column, change, text):
    with raises(text) as error:
        dataclasses.replace(column, **change)
    assert str(error.value).startswith(f"{type(column).__name__}: ")


def categorical(**options):
    return Categorical("c", **{"side": "user", **options})


def multi(**options):
    return MultiCategorical("c", side="item", **options)


def sequence(**options):
    return Sequence("c", **{"of": "b", **options})


def numeric(**options):
    return Numeric("c", side="user", **options)


def bucketized(**options):
    return Bucketized("c", side="user", **options)


@pytest.mark.parametrize(
    ("make", "options", "text"),
    [
        (categorical, {"embedding_dim": 0}, "`embedding_dim` must be an int >= 1."),
        (categorical, {"embedding_dim": 8.0}, "Received: embedding_dim=8.0 (float)."),
        (categorical, {"min_count": 0}, "`min_count` must be an int >= 1."),
        (categorical, {"max_size": 0}, "`max_size` must be an int >= 1."),
        (categorical, {"dtype": "int32"}, "`dtype` must be one of 'string', 'int64'."),
        (categorical, {"dtype": "int32"}, 'Did you mean "int64"?'),
        (categorical, {"table": ""}, "`table` must be a non-empty string."),
        (categorical, {"table": "a/b"}, "`table` must be of letters, digits"),
        (categorical, {"hash_buckets": 0}, "`hash_buckets` must be an int >= 1."),
        (categorical, {"hash_buckets": 2**31 - 2}, "<= 2147483645: ids are int32."),
        (
            categorical,
            {"hash_buckets": 9, "min_count": 2},
            "`hash_buckets` has no vocabulary to cut. Received: hash_buckets=9 (int). "
            "Drop `min_count` and `max_size`, or drop `hash_buckets`.",
        ),
        (categorical, {"hash_buckets": 9, "max_size": 2}, "has no vocabulary to cut"),
        (categorical, {"padding": 0}, "`padding` must be None or a value of dtype 's"),
        (categorical, {"padding": "", "dtype": "int64"}, "a value of dtype 'int64'"),
        (categorical, {"padding": 2**63, "dtype": "int64"}, "Received: padding=922337"),
        (categorical, {"padding": True, "dtype": "int64"}, "padding=True (bool)"),
        (multi, {"combiner": "avg"}, "`combiner` must be one of 'mean', 'sum', 'sqrtn"),
        (multi, {"separator": ""}, "`separator` must be a non-empty string."),
        (multi, {"separator": b"|"}, "Received: separator=b'|' (bytes)."),
        (multi, {"max_length": 0}, "`max_length` must be an int >= 1."),
        (multi, {"embedding_dim": -1}, "`embedding_dim` must be an int >= 1."),
        (sequence, {"of": ""}, "`of` must be a non-empty string."),
        (sequence, {"max_length": 2.5}, "`max_length` must be an int >= 1."),
        (sequence, {"separator": 5}, "`separator` must be a non-empty string."),
        (numeric, {"shape": 3}, "`shape` must be a tuple of ints >= 1."),
        (numeric, {"shape": (0,)}, "`shape` must be a tuple of ints >= 1."),
        (numeric, {"shape": (2, 3)}, "`shape` must be () or (n,)."),
        (numeric, {"scaling": "zscore"}, "`scaling` must be one of 'none', 'standard'"),
        (numeric, {"fill": float("nan")}, "`fill` must be a finite number."),
        (numeric, {"fill": "0"}, "`fill` must be a finite number."),
        (numeric, {"fill": 1e39}, "`fill` must be a number that float32 can hold."),
        (
            numeric,
            {"scaling": "standard", "shift": 0, "scale": 0},
            "`scale` must be a number > 0. Received: scale=0 (int).",
        ),
        (
            numeric,
            {"scaling": "standard", "shift": 0, "scale": 1e-60},
            "`scale` must be a number > 0.",
        ),
        (numeric, {"scaling": "min_max", "shift": 1}, "`scale` must be given where"),
        (numeric, {"scaling": "min_max", "scale": 1}, "`shift` must be given where"),
        (numeric, {"shift": 1, "scale": 1}, "has no use for `shift` and `scale` as 'n"),
        (bucketized, {"embedding_dim": 0}, "`embedding_dim` must be an int >= 1."),
        (bucketized, {"num_buckets": 1}, "`num_buckets` must be an int >= 2."),
        (bucketized, {"boundaries": ()}, "a non-empty tuple of increasing finite"),
        (bucketized, {"boundaries": 3}, "`boundaries` must be a non-empty tuple"),
        (bucketized, {"boundaries": (1, 1)}, "increasing finite numbers."),
        (bucketized, {"boundaries": (2, 1)}, "Received: boundaries=(2, 1) (tuple)."),
        (bucketized, {"boundaries": (1, float("nan"))}, "increasing finite numbers."),
        (bucketized, {"boundaries": (1, "2")}, "increasing finite numbers."),
        (bucketized, {"boundaries": (1, 1e39)}, "different as float32 numbers too."),
        (
            bucketized,
            {"boundaries": (1.4e9, 1.4e9 + 60)},
            "Subtract an offset from the column and the boundaries.",
        ),
    ],
)
def test_errors(make, options, text):
    with raises(text) as error:
        make(**options)
    assert ' "c": `' in str(error.value)


def test_limits_are_good():
    assert categorical(hash_buckets=MAX_ROWS - 2).hash_buckets == 2**31 - 3
    assert categorical(dtype="int64", padding=-(2**63)).padding == -(2**63)
    assert categorical(padding="").padding == ""
    assert numeric(shape=[3]).shape == (3,)
    assert numeric(scaling="standard", shift=-1, scale=1e-30).adapted


def test_tables():
    assert categorical().table_name == "c" == bucketized().table_name
    assert categorical(table="t").table_name == "t"
    lists = [column.kind for column in ALL if column.is_list]
    assert lists == ["multi_categorical", "sequence", "numeric_sequence"]


@pytest.mark.parametrize("scaling", ["none", "log1p", "standard", "min_max"])
def test_which_scalings_need_statistics(scaling):
    assert numeric(scaling=scaling).adapted is (scaling in ("none", "log1p"))


def test_numpy_scalars_become_plain():
    """Else the spec could be made and fitted, but not written."""
    columns = [
        Categorical(
            "a",
            side="user",
            dtype="int64",
            embedding_dim=np.int64(8),
            padding=np.int32(0),
            max_size=np.uint8(9),
        ),
        Sequence("b", of="a", max_length=np.int16(3)),
        Numeric("c", side="user", fill=np.float32(0.5), shape=(np.int64(2),)),
        Bucketized("d", side="user", boundaries=np.float32([1, 2]).tolist()),
    ]
    spec = FeatureSpec(columns)
    assert FeatureSpec.from_json(json.loads(spec.to_json())) == spec
    assert type(spec["a"].embedding_dim) is int and type(spec["c"].fill) is float


def test_boundaries_are_a_tuple_of_floats():
    column = bucketized(boundaries=[18, 25])
    assert column.boundaries == (18.0, 25.0) and hash(column)
    assert column == bucketized(boundaries=(18.0, 25.0))


def test_single():
    assert single(0.1) == float(np.float32(0.1))
    assert single(1e-60) == 0.0
    assert single(1e39) is None and single(10**400) is None


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Crossed("a", of=("b",), side="user", hash_buckets=5), "two or more"),
        (lambda: Crossed("a", of="bc", side="user", hash_buckets=5), "two or more"),
        (lambda: Crossed("a", of=("b", "b"), side="user", hash_buckets=5), "each once"),
        (lambda: Crossed("a", of=("b", "c"), side="user"), "`hash_buckets` must be an"),
        (lambda: NumericSequence("a"), "`along` must be a non-empty string"),
        (lambda: NumericSequence("a", along="b", shape=(2,)), "one number a place"),
        (lambda: Sequence("a", of="b", along=3), "`along` must be a non-empty string"),
        (
            lambda: MultiCategorical("a", side="user", weights="w", combiner="max"),
            "`weights` have no meaning with the combiner 'max'",
        ),
        (
            lambda: Categorical("a", side="user", vocabulary="v.txt", min_count=2),
            "`vocabulary` already says which values there are",
        ),
        (lambda: Categorical("a", side="user", trainable=1), "must be True or False"),
    ],
)
def test_columns_made_of_others(make, text):
    with raises(text):
        make()
