import threading

import pytest

from tfrec.index import folder


def write(root, text):
    with folder.locked(root), folder.new_version(root) as place:
        (place / "a").write_text(text)
        (place / "b").write_text(text)


def test_what_fails_is_not_shown(tmp_path):
    write(tmp_path, "one")
    with pytest.raises(RuntimeError), folder.new_version(tmp_path) as place:
        (place / "a").write_text("two")
        raise RuntimeError("disk full")
    assert (folder.current(tmp_path) / "a").read_text() == "one"
    assert [p.name for p in (tmp_path / "versions").iterdir()] == ["000001"]


def test_two_versions_are_kept(tmp_path):
    for number in range(5):
        write(tmp_path, str(number))
    names = sorted(p.name for p in (tmp_path / "versions").iterdir())
    assert names == ["000004", "000005"]


def test_readers_never_see_a_mixture(tmp_path):
    write(tmp_path, "0")
    stop, mixed, seen = threading.Event(), [], set()

    def read():
        while not stop.is_set():
            place = folder.current(tmp_path)
            try:
                pair = [(place / name).read_text() for name in "ab"]
            except FileNotFoundError:  # two versions later; the reader asks again
                continue
            seen.add(pair[0])
            if pair[0] != pair[1]:
                mixed.append(pair)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(1, 60):
        write(tmp_path, str(number))
    stop.set()
    thread.join()
    assert not mixed and seen
