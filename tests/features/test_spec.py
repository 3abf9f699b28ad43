import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    Sequence,
    Vocabulary,
)


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


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


def vocabulary(table, size=3):
    return Vocabulary(table, "string", size, "ab")


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
