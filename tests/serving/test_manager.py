"""Versions come, go, break and come back; requests see whole steps only."""

import os
import shutil
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from tfrec.serving import ServingError, settling
from tfrec.serving.manager import Manager
from tfrec.serving.refusal import Refusal
from tfrec.serving.repository import Repository
from tfrec.serving.servable import Servable
from tfrec.serving.sources import Source


class Fake(Servable):
    """A servable without a graph."""

    def __init__(self, name, version):
        self.name, self.version = name, version
        self._users, self._lock = 0, threading.Lock()
        self.closes, self.gate = 0, None

    @property
    def closed(self):
        return self.closes > 0

    def close(self):
        self.closes += 1
        if self.gate:
            self.gate.wait(30)


class World:
    """A manager over a folder, with loads that are told what to do."""

    def __init__(self, root, **options):
        self.root = root
        self.repository = Repository()
        self.loads, self.broken, self.gates = [], {}, {}
        told = {"poll_seconds": 0.02, "retries": 0, "retry_seconds": 0.02, **options}
        self.manager = Manager(self.repository, self.load, **told)

    def load(self, name, version, folder):
        self.loads.append((name, version))
        gate = self.gates.get((name, version))
        if gate:
            gate.wait(30)
        error = self.broken.get((name, version))
        if error:
            raise error
        return Fake(name, version)

    def write(self, name, *versions):
        for version in versions:
            new = self.root / name / f"tmp-{version}"
            new.mkdir(parents=True)
            (new / "saved_model.pb").write_bytes(b"x")
            new.rename(self.root / name / str(version))

    def source(self, name, **told):
        (self.root / name).mkdir(exist_ok=True)
        return Source(name, self.root / name, **told)

    def set(self, *sources, seconds=20.0, **told):
        done = self.manager.set(sources, seconds=seconds, **told)
        return done.result(30)

    def states(self, name):
        return self.repository.listing().get(name, {})

    def error(self, name, version):
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        request.model_spec.version.value = version
        data = self.repository.status(request)
        answer = get_model_status_pb2.GetModelStatusResponse.FromString(data)
        status = answer.model_version_status[0].status
        return status.error_code, status.error_message

    def hold(self, name):
        return self.repository.hold(model_pb2.ModelSpec(name=name))


def until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.005)


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setattr(settling, "QUIET", 0.01)
    made = []

    def world(**options):
        made.append(World(tmp_path, **options))
        return made[-1]

    yield world
    for one in made:
        for gate in one.gates.values():
            gate.set()
        one.manager.close()


def test_a_new_version_replaces_the_old_one(make):
    world = make()
    world.write("m", 1)
    world.set(world.source("m"))
    assert world.states("m") == {1: "AVAILABLE"}
    with world.hold("m") as old:
        world.write("m", 2)
        until(lambda: world.states("m") == {2: "AVAILABLE", 1: "UNLOADING"})
        with world.hold("m") as new:
            assert (old.version, new.version) == (1, 2)
        for _ in range(20):  # however long it takes
            time.sleep(0.005)
        assert not old.closed
    until(lambda: world.states("m") == {2: "AVAILABLE", 1: "END"})
    assert old.closed
    assert world.error("m", 1) == (0, "")


def test_the_old_version_answers_while_the_new_one_loads(make):
    world = make()
    world.write("m", 1)
    world.set(world.source("m"))
    gate = world.gates["m", 2] = threading.Event()
    world.write("m", 2)
    until(lambda: world.states("m").get(2) == "LOADING")
    with world.hold("m") as servable:
        assert servable.version == 1
    assert world.states("m")[1] == "AVAILABLE"
    gate.set()
    until(lambda: world.states("m") == {2: "AVAILABLE", 1: "END"})


def test_the_newest_folder_gone_is_a_roll_back(make):
    world = make()
    world.write("m", 1, 2)
    world.set(world.source("m"))
    assert world.states("m") == {2: "AVAILABLE"}
    shutil.rmtree(world.root / "m" / "2")
    until(lambda: world.states("m") == {2: "END", 1: "AVAILABLE"})
    world.write("m", 2)
    until(lambda: world.states("m") == {2: "AVAILABLE", 1: "END"})


def test_policies(make):
    world = make()
    for name in ("all", "two", "one"):
        world.write(name, 1, 2, 3)
    world.set(
        world.source("all", latest=None),
        world.source("two", latest=2),
        world.source("one", specific=(1, 9)),
        first=True,
    )
    assert sorted(world.states("all")) == [1, 2, 3]
    assert sorted(world.states("two")) == [2, 3]
    assert sorted(world.states("one")) == [1]


def test_a_broken_version_is_tried_again_and_harms_nobody(make):
    world = make(retries=2)
    world.write("m", 1)
    world.set(world.source("m"))
    world.broken["m", 2] = ServingError("torn", "DATA_LOSS")
    world.write("m", 2)
    until(lambda: world.states("m").get(2) == "END")
    assert world.loads.count(("m", 2)) == 3
    assert world.states("m") == {2: "END", 1: "AVAILABLE"}
    assert world.error("m", 2) == (15, "torn")
    world.write("m", 3)
    until(lambda: world.states("m").get(3) == "AVAILABLE")
    assert world.loads.count(("m", 2)) == 3


def test_while_it_is_tried_again_it_is_loading(make):
    world = make(retries=1, retry_seconds=1000)
    world.write("m", 1)
    world.set(world.source("m"))
    world.broken["m", 2] = RuntimeError("odd")
    world.write("m", 2)
    world.write("other", 1)
    until(lambda: ("m", 2) in world.loads)
    world.set(world.source("m"), world.source("other"))  # nobody waits for the pause
    assert world.states("m") == {2: "LOADING", 1: "AVAILABLE"}
    assert world.error("m", 2) == (0, "")


def test_a_broken_version_is_loaded_when_it_comes_back(make):
    world = make()
    world.write("m", 1)
    world.set(world.source("m"))
    world.broken["m", 2] = ServingError("torn")
    world.write("m", 2)
    until(lambda: world.states("m").get(2) == "END")
    world.broken.clear()
    (world.root / "m" / "2" / "late").write_text("the rest of a slow copy")
    until(lambda: world.states("m") == {2: "AVAILABLE", 1: "END"})


def test_a_copy_that_goes_on_is_waited_for(make, monkeypatch):
    monkeypatch.setattr(settling, "QUIET", 1000.0)
    world = make()
    folder = world.root / "m" / "1"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"x")
    done = world.manager.set([world.source("m")])
    until(lambda: world.states("m") == {1: "START"})
    assert not world.loads
    monkeypatch.setattr(settling, "QUIET", 0.01)
    done.result(20)
    assert world.loads == [("m", 1)]


def test_a_missing_folder_stops_nobody(make):
    world = make()
    world.write("m", 1)
    world.write("other", 1)
    world.set(world.source("m"), world.source("other"))
    shutil.rmtree(world.root / "m")
    world.write("other", 2)
    until(lambda: world.states("other") == {2: "AVAILABLE", 1: "END"})
    assert world.states("m") == {1: "AVAILABLE"}
    with world.hold("m"):
        pass


def test_an_emptied_folder_unloads_all(make):
    world = make()
    world.write("m", 1)
    world.set(world.source("m"))
    shutil.rmtree(world.root / "m" / "1")
    until(lambda: world.states("m") == {1: "END"})
    assert not world.repository.ready()
    with pytest.raises(Refusal, match=r"Latest\(m\)"), world.hold("m"):
        pass


def test_a_model_left_out_is_unloaded_and_one_named_anew_waited_for(make):
    world = make()
    world.write("m", 1)
    world.write("n", 1)
    world.set(world.source("m"))
    world.set(world.source("n"))
    assert world.states("n") == {1: "AVAILABLE"}
    until(lambda: world.states("m") == {1: "END"})
    world.set(world.source("m"), world.source("n"))
    assert world.states("m") == {1: "AVAILABLE"}
    world.set()
    until(lambda: world.states("m") == world.states("n") == {1: "END"})
    assert world.repository.ready()


def test_a_new_model_that_does_not_load_is_told(make):
    world = make()
    world.write("m", 1)
    world.broken["m", 1] = ServingError("torn")
    with pytest.raises(Refusal) as caught:
        world.set(world.source("m"))
    assert caught.value.code.name == "UNKNOWN"
    assert caught.value.message == (
        "1 model(s) did not become available: "
        "{{name: m version: 1} due to error: torn, }"
    )
    with pytest.raises(Refusal, match="has no wanted version"):
        world.set(world.source("empty"), seconds=0.05)


def test_the_first_set_waits_for_a_version(make):
    world = make()
    done = world.manager.set([world.source("m")], seconds=0.01, first=True)
    for _ in range(20):
        time.sleep(0.005)
    assert not done.done()
    world.write("m", 1)
    done.result(20)


def test_a_version_taken_away_while_the_first_set_loads_it(make):
    world = make(poll_seconds=30.0, retries=5)
    world.write("m", 1, 2)
    world.broken["m", 2] = ServingError("its files are gone", "NOT_FOUND")
    gate = world.gates["m", 2] = threading.Event()
    done = world.manager.set([world.source("m")], first=True)
    until(lambda: world.loads)
    shutil.rmtree(world.root / "m" / "2")
    gate.set()
    done.result(20)
    assert world.states("m")[1] == "AVAILABLE"


def test_labels_name_what_is_available(make):
    world = make()
    world.write("m", 1, 2, 3)
    with pytest.raises(Refusal, match="assign label to version 1 of model m") as caught:
        world.set(world.source("m", labels={"stable": 1}))
    assert caught.value.code.name == "FAILED_PRECONDITION"
    assert world.states("m") == {}
    world.set(world.source("m", latest=None), first=True)
    world.set(world.source("m", latest=None, labels={"stable": 1}))
    assert world.repository.labels("m") == {"stable": 1}
    with pytest.raises(Refusal, match="version 9 of model m"):
        world.set(world.source("m", latest=None, labels={"stable": 9}))
    assert world.repository.labels("m") == {"stable": 1}


def test_only_new_labels_go_ahead(make):
    world = make(labels_ahead=True)
    world.write("m", 1)
    world.set(world.source("m", labels={"stable": 1, "next": 2}))
    assert world.repository.labels("m") == {"stable": 1, "next": 2}
    world.set(world.source("m", labels={"stable": 1, "next": 2}))
    with pytest.raises(Refusal, match="version 3 of model m"):
        world.set(world.source("m", labels={"stable": 3}))


def test_somebody_who_gave_up_waiting(make):
    world = make()
    gate = world.gates["m", 1] = threading.Event()
    world.write("m", 1)
    done: Future = world.manager.set([world.source("m")])
    done.cancel()
    gate.set()
    world.write("n", 1)
    world.set(world.source("n"))
    assert world.states("n") == {1: "AVAILABLE"}


def test_without_polls_nothing_new_is_seen(make):
    world = make(poll_seconds=0)
    world.write("m", 1)
    world.set(world.source("m"))
    world.write("m", 2)
    for _ in range(20):
        time.sleep(0.005)
    assert world.states("m") == {1: "AVAILABLE"}
    world.set(world.source("m"))
    until(lambda: world.states("m") == {2: "AVAILABLE", 1: "END"})


def test_close_frees_what_is_loaded(make):
    world = make()
    world.write("m", 1)
    world.set(world.source("m"))
    with world.hold("m") as servable:
        pass
    world.manager.close()
    assert servable.closed
    assert os.listdir(Path(world.root)) == ["m"]


def test_close_in_the_middle_of_an_unloading(make):
    world = make()
    world.write("m", 1)
    world.set(world.source("m"))
    with world.hold("m") as servable:
        servable.gate = threading.Event()
    world.set()
    until(lambda: servable.closed)
    closing = threading.Thread(target=world.manager.close)
    closing.start()
    until(lambda: "manager" not in [one.name for one in threading.enumerate()])
    servable.gate.set()
    closing.join(30)
    assert servable.closes == 1
    assert world.states("m") == {1: "END"}


def test_close_with_loads_that_wait(make, caplog):
    world = make()
    world.write("m", 1, 2)
    gate = world.gates["m", 1] = world.gates["m", 2] = threading.Event()
    done = world.manager.set([world.source("m", latest=None)])
    until(lambda: world.loads)
    world.manager.close()
    gate.set()
    assert len(world.loads) == 1
    assert not caplog.records
    with pytest.raises(Refusal, match="stopping"):
        done.result(30)
