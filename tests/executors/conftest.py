"""Dask clusters of this machine: a scheduler in the tests' own process, each worker a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

WORKER = """
import asyncio, sys
exec(sys.argv[2])
from distributed import Worker

async def work():
    worker = await Worker(sys.argv[1], nthreads=1, dashboard=False)
    await worker.finished()

asyncio.run(work())
"""
"""A worker, after what is to be done ahead of that."""


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

        def start(*command: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        process = start(SCHEDULER)
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        start(WORKER, address, "")
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
def start_worker(scheduler: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return what starts a worker of it: ``start_worker("import spurgekit")``."""
    with ExitStack() as stack:

        def start(first: str = "") -> subprocess.Popen[bytes]:
            command = [sys.executable, "-c", WORKER, scheduler.replace("dask://", "tcp://"), first]
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield start
