"""Memory that networks free stays with the process."""

import subprocess
import sys

import pytest

COUNT_FAULTS = """
import ctypes, resource, sys
from spurgekit.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def use(size=40 << 20):
    block = ctypes.create_string_buffer(1)
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    where = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(where, 1, size)
    libc.free(where)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    """Return how often the system had to hand out a page while 40 MB were taken and freed four times."""
    printed = subprocess.run([sys.executable, "-c", COUNT_FAULTS, how], check=True, capture_output=True, text=True).stdout
    return int(printed)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_pages_are_handed_out_once():
    assert faults("keep") < faults("leave") / 4
