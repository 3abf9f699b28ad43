"""Look-up by name, version and label; states as they are told."""

import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from tfrec.serving.refusal import Refusal
from tfrec.serving.repository import Repository


class Fake:
    def __init__(self, name, version):
        self.name, self.version, self.users = name, version, 0

    def acquire(self):
        self.users += 1

    def release(self):
        self.users -= 1


@pytest.fixture
def repository():
    made = Repository()
    made.configure({"m": {"stable": 1, "next": 9}})
    for version in (1, 2, 10):
        made.publish(Fake("m", version))
    return made


def spec(name="m", version=None, label=None):
    made = model_pb2.ModelSpec(name=name)
    if version is not None:
        made.version.value = version
    if label is not None:
        made.version_label = label
    return made


@pytest.mark.parametrize(
    ("asked", "version"),
    [(spec(), 10), (spec(version=2), 2), (spec(label="stable"), 1)],
)
def test_it_finds_what_a_request_means(repository, asked, version):
    with repository.hold(asked) as servable:
        assert (servable.version, servable.users) == (version, 1)
    assert servable.users == 0


@pytest.mark.parametrize(
    ("asked", "code", "text"),
    [
        (spec(""), "INVALID_ARGUMENT", "^ModelSpec has no name specified.$"),
        (spec("odd"), "NOT_FOUND", r"request: Latest\(odd\)$"),
        (spec(version=0), "NOT_FOUND", r"request: Specific\(m, 0\)$"),
        (spec(label=""), "INVALID_ARGUMENT", "version label: $"),
        (spec("odd", label="x"), "INVALID_ARGUMENT", "version label: x$"),
        (spec(label="next"), "NOT_FOUND", r"request: Specific\(m, 9\)$"),
    ],
)
def test_what_is_not_there(repository, asked, code, text):
    with pytest.raises(Refusal, match=text) as caught, repository.hold(asked):
        pass
    assert caught.value.code.name == code


def test_who_fails_lets_go(repository):
    with pytest.raises(KeyError), repository.hold(spec()) as servable:
        raise KeyError
    assert servable.users == 0


def told(repository, name):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    data = repository.status(request)
    answer = get_model_status_pb2.GetModelStatusResponse.FromString(data)
    return [
        (entry.version, entry.state, entry.status.error_code, entry.HasField("status"))
        for entry in answer.model_version_status
    ]


def test_states(repository):
    repository.tell("m", 11, "LOADING")
    repository.tell("m", 0, "END", 5, "gone")
    repository.withdraw(("m", 10))
    assert told(repository, "m") == [
        (11, 20, 0, True),
        (10, 40, 0, True),
        (2, 30, 0, True),
        (1, 30, 0, True),
        (0, 50, 5, True),
    ]
    with repository.hold(spec()) as servable:
        assert servable.version == 2
    assert repository.available("m") == [1, 2]
    assert repository.listing()["m"][11] == "LOADING"


def test_ready_means_every_configured_name(repository):
    assert repository.ready()
    repository.configure({"m": {}, "other": {}})
    assert not repository.ready()
    assert repository.configured() == ["m", "other"]
    repository.publish(Fake("other", 1))
    assert repository.ready()
    repository.configure({"other": {}})
    repository.withdraw(("m", 1))
    assert repository.ready()
    assert repository.labels("m") == repository.labels("odd") == {}
