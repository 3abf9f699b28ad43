"""A folder at rest, one in motion, one that vanishes."""

import os
import shutil
import time

from tfrec.serving import settling
from tfrec.serving.settling import Settling, files_in


def test_what_is_old_is_settled_at_once(tmp_path, monkeypatch):
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    monkeypatch.setattr(settling.time, "time", lambda: time.monotonic() + 1e12)
    assert Settling(tmp_path).settled()


def test_what_has_just_changed_is_not(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(settling.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(settling.time, "time", lambda: 0.0)  # a clock that is behind
    path = tmp_path / "variables"
    path.write_bytes(b"x")
    watched = Settling(tmp_path)
    assert not watched.settled()
    now[0] += settling.QUIET / 2
    path.write_bytes(b"xy")
    assert not watched.settled()
    now[0] += settling.QUIET * 0.9
    assert not watched.settled()
    now[0] += settling.QUIET * 0.2
    assert watched.settled()
    assert not watched.changed()
    (tmp_path / "more").mkdir()
    assert watched.changed()


def test_a_rename_of_the_folder_changes_nothing(tmp_path):
    old, new = tmp_path / "tmp-1", tmp_path / "1"
    (old / "variables").mkdir(parents=True)
    (old / "variables" / "data").write_bytes(b"x")
    before = [files_in(old)[key] for key in sorted(files_in(old))]
    os.rename(old, new)
    assert [files_in(new)[key] for key in sorted(files_in(new))] == before


def test_a_folder_that_is_gone_is_never_settled(tmp_path):
    folder = tmp_path / "1"
    folder.mkdir()
    watched = Settling(folder)
    watched.settled()
    shutil.rmtree(folder)
    assert not watched.settled()
    assert not watched.changed()
