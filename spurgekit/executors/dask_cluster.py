"""Workers of a Dask cluster: one that runs already, or one that is begun for the run.

Each worker is asked what it works with before any work is handed out, and again with each unit, since workers may join later.
A worker that dies costs time only: what it was doing goes to another one, until Dask's ``allowed-failures`` are used up.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os.path
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from spurgekit.errors import InputError, SpurgekitError, first_line
from spurgekit.executors.cluster_file import ClusterFile
from spurgekit.executors.packages import REMEDY, difference, versions
from spurgekit.executors.workers import AHEAD, DASK, UnitFunction, Workers
from spurgekit.extras import check_extra
from spurgekit.parallel import stream_map
from spurgekit.text import counted

if TYPE_CHECKING:
    from distributed import Client
    from distributed.deploy.cluster import Cluster

Unit = TypeVar("Unit")
Result = TypeVar("Result")

PORT = 8786
"""Where a Dask scheduler listens, unless told otherwise."""

CONNECT_S, WORKERS_S = 10.0, 30.0
"""How long a scheduler that runs may take to answer, and to have workers."""

PATIENCE_S, LOOK_S = 120.0, 5.0
"""How long there may be no workers in the middle of a run, and how often that is looked at."""

ASK_S = 1.0
"""How often workers are asked for while units are handed out."""

ASKED = "__import__('spurgekit.executors.packages', fromlist=['versions']).versions()"
CALL = "__import__('pickle').loads(unit)()"
"""Expressions, since Dask waits forever for a worker that cannot unpack what it is sent, as one without spurgekit could not."""


@dataclass(frozen=True, eq=False)
class DaskWorkers(Workers):
    """Workers of a Dask cluster.

    Attributes
    ----------
    client : distributed.Client
    name : str
        Of the cluster.
    patience_s : float
        How long it may be without workers.
    """

    client: Client
    name: str
    patience_s: float

    def stream(
        self, function: UnitFunction[Unit, Result], units: Iterable[Unit], *, ahead: int = AHEAD, in_turn: bool = False
    ) -> Iterator[Result]:
        """Yield ``function(unit)`` in the order of the units; see :meth:`Workers.stream`."""
        import cloudpickle

        packed = ({"unit": cloudpickle.dumps(_Unit(function, unit, versions()))} for unit in units)
        places = _asked_at_times(partial(_places, self.client))
        executor = _InTurn(self.executor, places) if in_turn else self.executor
        run, in_flight = partial(eval, CALL), lambda: ahead * max(1, len(places()))
        return stream_map(executor, run, packed, in_flight=in_flight, wait=self._wait)

    def _wait(self, future: Future[Result]) -> Result:
        """Return a result, unless there have been no workers for too long: Dask would wait for others to come."""
        last_seen = time.monotonic()
        while not wait([future], timeout=LOOK_S).done:
            if self.count():
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > self.patience_s:
                raise SpurgekitError(
                    f"{self.name} has had no workers for {self.patience_s:g} s; start some, and run this again"
                )
        return future.result()

    def check_sees(self, *paths: Path) -> None:
        """Make sure that all workers see files and folders under the same absolute names as this machine does."""
        for path in paths:
            for worker, found in self.client.run(os.path.exists, str(path.absolute()), on_error="return").items():
                if found is not True:
                    raise InputError(
                        f"the worker {worker} does not see {path.absolute()}; all machines need the same files under the same "
                        "names, such as of a file system that they share"
                    )


def _places(client: Client) -> list[str]:
    """Return the address of each thread of each worker."""
    return [address for address, threads in sorted(client.nthreads().items()) for _ in range(threads)]


def _asked_at_times(ask: Callable[[], list[str]]) -> Callable[[], list[str]]:
    """Return what asks anew every ``ASK_S``: a scheduler takes milliseconds to answer, and units may be short."""
    known: list[str] = []
    asked = -math.inf

    def told_lately() -> list[str]:
        nonlocal known, asked
        if time.monotonic() - asked >= ASK_S:
            known, asked = ask(), time.monotonic()
        return known

    return told_lately


class _InTurn(Executor):
    """Has workers take units in turn, of which Dask may move some to those that are idle.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Dask's.
    places : callable
        Returns the addresses of workers.
    """

    def __init__(self, executor: Executor, places: Callable[[], list[str]]) -> None:
        self.executor, self.places = executor, places
        self.submitted = 0

    def submit(self, function: Callable[..., Result], /, *arguments: Any, **options: Any) -> Future[Result]:
        """Submit a unit for the next worker."""
        if places := self.places():
            options.update(workers=[places[self.submitted % len(places)]], allow_other_workers=True)
        self.submitted += 1
        return self.executor.submit(function, *arguments, **options)


@contextmanager
def connected(executor: str) -> Iterator[DaskWorkers]:
    """Yield the workers of a scheduler that runs, such as of ``dask://localhost:8786``.

    Raises
    ------
    InputError
        If no scheduler answers there, it has no workers, or a worker has not what this machine has.
    SpurgekitError
        Within the block, if the scheduler is lost, or a unit ends one worker after the other.
    """
    check_extra("dask", f"`executor={DASK}...`")
    place = executor.removeprefix(DASK).rstrip("/")
    host, colon, port = place.rpartition(":")
    if colon and not (host and port.isdecimal() and int(port) < 1 << 16):
        raise InputError(f"`executor={executor}` is no address of a scheduler; pass one such as {DASK}localhost:{PORT}")
    address = f"tcp://{place}" if colon else f"tcp://{place}:{PORT}"
    remedy = f"start some with 'dask worker {address}'"
    with _client(address) as client, _workers(client, address, WORKERS_S, remedy) as workers:
        yield workers


def check_described(file: Path) -> None:
    """Refuse a file that describes no cluster which could be begun here.

    Raises
    ------
    InputError
        If it does not serve.
    """
    check_extra("dask", f"`executor={file}`")
    ClusterFile.read(file).find_class()


@contextmanager
def begun(file: Path) -> Iterator[DaskWorkers]:
    """Yield the workers of a cluster that a file describes, begun for the block, as soon as there is one.

    Raises
    ------
    InputError
        If the file does not serve, no worker comes, or one has not what this machine has.
    SpurgekitError
        As of :func:`connected`.
    """
    check_extra("dask", f"`executor={file}`")
    described = ClusterFile.read(file)
    remedy = f"look at what the cluster says of its jobs, or have {file.name} wait longer (wait_s)"
    with (
        _quiet(),
        described.begun() as cluster,
        _client(cluster) as client,
        _workers(client, described.cluster, described.wait_s, remedy) as workers,
    ):
        yield workers


@contextmanager
def _workers(client: Client, name: str, wait_s: float, remedy: str) -> Iterator[DaskWorkers]:
    """Yield workers that serve, and say in one line how they were lost."""
    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    try:
        client.wait_for_workers(1, timeout=wait_s)
    except TimeoutError as error:
        raise InputError(f"{name} has no workers after {wait_s:g} s; {remedy}") from error
    _check_versions(client)
    executor = client.get_executor(pure=False)  # a unit writes files; one that comes again is done again
    try:
        yield DaskWorkers(
            executor,
            lambda: len(_places(client)),
            in_process=False,
            client=client,
            name=name,
            patience_s=max(wait_s, PATIENCE_S),
        )
    except KilledWorker as error:
        raise SpurgekitError(
            f"{counted(error.allowed_failures + 1, 'worker')} of {name} ended while working on the same piece, most likely for "
            "lack of memory; give them more, or fewer threads each, and run it again"
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise SpurgekitError(f"the scheduler of {name} was lost; start it and run this again") from error
    except ImportError as error:
        if "spurgekit" not in str(error):
            raise
        raise InputError(f"a worker that joined {name} later lacks what this machine has: {first_line(error)}") from error
    finally:
        executor.shutdown(wait=False)


def _check_versions(client: Client) -> None:
    """Ask every worker what it works with."""
    for worker, theirs in sorted(client.run(eval, ASKED, on_error="return").items()):
        if isinstance(theirs, ImportError):
            ours = versions()["spurgekit"]
            raise InputError(
                f"the worker {worker}: {first_line(theirs)}; install spurgekit {ours} there, and all that it needs"
            )
        if isinstance(theirs, BaseException):
            raise InputError(f"the worker {worker} cannot say what it works with: {first_line(theirs)}") from theirs
        if told := difference(theirs, versions()):
            raise InputError(f"the worker {worker} {told}; {REMEDY}")


@dataclass(frozen=True, slots=True)
class _Unit(Generic[Unit, Result]):
    """A unit, to be worked off by a process that has what the one has that made it."""

    function: Callable[[Unit], Result]
    unit: Unit
    expected: Mapping[str, str | None]

    def __call__(self) -> Result:
        if told := difference(versions(), self.expected):
            raise InputError(f"a worker that joined later {told}; {REMEDY}, and run this again")
        return self.function(self.unit)


@contextmanager
def _client(where: str | Cluster) -> Iterator[Client]:
    """Yield what talks to a scheduler."""
    from distributed import Client

    with ExitStack() as stack:
        stack.enter_context(_quiet())
        try:
            if isinstance(where, str):
                with ThreadPoolExecutor(1) as thread:  # a notebook's own thread has a loop already
                    thread.submit(asyncio.run, _greet(where)).result()
            client = stack.enter_context(Client(where, timeout=CONNECT_S, set_as_default=False))
        except Exception as error:  # whatever it is that listens there instead, and says
            raise InputError(
                f"no Dask scheduler answers at {where} within {CONNECT_S:g} s; start one with 'dask scheduler', or pass "
                "another `executor`"
            ) from error
        yield client


async def _greet(address: str) -> None:
    """Have a scheduler answer: a client that is made waits forever for one that takes the call and says nothing."""
    from distributed.comm import connect

    (await asyncio.wait_for(connect(address, timeout=CONNECT_S), CONNECT_S)).abort()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Dask logs of its own accord off the terminal: what matters of it is raised as an error."""
    import distributed  # noqa: F401 - sets the levels of its logs

    logs = [logging.getLogger(name) for name in ("distributed", "tornado.application")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="distributed")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
