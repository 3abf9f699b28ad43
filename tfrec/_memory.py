"""What the system is told of a training process's memory: hints, on Linux only.

A step frees what it allocated. glibc gives blocks of some megabytes back to the
system each time, which then clears their pages for the next step; and rows that are
read at random from a table of gigabytes miss the processor's list of pages.
docs/performance.md has what that costs. `TFREC_MEMORY_HINTS=0` leaves all as it is.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import platform
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 512 * 2**20  # freed memory at the end of a heap that is kept
LARGEST_KEPT = 32 * 2**20  # a larger block goes back at once; glibc takes no more
COLLAPSE = 25  # madvise: huge pages now, Linux 6.1
LEAST_BYTES = 64 * 2**20  # of a variable that is worth it


def keep_freed() -> bool:
    """Lets malloc keep what a step frees for the next; True where it was told.

    Whoever set malloc's environment variables has the say.
    """
    told = os.environ.get("GLIBC_TUNABLES", "")
    if "malloc" in told or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    if _off() or platform.libc_ver()[0] != "glibc":
        return False
    with tf.init_scope():
        _let_tensorflow_tell_first()
    tell = ctypes.CDLL(None).mallopt
    return all([tell(TRIM_THRESHOLD, KEPT_BYTES), tell(MMAP_THRESHOLD, LARGEST_KEPT)])


@functools.cache
def _let_tensorflow_tell_first() -> None:
    """The first data set of a generator lowers the threshold, once in a process."""
    if tf.executing_eagerly():
        element = tf.TensorSpec([], tf.int32)
        for _ in tf.data.Dataset.from_generator(lambda: [0], output_signature=element):
            pass


def use_huge_pages(variables: Iterable[Any]) -> int:
    """Asks for huge pages under large variables on the CPU; how many bytes got them.

    Nothing is copied but by the kernel, two megabytes at a time.

    Args:
        variables: `tf.Variable`s.
    """
    if _off() or platform.system() != "Linux" or not tf.executing_eagerly():
        return 0
    advise, done = ctypes.CDLL(None, use_errno=True).madvise, 0
    for variable in variables:
        for part in getattr(variable, "values", [variable]):  # one on each replica
            count = np.prod(part.shape, dtype=np.int64)
            if count * part.dtype.size < LEAST_BYTES or "CPU" not in part.device:
                continue
            # After a scatter a read would be a copy: this read shares the memory.
            tf.raw_ops.DisableCopyOnRead(resource=part.handle)
            value = tf.bitcast(part.read_value(), tf.uint8)
            shared = np.frombuffer(memoryview(value), np.uint8)
            start = -(-shared.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
            size = shared.ctypes.data + shared.nbytes - start
            size -= size % mmap.PAGESIZE
            address = ctypes.c_void_p(start)
            done += size * (advise(address, ctypes.c_size_t(size), COLLAPSE) == 0)
            del shared, value
    return done


def _off() -> bool:
    return os.environ.get("TFREC_MEMORY_HINTS") == "0"
