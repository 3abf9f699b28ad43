"""Towers of one pair come and go together."""

import json
import os
import shutil
import threading
import time

import pytest
from tensorflow_serving.apis import model_pb2

from tfrec.serving import pairs, settling
from tfrec.serving.errors import ServingError
from tfrec.serving.manager import Manager
from tfrec.serving.refusal import Refusal
from tfrec.serving.repository import Repository
from tfrec.serving.servable import Servable
from tfrec.serving.sources import Source

TOWERS = ("user_tower", "item_tower")


class Fake(Servable):
    """A servable without a graph."""

    def __init__(self, name, version):
        self.name, self.version = name, version
        self._users, self._lock = 0, threading.Lock()
        self.closed = False

    def close(self):
        self.closed = True


def write(root, name, version, pair):
    new = root / name / f"tmp-{version}"
    (new / "assets.extra").mkdir(parents=True)
    document = {"pair_id": pair} if pair else {}
    (new / "assets.extra/feature_spec.json").write_text(json.dumps(document))
    new.rename(root / name / str(version))


def sources(root, *names, **told):
    return [Source(name, root / name, **told) for name in names]


class World:
    """A manager over a folder of towers; `broken` and `gates` steer its loads."""

    def __init__(self, root):
        self.root, self.repository = root, Repository()
        self.broken, self.gates, self.made = set(), {}, []
        told = {"poll_seconds": 0.02, "retries": 0, "threads": 2}
        self.manager = Manager(self.repository, self.load, **told)

    def load(self, name, version, folder):
        if gate := self.gates.get((name, version)):
            gate.wait(30)
        if (name, version) in self.broken:
            raise ServingError("it is broken", "INTERNAL")
        self.made.append(Fake(name, version))
        return self.made[-1]

    def set(self, *names, **told):
        wanted = sources(self.root, *names, **told)
        return self.manager.set(wanted, first=True).result(30)

    def newest(self, name):
        with self.repository.hold(model_pb2.ModelSpec(name=name)) as servable:
            return servable.version

    def state(self, name, version):
        return self.repository.listing().get(name, {}).get(version)

    def stays(self, name, version):
        """Several polls later it is still what is served."""
        for _ in range(20):
            time.sleep(0.01)
            assert self.newest(name) == version


def until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.005)


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(settling, "QUIET", 0.01)
    made = World(tmp_path)
    yield made
    for gate in made.gates.values():
        gate.set()
    made.manager.close()
    assert all(one.closed for one in made.made)


def test_what_is_wanted_of_pairs(tmp_path):
    known = pairs.Pairs()
    for name, version, pair in [
        *[("user_tower", 1, "p"), ("user_tower", 2, "q"), ("user_tower", 3, "r")],
        *[("item_tower", 1, "p"), ("item_tower", 5, "q"), ("ranker", 9, "")],
    ]:
        write(tmp_path, name, version, pair)
    every = sources(tmp_path, *TOWERS, "ranker")

    def wanted(some):
        found, troubles = known.wanted(some)
        assert not troubles
        return {name: sorted(versions) for name, versions in found.items()}

    assert wanted(every) == {"user_tower": [2], "item_tower": [5], "ranker": [9]}
    assert wanted(every[:1]) == {"user_tower": [3]}
    two = sources(tmp_path, *TOWERS, latest=2)
    assert wanted(two) == {"user_tower": [1, 2], "item_tower": [1, 5]}
    one = sources(tmp_path, "user_tower", specific=(1, 3))
    assert wanted([*one, every[1]]) == {"user_tower": [1, 3], "item_tower": [1]}
    write(tmp_path, "recommender", 1, "z")  # nothing has its pair
    none = sources(tmp_path, *TOWERS, "recommender")
    assert wanted(none) == {"user_tower": [3], "item_tower": [5], "recommender": [1]}
    found, troubles = known.wanted(sources(tmp_path, "user_tower", "absent"))
    assert list(found) == ["user_tower"] and list(troubles) == ["absent"]


def test_the_pair_of_a_folder(tmp_path):
    known = pairs.Pairs()
    write(tmp_path, "user_tower", 1, "p")
    folder = tmp_path / "user_tower/1"
    assert known.of(folder) == "p"
    assert known.of(tmp_path) == ""
    file = folder / pairs.FILE
    for text, pair in [('{"pair_id": "q"}', "q"), ("[]", ""), ("{", "")]:
        file.write_text(text)
        os.utime(file, ns=(0, len(text)))  # another time, however fast we are
        assert known.of(folder) == pair
    file.write_text('{"pair_id": "q"}')
    assert known.of(folder) == "q"
    file.unlink()  # the folder is being deleted
    assert known.of(folder) == "q"


def test_a_half_exported_pair_waits_for_the_other_half(world):
    for name in TOWERS:
        write(world.root, name, 1, "p")
    world.set(*TOWERS)
    write(world.root, "user_tower", 2, "q")
    world.stays("user_tower", 1)
    write(world.root, "item_tower", 2, "q")
    until(lambda: world.newest("user_tower") == world.newest("item_tower") == 2)
    until(lambda: world.state("user_tower", 1) == "END")


def test_the_first_half_waits_until_the_second_is_loaded(world):
    for name in TOWERS:
        write(world.root, name, 1, "p")
    world.set(*TOWERS)
    gate = world.gates["item_tower", 2] = threading.Event()
    for name in TOWERS:
        write(world.root, name, 2, "q")
    until(lambda: any(one.version == 2 for one in world.made))
    world.stays("user_tower", 1)
    assert world.state("user_tower", 2) == "LOADING"
    gate.set()
    until(lambda: world.newest("user_tower") == world.newest("item_tower") == 2)


def test_a_broken_half_keeps_the_old_pair(world):
    for name in TOWERS:
        write(world.root, name, 1, "p")
    world.set(*TOWERS)
    world.broken.add(("item_tower", 2))
    for name in TOWERS:
        write(world.root, name, 2, "q")
    until(lambda: world.state("item_tower", 2) == "END")
    world.stays("user_tower", 1)
    shutil.rmtree(world.root / "item_tower/2")  # the other half is freed, too
    until(lambda: world.state("user_tower", 2) == "END")
    assert world.newest("user_tower") == 1


def test_towers_of_two_pairs_are_refused_at_the_start(world):
    write(world.root, "user_tower", 1, "p")
    write(world.root, "item_tower", 1, "q")
    text = 'no version of "item_tower" is there for its pair p'
    with pytest.raises(Refusal, match=text):
        world.set(*TOWERS)


def test_a_client_never_sees_two_pairs_at_once(world):
    """User, item, user: where both users are of one pair, so is the item."""
    for name in TOWERS:
        write(world.root, name, 1, "p1")
    world.set(*TOWERS)
    stop, seen, wrong = threading.Event(), set(), []

    def ask():
        while not stop.is_set():
            first, item, last = map(world.newest, (*TOWERS, TOWERS[0]))
            seen.add(item)
            if first == last != item:
                wrong.append((first, item, last))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        for version in range(2, 8):
            for name in TOWERS:
                write(world.root, name, version, f"p{version}")
            until(lambda version=version: world.newest("item_tower") == version)
        for version in range(7, 1, -1):  # and back
            name = TOWERS[version % 2]
            shutil.rmtree(world.root / name / str(version))
            until(lambda version=version: world.newest("item_tower") == version - 1)
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert not wrong
    assert seen == set(range(1, 8))
