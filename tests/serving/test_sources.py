"""Folders, versions and the errors of both."""

import re

import pytest

from tfrec.serving import ServingError
from tfrec.serving.sources import Source, from_base_path, from_folder, versions_in


def make(root, *paths):
    for path in paths:
        (root / path).mkdir(parents=True)
    return root


def test_only_integers_are_versions(tmp_path):
    make(tmp_path, "1", "00012", "tmp-5", "1.partial", ".git", "-3", "٣", "9" * 30)
    (tmp_path / "7").write_text("a file")
    assert sorted(versions_in(tmp_path)) == [-3, 1, 12]


def test_the_last_of_two_names_for_a_number_counts(tmp_path):
    make(tmp_path, "01", "1")
    assert versions_in(tmp_path) == {1: tmp_path / "1"}


def test_a_folder_of_servables(tmp_path):
    make(tmp_path, "ranker/1", "ranker/2", "user_tower/3", "notes")
    (tmp_path / "models.config").write_text("")
    names = {source.name: list(source.versions()) for source in from_folder(tmp_path)}
    assert names == {"ranker": [2], "user_tower": [3]}


def test_the_folder_of_one_servable(tmp_path):
    make(tmp_path, "ranker/1")
    assert [source.name for source in from_folder(tmp_path / "ranker")] == ["ranker"]


def test_policies(tmp_path):
    make(tmp_path, "1", "2", "9", "10")
    assert list(Source("m", tmp_path).versions()) == [10]
    assert list(Source("m", tmp_path, latest=2).versions()) == [9, 10]
    assert list(Source("m", tmp_path, latest=None).versions()) == [1, 2, 9, 10]
    assert list(Source("m", tmp_path, specific=(9, 1)).versions()) == [1, 9]


def test_a_missing_version_is_named(tmp_path):
    make(tmp_path, "1")
    with pytest.raises(ServingError, match=r'"m" must have version 5, .* with "1"'):
        Source("m", tmp_path, specific=(1, 5)).versions()
    with pytest.raises(ServingError, match=r"must have a version, .* with none"):
        Source("m", make(tmp_path, "empty") / "empty").versions()


def test_a_missing_folder(tmp_path):
    text = "serve: `path` must be a folder. Received: path="
    with pytest.raises(ServingError, match=re.escape(text)) as caught:
        from_folder(tmp_path / "absent")
    assert caught.value.code == "NOT_FOUND"


def test_a_folder_without_a_servable(tmp_path):
    make(tmp_path, "notes")
    with pytest.raises(ServingError, match=r'must hold servables.*It holds "notes"'):
        from_folder(tmp_path)


def test_a_base_path_takes_the_name_it_is_given(tmp_path):
    make(tmp_path, "1")
    (source,) = from_base_path("mine", tmp_path)
    assert (source.name, list(source.versions())) == ("mine", [1])
    with pytest.raises(ServingError, match="`model_base_path` must be a folder"):
        from_base_path("mine", tmp_path / "absent")
