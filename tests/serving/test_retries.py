"""UNAVAILABLE only, three times, within the deadline."""

import pytest

from tfrec.serving import ServingError, retries
from tfrec.serving.retries import Deadline, Retries


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(retries.time, "monotonic", lambda: now[0])
    return now


def test_the_deadline(clock):
    deadline = Deadline(2.0)
    assert deadline.left() == 2.0
    clock[0] += 1.5
    assert deadline.left() == 0.5
    clock[0] += 9
    assert deadline.left() == 0.001


def test_pauses_double_and_differ(clock):
    seen = set()
    for _ in range(50):
        tries = Retries(Deadline(10))
        pauses = [tries.pause(ServingError("", "UNAVAILABLE")) for _ in range(3)]
        for pause, most in zip(pauses, (0.1, 0.2, 0.4), strict=True):
            assert most / 2 <= pause <= most
        seen.update(pauses)
        last = ServingError("last", "UNAVAILABLE")
        with pytest.raises(ServingError) as caught:
            tries.pause(last)
        assert caught.value is last
    assert len(seen) > 100


@pytest.mark.parametrize(
    "code", ["DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "NOT_FOUND", "INTERNAL"]
)
def test_other_codes_are_final(clock, code):
    error = ServingError("no", code)
    with pytest.raises(ServingError) as caught:
        Retries(Deadline(10)).pause(error)
    assert caught.value is error


def test_no_pause_goes_over_the_deadline(clock):
    tries = Retries(Deadline(0.15))
    assert tries.pause(ServingError("", "UNAVAILABLE")) <= 0.1
    clock[0] += 0.1
    with pytest.raises(ServingError):
        tries.pause(ServingError("", "UNAVAILABLE"))


def test_failures_are_told():
    error = retries.failed("h:1", "m", "UNAVAILABLE", "gone")
    assert error.code == "UNAVAILABLE"
    assert str(error).startswith('Client: servable "m" at h:1 answered UNAVAILABLE: go')
    assert str(error).endswith("`tfrec serve` prints its address.")
    assert str(retries.failed("h:1", "m", "INTERNAL", None)).endswith("INTERNAL: .")
