"""A load reads, warms up and cleans up after itself."""

import shutil

import numpy as np
import pytest

from tfrec.serving import ServingError, loading
from tfrec.serving.options import Options

AB = {"a": np.float32([1]), "b": np.float32([2])}


@pytest.fixture
def folder(plain, tmp_path):
    shutil.copytree(plain.parent / "sums" / "1", tmp_path / "1")
    return tmp_path / "1"


def test_it_is_warm(folder, request_for, write_warmup):
    write_warmup(folder, [request_for("any", **AB)])
    servable = loading.loader(Options())("sums", 1, folder)
    assert not servable.signatures["serving_default"].slow(
        ("product", "sum"), list(AB.values())
    )
    servable.close()
    servable = loading.loader(Options(enable_model_warmup=False))("sums", 1, folder)
    assert not servable.signatures["serving_default"]._calls
    servable.close()


def test_a_warm_up_that_fails_leaves_nothing(
    folder, request_for, write_warmup, monkeypatch
):
    closed = []
    close = loading.Servable.close
    monkeypatch.setattr(
        loading.Servable, "close", lambda self: (closed.append(self), close(self))
    )
    write_warmup(folder, [request_for("any", signature="odd", **AB)])
    with pytest.raises(ServingError, match="warm-up record 0"):
        loading.loader(Options())("sums", 1, folder)
    assert len(closed) == 1


def test_tags(folder):
    with pytest.raises(ServingError, match="does not load"):
        loading.loader(Options(saved_model_tags="train,gpu"))("sums", 1, folder)
