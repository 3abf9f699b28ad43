"""A loaded version: signatures, metadata, filters."""

import gc
import weakref

import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

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
    data = signature.answer(("product", "sum"), AB)
    response = predict_pb2.PredictResponse.FromString(data)
    assert list(response.outputs["sum"].float_val) == [8, 12]
    assert response.model_spec.version.value == 2


def test_it_learns_what_is_quick(sums):
    signature = sums.signatures["serving_default"]
    assert signature.slow(("sum",), AB)
    for _ in range(100):
        signature.answer(("sum",), AB)
    assert not signature.slow(("sum",), AB)
    assert signature.slow(("product",), AB)


def test_filters_that_are_kept_are_bounded(sums):
    signature = sums.signatures["serving_default"]
    signature.outputs = {str(n): "Identity:0" for n in range(MOST_KEPT_FILTERS + 5)}
    signature._servable = made = type("Made", (), {"calls": []})()

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
