"""Processes of this machine, each with an interpreter of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from spurgekit.errors import SpurgekitError
from spurgekit.executors.workers import Workers
from spurgekit.parallel import cores

SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What NumPy and torch ask for when they are imported; Dask sets the same for its workers."""


@contextmanager
def process_workers() -> Iterator[Workers]:
    """Yield a process for each core.

    Raises
    ------
    SpurgekitError
        Within the block, if one of them is ended from outside.
    """
    context = multiprocessing.get_context("spawn")  # neither threads nor a CUDA context survive a fork
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
    os.environ.update(dict.fromkeys(SINGLE_THREADED, "1"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
