"""How the process asks the system for memory."""

from __future__ import annotations

import ctypes
import sys
import threading
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # parameters of mallopt(3)
_LARGEST_BLOCK = 1 << 30
_HEAP = 64 << 20
"""As much as glibc asks the system for at once on behalf of a thread that is not the first."""


def keep_freed_memory() -> None:
    """Have the C library keep memory that is freed, for the next layer of a network or the next strip of an image to use.

    glibc gives large blocks back to the system as soon as they are freed, and the system hands out each new one page by page,
    zeroed: in small networks that takes as long as the arithmetic (MobileNet in bfloat16 runs 1.6 times as fast without it, see
    ``tests.benchmarks.bench_features``). To other threads than the first, such as those of Dask's workers, it gives memory in
    heaps, and takes them back whole unless it is told to keep as much as that at hand: call it in the thread that will compute.
    What is freed stays with the process, whose peak does not grow. Other C libraries than glibc, and allocators preloaded in
    its place, are left as they are.
    """
    _keep(heaps=threading.current_thread() is not threading.main_thread())


@cache
def _keep(*, heaps: bool) -> None:
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        if heaps:  # of all threads, and so a matter of megabytes for each
            libc.mallopt(_TOP_PAD, _HEAP)
