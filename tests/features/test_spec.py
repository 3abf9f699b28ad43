import dataclasses
import json
import re
import shutil
from keyword import iskeyword

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tfrec.features.columns import COMBINERS, SIDES


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


LONG = 2**63
SINGLE = st.floats(width=32, allow_nan=False, allow_infinity=False)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,6}", fullmatch=True).filter(
    lambda name: not iskeyword(name) and name != "self"
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3)
SIZE = st.integers(1, 1000)


@st.composite
def categoricals(draw, name):
    dtype = draw(st.sampled_from(["string", "int64"]))
    options = {"dtype": dtype, "embedding_dim": draw(SIZE)}
    values = TEXT if dtype == "string" else st.integers(-LONG, LONG - 1)
    options["padding"] = draw(st.none() | values)
    options["table"] = draw(st.none() | st.just(f"of_{name}"))
    if draw(st.booleans()):
        options["hash_buckets"] = draw(SIZE)
    else:
        options["min_count"] = draw(SIZE)
        options["max_size"] = draw(st.none() | SIZE)
    kind = Categorical
    if draw(st.booleans()):
        kind = MultiCategorical
        options["combiner"] = draw(st.sampled_from(COMBINERS))
        options["separator"] = draw(st.none() | TEXT)
        options["max_length"] = draw(SIZE)
    return kind, options


@st.composite
def specs(draw):
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique_by=str.lower))
    columns, vocabularies = [], []
    for name in names:
        kind, options = draw(
            st.one_of(
                categoricals(name),
                st.tuples(
                    st.just(Numeric),
                    st.fixed_dictionaries(
                        {
                            "shape": st.sampled_from([(), (1,), (768,)]),
                            "fill": st.none() | SINGLE,
                        },
                        optional={"scaling": st.sampled_from(["none", "log1p"])},
                    ),
                ),
                st.tuples(
                    st.just(Numeric),
                    st.fixed_dictionaries(
                        {
                            "scaling": st.sampled_from(["standard", "min_max"]),
                            "shift": SINGLE,
                            "scale": st.floats(1e-6, 1e6),
                        }
                    ),
                ),
                st.tuples(
                    st.just(Bucketized),
                    st.fixed_dictionaries(
                        {
                            "boundaries": st.none()
                            | st.sets(SINGLE, min_size=1, max_size=5).map(sorted),
                            "num_buckets": st.integers(2, 50),
                            "embedding_dim": SIZE,
                        }
                    ),
                ),
            )
        )
        options |= {"side": draw(st.sampled_from(SIDES)), "serve": draw(st.booleans())}
        column = kind(name, **options)
        columns.append(column)
        if isinstance(column, Categorical):
            table = column.table_name
            if column.hash_buckets is None and draw(st.booleans()):
                file = f"folder/{table}.txt"
                vocabularies.append(Vocabulary(table, column.dtype, 3, "ab", file))
            columns.append(
                Sequence(
                    f"history_of_{name}",
                    of=name,
                    side=draw(st.sampled_from(SIDES)),
                    max_length=draw(SIZE),
                    separator=draw(st.none() | TEXT),
                    padding=column.padding,
                )
            )
    return FeatureSpec(
        columns,
        labels=draw(st.lists(st.sampled_from(["y1 ", "y2", "é"]), unique=True)),
        weight=draw(st.none() | st.just("w w")),
        group=draw(st.none() | st.sampled_from(names)),
        timestamp=draw(st.none() | st.just("time")),
        vocabularies=vocabularies,
    )


@given(spec=specs())
def test_json_both_ways(spec):
    again = FeatureSpec.from_json(spec.to_json())
    assert again == spec and hash(again) == hash(spec)
    files = [vocabulary.file for vocabulary in spec.vocabularies]
    assert [vocabulary.file for vocabulary in again.vocabularies] == files
    assert FeatureSpec.from_json(json.loads(spec.to_json())) == spec
    assert again.to_json() == spec.to_json()
    for one, other in zip(spec, again, strict=True):
        assert type(one) is type(other)


@given(spec=specs(), data=st.data())
def test_unknown_and_missing_keys_are_refused(spec, data):
    document = json.loads(spec.to_json())
    place = data.draw(st.sampled_from(["document", *document["columns"]]))
    place = document if place == "document" else place
    known = data.draw(st.sampled_from(sorted(place)))
    place[known + "s"] = place[known]
    with raises(f'unknown key "{known}s"'):
        FeatureSpec.from_json(document)
    del place[known + "s"]
    column = data.draw(st.sampled_from(document["columns"]))
    del column["name"]
    with raises('key "name" is missing. Received keys: '):
        FeatureSpec.from_json(document)


CITY = Categorical("city", side="user")
SPEC = FeatureSpec(
    [
        CITY,
        Sequence("cities", of="city"),
        Numeric("age", side="user", scaling="standard"),
        Bucketized("hour", side="context", boundaries=(6, 12)),
        MultiCategorical("tags", side="item", table="tag", separator="|"),
        Categorical("tag", side="user", embedding_dim=16),
        Categorical("shop", side="item", hash_buckets=10, dtype="int64", padding=0),
    ],
    labels=["click"],
)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": 2}, "`format` must be 1. Received: format=2 (int)."),
        ({"format": None}, "`format` must be 1. Received: format=None"),
        ({"columns": {}}, "`columns` must be a list. Received: columns={} (dict)."),
        ({"columns": None}, "`columns` must be a list."),
        ({"columns": []}, "`columns` must not be empty."),
        ({"columns": ["city"]}, "`kind` must be one of 'categorical', 'multi_cat"),
        ({"columns": [{}]}, "Received: kind=None (NoneType)."),
        ({"columns": [{"kind": ["a"]}]}, "`kind` must be one of"),
        ({"columns": [{"kind": "numeric"}]}, 'key "name" is missing.'),
        ({"columns": [{"kind": "numeric", "name": "a"}]}, 'Numeric "a": key "side" is'),
        ({"columns": [{"kind": "numeric", "name": "a", "side": "x"}]}, "`side` must"),
        ({"labels": "click"}, "`labels` must be a list. Received: labels='click'"),
        ({"labels": [3]}, "`labels` must be a non-empty string."),
        ({"weight": ["w"]}, "`weight` must be a non-empty string."),
        ({"vocabularies": ["a.txt"]}, "`vocabularies` must hold objects."),
        ({"vocabularies": [{"table": "city"}]}, 'vocabulary: key "dtype" is missing.'),
        ({"vocabularies": [{"tables": "city"}]}, 'unknown key "tables"'),
        ({"vocabularies": [{"tables": "city"}]}, 'Did you mean "table"?'),
    ],
)
def test_bad_documents(change, text):
    document = {**json.loads(SPEC.to_json()), **change}
    with raises(text):
        FeatureSpec.from_json(document)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("{", "FeatureSpec: not JSON: "),
        ("[]", "`document` must be an object."),
        (3, "`document` must be an object. Received: document=3 (int)."),
    ],
)
def test_not_a_document(document, text):
    with raises(text):
        FeatureSpec.from_json(document)


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


def test_is_a_container():
    assert SPEC.names == ("city", "cities", "age", "hour", "tags", "tag", "shop")
    assert [column.name for column in SPEC] == list(SPEC.names)
    assert "city" in SPEC and "town" not in SPEC
    assert SPEC["city"] is CITY and SPEC.get("town") is None
    with raises('no column "citty". Received columns: "city", ', KeyError) as error:
        SPEC["citty"]
    assert 'Did you mean "city"?' in str(error.value)


def test_what_a_column_looks_up():
    tables = [SPEC.table_of(column) for column in SPEC]
    assert tables == ["city", "city", None, "hour", "tag", "tag", "shop"]
    padding = [SPEC.padding_of(column) for column in SPEC]
    assert padding[:2] + padding[4:] == ["", "", "", "", 0]
    assert all(np.isnan(value) for value in padding[2:4])
    assert SPEC.source(SPEC["cities"]) is CITY and SPEC.source(SPEC["age"]) is None


def test_padding_of_a_sequence():
    item = Categorical("i", side="item", dtype="int64", padding=0)
    spec = FeatureSpec([item, Sequence("a", of="i"), Sequence("b", of="i", padding=-7)])
    assert [spec.padding_of(column) for column in spec] == [0, 0, -7]
    item = Categorical("i", side="item", dtype="int64")
    assert FeatureSpec([item]).padding_of(item) == -1


def adapted():
    return dataclasses.replace(
        SPEC,
        columns=tuple(
            dataclasses.replace(column, shift=1, scale=2)
            if column.name == "age"
            else column
            for column in SPEC
        ),
        vocabularies=(vocabulary("tag", size=5), vocabulary("city", size=3)),
    )


def test_tables():
    tables = adapted().tables
    assert list(tables) == ["city", "hour", "tag", "shop"]
    found = {name: (t.rows, t.sides, t.columns) for name, t in tables.items()}
    assert found == {
        "city": (5, ("user",), ("city", "cities")),
        "hour": (5, ("user",), ("hour",)),
        "tag": (7, ("user", "item"), ("tags", "tag")),
        "shop": (12, ("item",), ("shop",)),
    }
    adapted().check_adapted()


def test_what_is_not_adapted_is_named():
    with raises('table "city" has no vocabulary yet. Received vocabularies: .'):
        SPEC.check_adapted()
    spec = dataclasses.replace(SPEC, vocabularies=adapted().vocabularies)
    with raises('column "age" needs its scaling statistics. Received: none. Learn'):
        spec.check_adapted()
    spec = FeatureSpec([Bucketized("hour", side="user")])
    with raises('column "hour" needs its boundaries. Received: none. Learn them'):
        spec.check_adapted()


def test_select():
    spec = adapted().select(["tag", "city"])
    assert spec.names == ("city", "tag") and spec.labels == ("click",)
    assert spec.vocabularies == adapted().vocabularies
    assert spec.without("tag").vocabularies == (vocabulary("city"),)
    with raises('column "citty" must be in the spec. Received: "city", '):
        SPEC.select(["citty"])
    with raises('Did you mean "city"?'):
        SPEC.without("citty")
    with raises('column "cities" must name a Categorical'):
        SPEC.without("city")
    with raises("`columns` must not be empty"):
        SPEC.without(*SPEC.names)


@pytest.fixture
def saved(tmp_path):
    """A spec saved beside its vocabularies in `here`."""
    rows = {
        "city": ["Ghent", "Aachen"],
        "age": [20.0, 30.0],
        "tags": ["a|b", "c"],
        "tag": ["a", "a"],
    }
    here = tmp_path / "here"
    spec = SPEC.adapt(rows, here / "vocabularies")
    spec.save(here / "spec" / "spec.json")
    return spec, here


def test_save_and_load(saved):
    spec, here = saved
    assert FeatureSpec.load(here / "spec" / "spec.json") == spec
    assert [file.name for file in (here / "spec").iterdir()] == ["spec.json"]
    document = json.loads((here / "spec" / "spec.json").read_text())
    files = [entry["file"] for entry in document["vocabularies"]]
    assert files == ["../vocabularies/city.txt", "../vocabularies/tag.txt"]


def test_load_after_the_folder_moved(saved, tmp_path, monkeypatch):
    spec, here = saved
    shutil.move(here, tmp_path / "there")
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "there/spec/spec.json", "there/spec/spec.json"):
        again = FeatureSpec.load(path)
        assert again == spec
        assert again.vocabulary("city").values() == ["Aachen", "Ghent"]
        assert again.vocabulary("tag").values() == ["a", "b", "c"]


def test_load_refuses_a_changed_vocabulary(saved):
    _, here = saved
    file = here / "vocabularies" / "city.txt"
    file.write_text("Ghent\nAachen\n")
    with raises('the file of table "city" has changed.'):
        FeatureSpec.load(here / "spec" / "spec.json")
    file.unlink()
    with raises('the file of table "city" is not there.'):
        FeatureSpec.load(here / "spec" / "spec.json")


def test_a_spec_whose_files_are_not_kept(tmp_path):
    spec = adapted()
    spec.save(tmp_path / "spec.json")
    again = FeatureSpec.from_json((tmp_path / "spec.json").read_text(), tmp_path)
    assert again == spec and again.vocabulary("city").file == ""
    with raises("the file of table \"city\" is not there. Received: ''"):
        again.vocabulary("city").verify()


def test_load_of_nothing(tmp_path):
    with raises("spec.json", FileNotFoundError):
        FeatureSpec.load(tmp_path / "spec.json")


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
