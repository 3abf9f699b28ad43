import dataclasses
import re

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
    Vocabulary,
)


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


CITY = Categorical("city", side="user")


def vocabulary(table="city", dtype="string", size=3):
    return Vocabulary(table, dtype, size, "ab")


@pytest.mark.parametrize(
    ("columns", "options", "text", "kind"),
    [
        ("abc", {}, "`columns` must be a list or tuple.", TypeError),
        (CITY, {}, "`columns` must be a list or tuple.", TypeError),
        ({"city": CITY}, {}, "`columns` must be a list or tuple.", TypeError),
        ([CITY], {"labels": "click"}, "`labels` must be a list or tuple.", TypeError),
        ([CITY], {"labels": {"a", "b"}}, "`labels` must be a list", TypeError),
        (["city"], {}, "`columns` must hold Categorical, MultiCategorical", TypeError),
        ([CITY], {"vocabularies": ["a"]}, "must hold Vocabulary objects.", TypeError),
        ([], {}, "`columns` must not be empty.", ValueError),
        ([CITY], {"labels": [""]}, "`labels` must be a non-empty string.", ValueError),
        ([CITY], {"labels": ["y", "y"]}, "must not repeat each other", ValueError),
        (
            [CITY],
            {"labels": ["y"], "weight": "y"},
            "`labels` must not repeat each other or `weight`.",
            ValueError,
        ),
        ([CITY], {"weight": 3}, "`weight` must be a non-empty string.", ValueError),
        ([CITY], {"group": ""}, "`group` must be a non-empty string.", ValueError),
        ([CITY], {"timestamp": 3}, "`timestamp` must be a non-empty st", ValueError),
        (
            [CITY, Numeric("city", side="item")],
            {},
            'FeatureSpec: column "city" must stand once in the spec, upper and lower '
            'case being one. Received: "city" and "city". Rename or drop one.',
            ValueError,
        ),
        (
            [CITY, Numeric("City", side="item")],
            {},
            'column "City" must stand once in the spec, upper and lower case being '
            'one. Received: "city" and "City".',
            ValueError,
        ),
        (
            [CITY],
            {"labels": ["city"]},
            'column "city" must not be a feature and a label or weight at once.',
            ValueError,
        ),
        ([CITY], {"weight": "city"}, "a label or weight at once.", ValueError),
        (
            [CITY, Sequence("h", of="town")],
            {},
            'column "h" must name a Categorical or Bucketized of the spec in `of`. '
            'Received: of="town", the spec has "city". Add the column, or correct',
            ValueError,
        ),
        (
            [CITY, Sequence("h", of="h2"), Sequence("h2", of="city")],
            {},
            'column "h" must name a Categorical',
            ValueError,
        ),
        (
            [CITY, Sequence("h", of="city", padding=0)],
            {},
            "Sequence \"h\": `padding` must be None or a value of dtype 'string'.",
            ValueError,
        ),
        (
            [CITY, Categorical("b", side="item", table="city", embedding_dim=8)],
            {},
            'column "b" must agree with "city" on `embedding_dim`: both look up table '
            '"city". Received: embedding_dim=8 and embedding_dim=16. Make them equal',
            ValueError,
        ),
        (
            [CITY, Categorical("b", side="item", table="city", dtype="int64")],
            {},
            "on `dtype`",
            ValueError,
        ),
        (
            [CITY, Categorical("b", side="item", table="city", hash_buckets=3)],
            {},
            "on `hash_buckets`",
            ValueError,
        ),
        (
            [CITY, Categorical("b", side="item", table="city", min_count=3)],
            {},
            "on `min_count`",
            ValueError,
        ),
        (
            [CITY, Categorical("b", side="item", table="city", max_size=3)],
            {},
            "on `max_size`",
            ValueError,
        ),
        (
            [Categorical("b", side="user", table="x"), Bucketized("x", side="user")],
            {},
            'column "x" must agree with "b" on `dtype`',
            ValueError,
        ),
        (
            [CITY],
            {"vocabularies": [vocabulary("town")]},
            'the vocabulary of table "town" belongs to no column. Received tables: '
            '"city". Drop it',
            ValueError,
        ),
        (
            [CITY],
            {"vocabularies": [vocabulary(dtype="int64")]},
            'the vocabulary of table "city" must hold string. Received: int64.',
            ValueError,
        ),
        (
            [CITY],
            {"vocabularies": [vocabulary(), vocabulary(size=4)]},
            'table "city" must have one vocabulary. Received: two.',
            ValueError,
        ),
    ],
)
def test_errors(columns, options, text, kind):
    with raises(text, kind):
        FeatureSpec(columns, **options)


ALONG = FeatureSpec(
    [
        Categorical("city", side="user"),
        Bucketized("hour", side="context", boundaries=(6, 12)),
        Crossed("cross", of=("city", "hour"), side="user", hash_buckets=9),
        Categorical("item", side="item"),
        Sequence("history", of="item", max_length=3),
        Categorical("action", side="context", serve=False),
        Sequence("actions", of="action", along="history", max_length=3),
        NumericSequence("gaps", along="history", scaling="log1p", fill=0),
        MultiCategorical("tags", side="item", weights="shares"),
        NumericSequence("shares", along="tags", side="item"),
    ]
)


def test_columns_that_go_with_others():
    assert FeatureSpec.from_json(ALONG.to_json()) == ALONG
    assert ALONG.raw_names(["cross"]) == ("city", "hour")
    assert ALONG.raw_names(["gaps"]) == ("gaps", "history")
    assert "cross" not in ALONG.raw_names()
    assert [ALONG.width(ALONG[n]) for n in ("city", "history", "gaps")] == [None, 3, 3]
    assert ALONG.table_of(ALONG["cross"]) == "cross"
    assert ALONG.table_of(ALONG["gaps"]) is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"cross": {"of": ("city", "item")}}, "must cross columns of its own side"),
        ({"cross": {"of": ("city", "tags")}}, "must cross columns of single values"),
        ({"cross": {"of": ("city", "action")}}, 'cannot be served without "action"'),
        ({"cross": {"of": ("city", "gaps")}}, "must name a Categorical or Bucketized"),
        ({"actions": {"along": "city"}}, "must name a Sequence or MultiCategorical"),
        ({"actions": {"along": "tags", "max_length": 50}}, "on `side`"),
        ({"actions": {"max_length": 4}}, 'agree with "history" on `max_length`'),
        ({"gaps": {"along": "actions"}}, 'which goes along "history"'),
        ({"history": {"serve": False}}, 'cannot be served without "history"'),
        ({"tags": {"weights": "gaps"}}, 'must be along "tags", whose weights they are'),
        ({"tags": {"weights": "item"}}, "must name a NumericSequence"),
    ],
)
def test_columns_that_do_not_fit_others(change, text):
    columns = [
        dataclasses.replace(column, **change.get(column.name, {})) for column in ALONG
    ]
    with pytest.raises(ValueError, match=re.escape(text)):
        FeatureSpec(columns)
