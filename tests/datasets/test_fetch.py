import hashlib
import io
import sys
import urllib.request
from email.message import Message
from pathlib import Path

import pandas as pd
import pytest

from tfrec.datasets import fetch

LAYOUTS = ({"a": "a.csv", "b": "b.csv"}, {"a": "both.zip", "b": "both.zip"})


def write(folder, *names, text="x\n1\n"):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(text)
    return folder


def find(source=None, **options):
    options = {"folder": "toy", "by_hand": "get it.", **options}
    return fetch.find("toy_set", LAYOUTS, source, **options)


def remote(folder, *, text="x\n1\n", **options):
    """A file at an address that answers, with its true checksum."""
    write(folder, "both.zip", text=text)
    options.setdefault("sha256", hashlib.sha256(text.encode()).hexdigest())
    return fetch.Remote((folder / "both.zip").as_uri(), "both.zip", **options)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that must not be imported."""
    write(tmp_path / "site" / "toy_pkg", "__init__.py", text="raise ImportError")
    write(tmp_path / "site" / "toy_pkg" / "files", "a.csv", "b.csv")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return ("toy_pkg", "files")


def test_places_come_in_order(tmp_path, monkeypatch, alone, package):
    given, named = tmp_path / "given", tmp_path / "data"
    options = {"package": package, "remote": remote(tmp_path / "web")}
    write(given, "a.csv", "b.csv")
    monkeypatch.setenv("TFREC_DATA", str(named))

    assert find(**options)["a"].parent == tmp_path / "site" / "toy_pkg" / "files"
    assert "toy_pkg" not in sys.modules
    del options["package"]
    assert find(**options) == dict.fromkeys("ab", alone / "toy" / "both.zip")
    write(alone / "toy", "a.csv", "b.csv")  # put there by hand, preferred to the zip
    assert find(**options)["b"] == alone / "toy" / "b.csv"
    write(named / "toy", "a.csv")  # not complete
    assert find(**options)["b"] == alone / "toy" / "b.csv"
    write(named / "toy", "b.csv")
    assert find(**options)["b"] == named / "toy" / "b.csv"
    assert find(given, **options)["b"] == given / "b.csv"


def test_a_source_may_be_a_folder_or_the_one_file(tmp_path):
    write(tmp_path, "both.zip", "renamed.zip")
    for source in (tmp_path, str(tmp_path / "both.zip"), tmp_path / "renamed.zip"):
        found = find(source)
        assert found["a"] == found["b"] and found["a"].suffix == ".zip"


def test_a_source_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("TFREC_DATA", str(tmp_path))
    write(tmp_path / "toy", "a.csv", "b.csv")  # never used in place of the source
    write(tmp_path / "empty", "a.csv")
    for source, words in {
        tmp_path / "nowhere": "not there",
        tmp_path / "empty": "holds none of them complete",
        tmp_path / "empty" / "a.csv": "of no known kind",
    }.items():
        with pytest.raises(FileNotFoundError) as error:
            find(source)
        assert str(error.value) == (
            "toy_set: the data is not there. Wanted: a.csv + b.csv, or both.zip. "
            f'Looked at:\n  argument `source`: "{source}": {words}\nBy hand: get it.'
        )
    with pytest.raises(TypeError, match="`source` must be the path of a folder or fi"):
        find(3)


def test_the_error_lists_every_place(tmp_path, monkeypatch, alone):
    absent = fetch.Remote((tmp_path / "no.zip").as_uri(), "both.zip")
    with pytest.raises(FileNotFoundError) as error:
        find(package=("no_such_package", "files"), remote=absent)
    lines = str(error.value).split("\n")
    assert lines[1:5] == [
        "  argument `source`: not given",
        "  environment variable TFREC_DATA: not set",
        '  package "no_such_package": not installed',
        f'  cache "{alone / "toy"}": not there',
    ]
    assert lines[5].startswith(f"  download of {absent.url}: ")
    assert lines[6:] == ["By hand: get it."]
    monkeypatch.setenv("TFREC_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        find()
    lines = str(error.value).split("\n")
    assert (
        lines[2]
        == f'  environment variable TFREC_DATA: "{tmp_path / "toy"}": not there'
    )
    assert lines[3] == "  installed package: none carries it"
    assert lines[5] == "  download: not offered"


def test_cache_folder(monkeypatch):
    monkeypatch.setenv("TFREC_CACHE", "~/somewhere")
    assert fetch.cache_folder() == Path.home() / "somewhere"
    monkeypatch.delenv("TFREC_CACHE")
    assert fetch.cache_folder() == Path.home() / ".cache" / "tfrec"


def test_a_wrong_checksum_leaves_nothing(tmp_path, alone):
    wrong = remote(tmp_path, sha256="0" * 64)
    with pytest.raises(ValueError) as error:
        find(remote=wrong)
    digest = hashlib.sha256(b"x\n1\n").hexdigest()
    assert str(error.value).startswith(
        f"toy_set: both.zip must have the SHA-256 {'0' * 64}. Received: {digest} "
        f"(4 bytes from {wrong.url}). Delete "
    )
    assert list((alone / "toy").iterdir()) == []


def test_a_cached_file_is_checked_again(tmp_path, alone):
    right = remote(tmp_path)
    found = find(remote=right)["a"]
    assert found.read_text() == "x\n1\n"
    assert list((alone / "toy").iterdir()) == [found]
    found.write_text("x\n2\n")
    with pytest.raises(ValueError, match="must have the SHA-256"):
        find(remote=right)


def test_a_failed_check_leaves_nothing(tmp_path, alone):
    def check(file):
        fetch.check_rows("toy_set", len(pd.read_csv(file, compression=None)), 7, file)

    with pytest.raises(ValueError) as error:
        find(remote=remote(tmp_path, sha256="", check=check))
    assert str(error.value) == (
        "toy_set: both.zip must have 7 rows, as its publisher says. Received: 1. "
        "Download it yourself and pass its path as `source`."
    )
    assert list((alone / "toy").iterdir()) == []


def test_a_broken_connection_leaves_nothing(monkeypatch, alone):
    answer = io.BytesIO(b"half")
    answer.headers = Message()
    answer.headers["Content-Length"] = "8"
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, **options: answer)
    with pytest.raises(FileNotFoundError, match="broke after 4 of 8 bytes"):
        find(remote=fetch.Remote("https://example.org/both.zip", "both.zip"))
    assert list((alone / "toy").iterdir()) == []


def test_broken_files_are_named(tmp_path):
    file = tmp_path / "a.parquet"
    file.write_bytes(b"PAR1 cut")
    with pytest.raises(ValueError) as error:
        with fetch.reading("toy_set", file):
            pd.read_parquet(file)
    assert str(error.value).startswith(f"toy_set: {str(file)!r} cannot be read: ")
    assert str(error.value).endswith("not what its name says: get it again.")


def test_columns_are_checked(tmp_path):
    frame = pd.DataFrame({"user": [1, 2], "text": ["x", None]})
    file = tmp_path / "a.csv"
    fetch.check_columns("toy_set", frame, ["user", "text"], file, gaps=["text"])
    with pytest.raises(ValueError) as error:
        fetch.check_columns("toy_set", frame, ["users"], file)
    assert str(error.value) == (
        'toy_set: column "users" must be in the file. Received: "user", "text" in '
        f"{str(file)!r}. Pass the data set's own file as `source`. Did you mean "
        '"user"?'
    )
    with pytest.raises(ValueError) as error:
        fetch.check_columns("toy_set", frame, ["text"], file)
    assert str(error.value) == (
        'toy_set: column "text" must not be missing. Received: no value in row 1 of '
        f"{str(file)!r}. The file is cut off or damaged: get it again."
    )
