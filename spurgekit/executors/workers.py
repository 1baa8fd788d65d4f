"""Workers: a ``concurrent.futures.Executor``, and how units are to be made for it.

``threads`` and ``processes`` of this machine, ``dask://HOST:PORT``, a Dask cluster that runs already, and ``FILE.toml``, one
that is begun for the run (:mod:`spurgekit.executors.cluster_file`). No unit's result depends on which of them it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from spurgekit.errors import InputError
from spurgekit.parallel import cores, stream_map
from spurgekit.text import shown

Unit = TypeVar("Unit")
Unit_contra = TypeVar("Unit_contra", contravariant=True)
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

THREADS, PROCESSES, DASK, SUFFIX = "threads", "processes", "dask://", ".toml"
DEFAULT = THREADS
CHOICES = f"{THREADS}, {PROCESSES}, {DASK}HOST:PORT or a FILE{SUFFIX}"

AHEAD = 2
"""Units that are on their way for each one that is worked on, so that no worker waits for the next."""


class UnitFunction(Protocol[Unit_contra, Result_co]):
    """What works off a unit: a function of a module, or an instance of a class of one, so that it can travel."""

    def __call__(self, unit: Unit_contra, /) -> Result_co:
        """Return the result of a unit."""


@dataclass(frozen=True, eq=False)
class Workers:
    """Who does units of work.

    Attributes
    ----------
    executor : concurrent.futures.Executor
    count : callable
        Returns how many units are worked on at a time now: a cluster may grow while a run goes on.
    in_process : bool
        Whether they are threads of this process, so that a unit may hold arrays and open files. Elsewhere units and what works
        them off are pickled: they name files and windows, and workers keep open what they name
        (:mod:`spurgekit.executors.kept`).
    """

    executor: Executor
    count: Callable[[], int]
    in_process: bool

    def stream(
        self,
        function: UnitFunction[Unit, Result],
        units: Iterable[Unit],
        *,
        ahead: int = AHEAD,
        in_turn: bool = False,  # noqa: ARG002 - threads and processes take what is next
    ) -> Iterator[Result]:
        """Yield ``function(unit)`` in the order of the units, which are drawn only as fast as they are worked off.

        Parameters
        ----------
        function : callable
        units : iterable
        ahead : int
            The most units that are submitted and not yet yielded, for each one that is worked on.
        in_turn : bool
            Where workers can be told apart, unit i is meant for number i modulo :attr:`count`, which may have in memory what it
            needs; one that is idle takes it from another.
        """
        return stream_map(self.executor, function, units, in_flight=lambda: ahead * max(1, self.count()))

    def check_sees(self, *paths: Path) -> None:
        """Make sure that all workers see files and folders under the same absolute names as this machine does.

        Raises
        ------
        InputError
            If one does not.
        """


def check_executor(executor: str) -> None:
    """Refuse what names no executor.

    Raises
    ------
    InputError
        If it is none of ``threads``, ``processes``, ``dask://HOST:PORT`` and ``FILE.toml``.
    """
    if executor in (THREADS, PROCESSES) or executor.endswith(SUFFIX):
        return
    if not executor.startswith(DASK) or not executor.removeprefix(DASK):
        raise InputError(f"`executor={shown(executor, quotes=False)}` is not known; pass {CHOICES}")


def check_serves(executor: str | Workers) -> None:
    """Refuse workers that do not serve, well before they are needed.

    A cluster that runs already is asked, and let go again; one that a file describes is not begun, as it may cost.

    Parameters
    ----------
    executor : str or Workers

    Raises
    ------
    InputError
        If there are no such workers, they lack what units need, or the file describes no cluster.
    """
    if isinstance(executor, Workers):
        return
    check_executor(executor)
    if executor.endswith(SUFFIX):
        from spurgekit.executors.dask_cluster import check_described

        check_described(Path(executor))
    elif executor.startswith(DASK):
        with open_workers(executor):
            pass


@contextmanager
def open_workers(executor: str | Workers = DEFAULT) -> Iterator[Workers]:
    """Yield the workers of a name, all of which were asked whether they serve; they are let go in the end.

    Whatever ends the block, units that wait are cancelled. What workers of a cluster are at that moment working on they finish,
    and it is thrown away; units write files whole or not at all.

    Parameters
    ----------
    executor : str or Workers
        Workers that are open already are passed on, and stay open.

    Raises
    ------
    InputError
        If there are no such workers, or they lack what units need.
    SpurgekitError
        Within the block, if they are lost.
    """
    if isinstance(executor, Workers):
        yield executor
        return
    check_executor(executor)
    if executor == THREADS:
        threads = ThreadPoolExecutor(cores())
        try:
            yield Workers(threads, cores, in_process=True)
        finally:
            threads.shutdown(cancel_futures=True)
    elif executor == PROCESSES:
        from spurgekit.executors.processes import process_workers

        with process_workers() as workers:
            yield workers
    elif executor.startswith(DASK):
        from spurgekit.executors.dask_cluster import connected

        with connected(executor) as workers:
            yield workers
    else:
        from spurgekit.executors.dask_cluster import begun

        with begun(Path(executor)) as workers:
            yield workers
