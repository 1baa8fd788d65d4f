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

from spurgekit.errors import SpurgekitError
from spurgekit.executors.workers import Workers
from spurgekit.parallel import cores

SINGLE_THREADED = "spurgekit.executors.single_threaded"
"""The module that sets what NumPy and torch ask for when they are imported; Dask sets the same for its workers."""

SLOW_TO_IMPORT = ("cv2", "rasterio", "torch", "timm", "diffusers", "transformers")
"""Packages that a process imports for seconds, and keeps hundreds of megabytes of.

Without those that import pandas: its Arrow begins a thread of its own, and a process with threads had better not be forked.
"""


@contextmanager
def process_workers() -> Iterator[Workers]:
    """Yield a process for each core.

    Neither threads nor a CUDA context survive a fork, so that workers are not forked from this process. On Linux they are
    forked from one that does nothing else (``multiprocessing``'s fork server) and imports once, for all of them in the same
    memory, what this process has imported of :data:`SLOW_TO_IMPORT`; elsewhere each imports it by itself.

    Raises
    ------
    SpurgekitError
        Within the block, if one of them is ended from outside.
    """
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload([SINGLE_THREADED, *(name for name in SLOW_TO_IMPORT if name in sys.modules)])
    pool = ProcessPoolExecutor(cores(), mp_context=context, initializer=begin_process)
    try:
        yield Workers(pool, cores, in_process=False)
    except BrokenProcessPool as error:
        raise SpurgekitError(
            "a worker process was ended from outside, most likely for lack of memory; free some and run it again, or pass "
            "`executor=threads`"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


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
