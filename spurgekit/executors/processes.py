"""Processes of this machine, each with an interpreter of its own."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from tempfile import gettempdir

from spurgekit.errors import SpurgekitError
from spurgekit.executors.workers import Workers
from spurgekit.parallel import cores

SINGLE_THREADED = "spurgekit.executors.single_threaded"
"""The module that sets what NumPy and torch ask for when they are imported; Dask sets the same for its workers."""

SLOW_TO_IMPORT = ("cv2", "rasterio", "torch", "timm")
"""Packages that a process imports for seconds, and keeps hundreds of megabytes of.

Without pandas, whose Arrow begins a thread, as a process with threads had better not be forked, and without diffusers, which
looks for GPUs: a fork of a process that has done so can use none.
"""

LONGEST_FOLDER = 70
"""Bytes that the name of the folder of temporary files may have: a socket in it, as a fork server has, takes 107 at most."""


@contextmanager
def process_workers() -> Iterator[Workers]:
    """Yield a process for each core.

    Raises
    ------
    SpurgekitError
        Within the block, if one of them is ended from outside.
    """
    pool = ProcessPoolExecutor(cores(), mp_context=worker_context(), initializer=begin_process)
    try:
        yield Workers(pool, cores, in_process=False)
    except BrokenProcessPool as error:
        raise SpurgekitError(
            "a worker process was ended from outside, most likely for lack of memory; free some and run it again, or pass "
            "`executor=threads`"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def worker_context() -> BaseContext:
    """Return how workers are begun.

    Neither threads nor a CUDA context survive a fork, so that they are not forked from this process. On Linux they are forked
    from one that does nothing else (``multiprocessing``'s fork server) and imports once, for all of them in the same memory,
    what this process has imported of :data:`SLOW_TO_IMPORT`; elsewhere each imports it by itself.
    """
    if sys.platform != "linux" or len(os.fsencode(gettempdir())) > LONGEST_FOLDER:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([SINGLE_THREADED, *(name for name in SLOW_TO_IMPORT if name in sys.modules)])
    return context


def begin_process() -> None:
    """Make a process a worker: it counts with one thread, leaves Ctrl+C to its parent, and ends when that is gone."""
    importlib.import_module(SINGLE_THREADED)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
