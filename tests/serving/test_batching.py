"""Requests run together, and each gets its own rows back."""

import asyncio
import threading

import numpy as np
import pytest

from tfrec.serving import ServingError, batching
from tfrec.serving.batching import Batcher, Parameters
from tfrec.serving.predict import Job
from tfrec.serving.refusal import Refusal


class Users:
    def __init__(self):
        self.count = 0

    def acquire(self):
        self.count += 1

    def release(self):
        self.count -= 1


class Doubler:
    """A signature that keeps what it ran and doubles it."""

    def __init__(self):
        self.servable = Users()
        self.ran = []
        self.limits = []
        self.gate = None
        self.started = threading.Event()
        self.scalar = False

    def run(self, outputs, arrays, seconds):
        self.started.set()
        if self.gate:
            self.gate.wait(20)
        self.ran.append([array.copy() for array in arrays])
        self.limits.append(seconds)
        if arrays[0].dtype != object and (arrays[0] < 0).any():
            raise ValueError("negative")
        if self.scalar:
            return [np.float32(1)]
        return [array * 2 for array in arrays][: len(outputs)]


def job(signature, *arrays):
    return Job(signature, ("y",), [np.array(array, np.float32) for array in arrays])


def together(told, *jobs, seconds=None):
    """Answers, or errors, of jobs that arrive at once."""

    async def run():
        batcher = Batcher(told)
        answers = [batcher.run(one, seconds) for one in jobs]
        found = await asyncio.gather(*answers, return_exceptions=True)
        assert not batcher._open and not batcher._ripe and not batcher._waiting
        batcher.close()
        return found

    return asyncio.run(run())


def values(answers):
    return [answer[0].tolist() for answer in answers]


def test_what_arrives_together_runs_together():
    signature = Doubler()
    told = Parameters(num_batch_threads=1)
    answers = together(told, *(job(signature, [n, n]) for n in range(5)))
    assert values(answers) == [[2 * n, 2 * n] for n in range(5)]
    assert [len(arrays[0]) for arrays in signature.ran] == [10]
    assert signature.servable.count == 0


def test_a_batch_is_never_larger_than_allowed():
    signature = Doubler()
    told = Parameters(max_batch_size=4, num_batch_threads=1)
    answers = together(told, *(job(signature, [n] * 3) for n in range(4)))
    assert values(answers) == [[2 * n] * 3 for n in range(4)]
    assert [len(arrays[0]) for arrays in signature.ran] == [3] * 4


def test_a_full_batch_does_not_wait():
    signature = Doubler()
    told = Parameters(max_batch_size=2, batch_timeout_micros=10**9)
    assert values(together(told, job(signature, [1]), job(signature, [2])))
    assert len(signature.ran) == 1


def test_other_shapes_and_outputs_run_apart():
    signature = Doubler()
    one, other = job(signature, [[1]]), job(signature, [[1, 2]])
    third = one._replace(outputs=())
    answers = together(Parameters(num_batch_threads=1), one, other, third)
    assert answers[0][0].tolist() == [[2]]
    assert answers[1][0].tolist() == [[2, 4]]
    assert answers[2] == []
    assert len(signature.ran) == 3


def test_rows_are_padded_to_the_longest():
    signature = Doubler()
    told = Parameters(num_batch_threads=1, pad_variable_length_inputs=True)
    answers = together(told, job(signature, [[1]]), job(signature, [[2, 3]]))
    assert answers[0][0].tolist() == [[2, 0]]
    assert answers[1][0].tolist() == [[4, 6]]
    assert len(signature.ran) == 1
    strings = [np.array(text, object) for text in ([[b"a"]], [[b"b", b"c"]])]
    assert batching._stacked(strings).tolist() == [[b"a", b""], [b"b", b"c"]]


def test_batches_are_filled_up_to_an_allowed_size():
    signature = Doubler()
    told = Parameters(max_batch_size=8, allowed_batch_sizes=(4, 8))
    (answer,) = together(told, job(signature, [5, 6, 7]))
    assert answer[0].tolist() == [10, 12, 14]
    assert signature.ran[0][0].tolist() == [5, 6, 7, 5]


def test_one_bad_row_does_not_fail_its_neighbours():
    signature = Doubler()
    told = Parameters(num_batch_threads=1)
    good, bad, fine = together(told, *(job(signature, [n]) for n in (1, -1, 2)))
    assert (good[0].tolist(), fine[0].tolist()) == ([2], [4])
    assert isinstance(bad, Refusal)
    assert bad.message == "negative"


def test_large_requests_are_refused_or_split():
    signature = Doubler()
    (error,) = together(Parameters(max_batch_size=2), job(signature, [1, 2, 3]))
    assert error.code.name == "INVALID_ARGUMENT"
    assert "Task size 3 is larger than maximum" in error.message
    told = Parameters(
        max_batch_size=4, enable_large_batch_splitting=True, max_execution_batch_size=2
    )
    (answer,) = together(told, job(signature, range(5)))
    assert answer[0].tolist() == [0, 2, 4, 6, 8]
    assert max(len(arrays[0]) for arrays in signature.ran) == 2


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ([[1, 2], [1]], "must have equal 0th-dimension size"),
        ([1.0], "must have at least one dimension"),
    ],
)
def test_inputs_must_agree(arrays, text):
    (error,) = together(Parameters(), job(Doubler(), *arrays))
    assert error.code.name == "INVALID_ARGUMENT"
    assert text in error.message


def test_outputs_must_have_the_rows():
    signature = Doubler()
    signature.scalar = True
    (error,) = together(Parameters(), job(signature, [1]))
    assert error.code.name == "FAILED_PRECONDITION"
    assert "Batched output tensor" in error.message


def test_an_empty_request():
    (answer,) = together(Parameters(allowed_batch_sizes=(1000,)), job(Doubler(), []))
    assert answer[0].tolist() == []


def test_a_full_queue_refuses(monkeypatch):
    signature = Doubler()
    signature.gate = threading.Event()

    async def run():
        told = Parameters(max_batch_size=1, max_enqueued_batches=1, num_batch_threads=1)
        batcher = Batcher(told)
        first = asyncio.ensure_future(batcher.run(job(signature, [1]), None))
        while not signature.started.is_set():
            await asyncio.sleep(0.001)
        second = asyncio.ensure_future(batcher.run(job(signature, [2]), None))
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="submitted is full") as caught:
            await batcher.run(job(signature, [3]), None)
        assert caught.value.code.name == "UNAVAILABLE"
        signature.gate.set()
        assert values([await first, await second]) == [[2], [4]]
        batcher.close()

    asyncio.run(run())


def test_who_has_no_time_left_is_not_run():
    signature = Doubler()
    signature.gate = threading.Event()

    async def run():
        batcher = Batcher(Parameters(max_batch_size=1, num_batch_threads=1))
        first = asyncio.ensure_future(batcher.run(job(signature, [1]), 60.0))
        while not signature.started.is_set():
            await asyncio.sleep(0.001)
        with pytest.raises(asyncio.TimeoutError):
            await batcher.run(job(signature, [2]), 0.02)
        signature.gate.set()
        await first
        await batcher.run(job(signature, [3]), None)
        assert signature.servable.count == 0
        batcher.close()

    asyncio.run(run())
    assert [arrays[0].tolist() for arrays in signature.ran] == [[1], [3]]
    assert 0 < signature.limits[0] <= 60
    assert signature.limits[1] is None


def test_the_file(tmp_path):
    path = tmp_path / "batching"
    path.write_text(
        "max_batch_size { value: 8 } batch_timeout_micros { value: 500 }\n"
        "allowed_batch_sizes: 4 allowed_batch_sizes: 8\n"
        "enable_large_batch_splitting { value: false }"
    )
    told = batching.read(str(path))
    assert (told.max_batch_size, told.batch_timeout_micros) == (8, 500)
    assert told.allowed_batch_sizes == (4, 8)
    assert (told.max_enqueued_batches, told.thread_pool_name) == (10, "batch_threads")
    path.write_text("odd: 1")
    with pytest.raises(ServingError, match="`batching_parameters_file` must be"):
        batching.read(str(path))


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"max_batch_size": 0}, "`max_batch_size` must be an int >= 1"),
        ({"num_batch_threads": 0}, "`num_batch_threads` must be an int >= 1"),
        ({"batch_timeout_micros": -1}, "`batch_timeout_micros` must be an int >= 0"),
        ({"allowed_batch_sizes": (8, 4)}, "must ascend and end with the largest"),
        ({"allowed_batch_sizes": (4,)}, "must ascend and end with the largest"),
    ],
)
def test_bad_parameters(told, text):
    with pytest.raises(ValueError, match=text):
        Parameters(**told)
