"""`feature_spec.json`: read, checked, used."""

import json
import re
import shutil

import pytest

from tfrec.serving import ServingError, documents

FILE = "1/assets.extra/feature_spec.json"


@pytest.fixture
def content(movies):
    return json.loads((movies / "ranker" / FILE).read_text())


def test_a_folder_of_servables(movies):
    found = documents.read(movies)
    assert sorted(found) == ["item_tower", "ranker", "user_tower"]
    assert found["ranker"].side("user", "context") == ["user_id", "history", "age"]
    assert found["ranker"].side("item") == ["movie_id", "price"]


def test_one_servable_and_a_mapping(movies, content):
    assert list(documents.read(movies / "ranker")) == ["ranker"]
    assert list(documents.read({"mine": content})) == ["mine"]


def test_the_newest_version_counts(movies, content, tmp_path):
    for version in ("2", "10"):
        content["version"] = int(version)
        content["outputs"] = {f"score_{version}": content["outputs"]["score"]}
        content["outputs"][f"score_{version}"] = {"dtype": "float32", "shape": [None]}
        path = tmp_path / "ranker" / version / "assets.extra" / "feature_spec.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
        content["outputs"] = {"score": {"dtype": "float32", "shape": [None]}}
    assert list(documents.read(tmp_path)["ranker"].outputs) == ["score_10"]


def test_what_is_no_export(movies, tmp_path):
    with pytest.raises(ServingError, match="Client: `specs` must be a folder"):
        documents.read(tmp_path / "absent")
    shutil.copytree(movies / "ranker", tmp_path / "ranker")
    (tmp_path / "ranker" / FILE).write_text("{")
    with pytest.raises(ValueError, match=r"Its assets.extra/feature_spec.json cannot"):
        documents.read(tmp_path)
    with pytest.raises(TypeError, match="`specs` must be a folder that export wrote"):
        documents.read(7)


@pytest.mark.parametrize("key", ["format", "servable", "inputs", "outputs", "spec"])
def test_a_document_without_a_key(content, key):
    del content[key]
    text = f'Client: `specs` must have the key "{key}"'
    with pytest.raises(ValueError, match=re.escape(text)):
        documents.read({"ranker": content})


def test_a_document_of_another_format(content):
    content["format"] = 2
    with pytest.raises(ValueError, match="must have format 1"):
        documents.read({"ranker": content})


LISTS = {"dtype": "string", "shape": [None, None], "default": [[]]}
COUNT = {"dtype": "int32", "shape": [], "default": 10}


@pytest.fixture
def recommender(content):
    told = {"exclude": LISTS, "n": COUNT}
    return documents.Document({**content, "parameters": told}, "shop")


def test_parameters(recommender, content):
    settings = recommender.settings({"n": 3}, 1)
    assert settings["n"].tolist() == 3
    assert settings["n"].dtype == "int32"
    assert settings["exclude"].shape == (1, 0)
    given = recommender.settings({"exclude": [["a", "b"]]}, 3)
    assert given["exclude"].tolist() == [["a", "b"]]
    given = recommender.settings({"exclude": [["a", "b"], []]}, 2)
    assert given["exclude"].tolist() == [["a", "b"], ["", ""]]
    assert given["n"].tolist() == 10
    assert documents.Document(content).settings({}, 1) == {}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"exlude": [[]]},
            'Client: `parameters` must be parameters of "shop". Received: '
            'parameters=\'exlude\' (str). It has "exclude", "n". Did you mean '
            '"exclude"?',
        ),
        ({"n": 1.5}, "Client: `n` must hold int32 and have rank 0. Received: n=1.5"),
        ({"n": True}, "Client: `n` must hold int32 and have rank 0. Received: n=True"),
        ({"n": [1]}, "Client: `n` must hold int32 and have rank 0. Received: n=[1]"),
        ({"n": 2**31}, "Client: `n` must hold int32 and have rank 0. Received: n=214"),
        ({"n": 0}, "Client: `n` must be an int >= 1. Received: n=0 (int)."),
        (
            {"exclude": [["a"], ["b"]]},
            "`exclude` must hold one list, or one for each of the 3 rows. Received",
        ),
        ({"exclude": ["a"]}, "Client: `exclude` must hold string and have rank 2"),
        ({"exclude": [[1]]}, "Client: `exclude` must hold string and have rank 2"),
        ({"exclude": [["a"], "b"]}, "Client: `exclude` must hold string and have rank"),
    ],
)
def test_bad_parameters(recommender, given, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        recommender.settings(given, 3)
