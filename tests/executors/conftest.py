"""Dask clusters of this machine: a scheduler in the tests' own process, each worker a process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from spurgekit.executors.processes import begin_process, worker_context


def work_for(address: str, first: str) -> None:
    """Be a worker of a scheduler, after what is to be done ahead of that."""
    begin_process()
    exec(first, {})
    from distributed import Worker

    async def work() -> None:
        worker = await Worker(address, nthreads=1, dashboard=False)
        await worker.finished()

    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        asyncio.run(work())


def begin_worker(address: str, stack: ExitStack, first: str = "") -> BaseProcess:
    """Begin a process that is a worker until a stack is unwound."""
    process = worker_context().Process(target=work_for, args=(address, first), daemon=True)
    process.start()
    stack.callback(process.join)
    stack.callback(process.kill)
    return process


SCHEDULER = """
import asyncio
from distributed import Scheduler

async def work():
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()

asyncio.run(work())
"""


@pytest.fixture
def other_scheduler() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Return the address of a scheduler in a process of its own with one worker, and that process."""
    pytest.importorskip("distributed")
    with ExitStack() as stack:
        process = subprocess.Popen(
            [sys.executable, "-c", SCHEDULER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        begin_worker(address, stack)
        yield address.replace("tcp://", "dask://"), process


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Return a cluster without workers."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=":0", silence_logs=50) as cluster:
        yield cluster


@pytest.fixture
def scheduler(cluster: Any) -> str:
    """Return the address of a scheduler without workers."""
    return str(cluster.scheduler_address).replace("tcp://", "dask://")


@pytest.fixture
def start_worker(scheduler: str) -> Iterator[Callable[..., BaseProcess]]:
    """Return what starts a worker of it: ``start_worker("import spurgekit")``."""
    with ExitStack() as stack:
        yield partial(begin_worker, scheduler.replace("dask://", "tcp://"), stack)
