"""Hints about memory change no number and reach what they are for."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfrec import _memory

LINUX = pytest.mark.skipif(
    platform.system() != "Linux" or platform.libc_ver()[0] != "glibc",
    reason="hints of Linux and glibc",
)


@pytest.fixture
def advised(monkeypatch):
    """Calls of `madvise`, which is not made."""
    calls = []

    class Library:
        @staticmethod
        def madvise(address, size, advice):
            calls.append((address.value, size.value, advice))
            return 0

    monkeypatch.setattr(_memory.ctypes, "CDLL", lambda *a, **k: Library)
    monkeypatch.setattr(_memory.platform, "system", lambda: "Linux")
    return calls


def rows(count, width=16, dtype="float32"):
    return tf.Variable(tf.ones([count, width], dtype))


def test_a_large_variable_is_told_of_in_whole_pages(advised, monkeypatch):
    monkeypatch.setattr(_memory, "LEAST_BYTES", 1_000_000)
    large, small = rows(50_000), rows(10)
    assert _memory.use_huge_pages([small, large]) == advised[0][1]
    ((address, size, advice),) = advised
    assert address % _memory.mmap.PAGESIZE == size % _memory.mmap.PAGESIZE == 0
    assert 0 <= 50_000 * 16 * 4 - size < 2 * _memory.mmap.PAGESIZE
    assert advice == _memory.COLLAPSE


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int32"])
def test_of_any_dtype(advised, monkeypatch, dtype):
    monkeypatch.setattr(_memory, "LEAST_BYTES", 1_000_000)
    _memory.use_huge_pages([rows(80_000, dtype=dtype)])
    assert len(advised) == 1


def test_not_in_a_graph_and_not_elsewhere(advised, monkeypatch):
    monkeypatch.setattr(_memory, "LEAST_BYTES", 1)
    variable = rows(50_000)
    with tf.Graph().as_default():
        assert _memory.use_huge_pages([variable]) == 0
    monkeypatch.setenv("TFREC_MEMORY_HINTS", "0")
    assert _memory.use_huge_pages([variable]) == 0
    monkeypatch.delenv("TFREC_MEMORY_HINTS")
    monkeypatch.setattr(_memory.platform, "system", lambda: "Darwin")
    assert _memory.use_huge_pages([variable]) == 0
    assert not advised


def test_the_parts_of_a_mirrored_variable(advised, monkeypatch):
    monkeypatch.setattr(_memory, "LEAST_BYTES", 1_000_000)
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        _memory.use_huge_pages([rows(50_000)])
    assert len(advised) == 1


@LINUX
def test_numbers_stay_and_a_trained_table_is_not_copied(monkeypatch):
    monkeypatch.setattr(_memory, "LEAST_BYTES", 1_000_000)
    variable = tf.Variable(tf.random.stateless_normal([400_000, 16], [1, 2]))
    before = variable.numpy()
    for row in (3, 5):  # the second time it is in the mode that copies when read
        _memory.use_huge_pages([variable])
        variable.scatter_update(tf.IndexedSlices(tf.zeros([1, 16]), [row]))
        before[row] = 0
        np.testing.assert_array_equal(variable.numpy(), before)


TOLD = """
import os, sys
os.environ.update(dict(part.split("=", 1) for part in sys.argv[1:]))
from tfrec import _memory
print(_memory.keep_freed())
"""


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ([], "True"),
        (["MALLOC_ARENA_MAX=2"], "False"),
        (["GLIBC_TUNABLES=glibc.malloc.hugetlb=1"], "False"),
        (["GLIBC_TUNABLES=glibc.rtld.nns=2"], "True"),
        (["TFREC_MEMORY_HINTS=0"], "False"),
    ],
    ids=["nothing", "variable", "tunable", "other", "ours"],
)
def test_who_has_the_say_over_malloc(environment, told):
    command = [sys.executable, "-c", TOLD, *environment]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [told]


@LINUX
def test_the_hint_of_tensorflow_comes_first_and_once(monkeypatch):
    """Its first generator data set sets the threshold; ours must be the last."""
    calls = []
    make = tf.data.Dataset.from_generator

    def from_generator(*arguments, **keywords):
        calls.append("data set")
        return make(*arguments, **keywords)

    class Library:
        @staticmethod
        def mallopt(name, value):
            calls.append((name, value))
            return 1

    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(tf.data.Dataset, "from_generator", from_generator)
    monkeypatch.setattr(_memory.ctypes, "CDLL", lambda *a, **k: Library)
    _memory._let_tensorflow_tell_first.cache_clear()
    told = [(-1, _memory.KEPT_BYTES), (-3, _memory.LARGEST_KEPT)]
    assert _memory.keep_freed()
    assert calls == ["data set", *told]
    assert _memory.keep_freed()
    assert calls == ["data set", *told, *told]
