"""Memory that networks free stays with the process."""

import subprocess
import sys

import pytest

COUNT_FAULTS = """
import ctypes, resource, sys
from concurrent.futures import ThreadPoolExecutor
from spurgekit.memory import keep_freed_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
def use(times, size=40 << 20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        blocks = [libc.malloc(ctypes.c_size_t(size)) for _ in range(2)]
        for block in blocks:
            ctypes.memset(block, 1, size)
        for block in reversed(blocks):
            libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def measure():
    if sys.argv[1] == "keep":
        keep_freed_memory()
    use(1)
    return use(4)
if sys.argv[2] == "main":
    print(measure())
else:
    with ThreadPoolExecutor(1) as thread:
        print(thread.submit(measure).result())
"""


def faults(how, thread):
    """Return how often the system had to hand out a page while a thread took and freed 80 MB four times."""
    asked = [sys.executable, "-c", COUNT_FAULTS, how, thread]
    return int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
@pytest.mark.parametrize("thread", ["main", "another"])
def test_pages_are_handed_out_once(thread):
    assert faults("keep", thread) < faults("leave", thread) / 4
