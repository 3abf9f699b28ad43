import json
import re
from keyword import iskeyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
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


CITY = FeatureSpec([Categorical("city", side="user")])


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
    document = {**json.loads(CITY.to_json()), **change}
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
