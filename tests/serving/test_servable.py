"""A loaded version: signatures, metadata, filters."""

import gc
import weakref

import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from tfrec.serving import ServingError
from tfrec.serving.servable import MOST_KEPT_FILTERS, Servable

AB = [np.float32([1, 2]), np.float32([3, 4])]


@pytest.fixture
def sums(plain):
    servable = Servable("sums", 2, plain.parent / "sums" / "2")
    yield servable
    servable.close()


def test_it_answers(sums):
    signature = sums.signatures["serving_default"]
    assert list(signature.inputs) == ["a", "b"]
    outputs = ("product", "sum")
    data = signature.response(outputs, signature.run(outputs, AB))
    response = predict_pb2.PredictResponse.FromString(data)
    assert list(response.outputs["sum"].float_val) == [8, 12]
    assert response.model_spec.version.value == 2


def test_it_learns_what_is_quick(sums):
    signature = sums.signatures["serving_default"]
    assert signature.slow(("sum",), AB)

    def quick_after_a_run():
        signature.run(("sum",), AB)
        return not signature.slow(("sum",), AB)

    assert any(quick_after_a_run() for _ in range(1000))  # a busy machine is slow
    assert signature.slow(("product",), AB)


def test_the_first_run_does_not_count(sums):
    signature = sums.signatures["serving_default"]
    signature.run(("sum",), AB)
    call, cost = signature._calls[("sum",)]
    assert not cost._seconds
    assert signature.slow(("sum",), AB)
    signature.run(("sum",), AB, 5.0)
    assert not cost._seconds
    signature.run(("sum",), AB, 5.0)
    assert len(cost._seconds) == 1


def test_a_graph_with_a_loop_always_counts_as_slow(waiter, tmp_path):
    servable = Servable("waiter", 1, waiter / "waiter" / "1")
    signature = servable.signatures["serving_default"]
    go = tmp_path / "go"
    go.write_text("")
    arrays = [np.array(str(place).encode(), object) for place in (go, tmp_path / "s")]
    for _ in range(2):
        assert signature.run(("done",), arrays)[0].tolist() == [1]
    for _ in range(100):  # whatever these runs took
        signature._calls[("done",)][1].learn(16, 1e-5)
    assert not signature._calls[("done",)][1].slow(16)
    assert signature.slow(("done",), arrays)


def test_who_uses_it_is_counted(sums):
    assert sums.idle
    sums.acquire()
    sums.acquire()
    sums.release()
    assert not sums.idle
    sums.release()
    assert sums.idle


def test_threads_and_tags_are_passed_on(plain):
    folder = plain.parent / "sums" / "2"
    servable = Servable("sums", 2, folder, intra_op=1, inter_op=1)
    values = servable.signatures["serving_default"].run(("sum",), AB)
    assert values[0].tolist() == [8, 12]
    servable.close()
    with pytest.raises(ServingError, match='version 2 of servable "sums" does not l'):
        Servable("sums", 2, folder, tags=("train",))


def test_a_closed_servable_is_freed(plain):
    servable = Servable("sums", 2, plain.parent / "sums" / "2")
    servable.signatures["serving_default"].run(("sum",), AB)
    graph = weakref.ref(servable._session.graph)
    servable.close()
    assert graph() is None


def test_filters_that_are_kept_are_bounded(sums):
    signature = sums.signatures["serving_default"]
    signature.outputs = {str(n): "Identity:0" for n in range(MOST_KEPT_FILTERS + 5)}
    signature.servable = made = type("Made", (), {"calls": []})()

    class Call:
        pass

    def call(feeds, fetches):
        one = Call()
        made.calls.append(weakref.ref(one))
        return one

    made.call = call
    for name in signature.outputs:
        signature._call((name,))
    gc.collect()
    alive = [reference for reference in made.calls if reference() is not None]
    assert len(alive) == MOST_KEPT_FILTERS
