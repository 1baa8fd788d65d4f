"""Parts of a check as processes of their own, each within its time: one that hangs or dies takes no other with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks.figures import write_json

ROOT = Path(__file__).parents[2]
RECORD, LOG = "gpu-check.json", "gpu-check.log"
LEAST_S = 10.0
"""Time below which a part is not begun."""
REAPED_S = 5.0
"""How long a process that was killed is waited for: a driver that hangs may hold on to it."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure, None where it was not measured, and the least that it should be."""

    what: str
    least: float
    found: float | None

    @property
    def is_reached(self) -> bool:
        """Whether it is as much."""
        return self.found is not None and self.found >= self.least

    def __str__(self) -> str:
        found = "not measured" if self.found is None else f"{self.found:.2f}"
        return f"{'reached' if self.is_reached else 'MISSED':8}{self.what}: {found}, goal {self.least:g}"


def read_json(path: Path) -> Any:
    """Return what a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Part:
    """What one process does.

    Attributes
    ----------
    name : str
    limit_s : float
        When it is killed.
    command : callable
        ``command(file, seconds)`` returns arguments of Python, given the file to write figures to and the time that there is.
    goals : callable
        ``goals(figures)``, of which some or all may be missing (None).
    read : callable
        Reads the file.
    keeps : tuple of str
        Files that it leaves beside that file, which are kept in the folder of the record.
    skip : str or None
        Why it is not run.
    """

    name: str
    limit_s: float
    command: Callable[[Path, float], Sequence[object]]
    goals: Callable[[Any], Sequence[Goal]] = lambda _: ()
    read: Callable[[Path], Any] = read_json
    keeps: tuple[str, ...] = ()
    skip: str | None = None


def run_part(
    part: Part, record: dict[str, Any], out: Path, *, left_s: float, environment: Mapping[str, str], judged: bool = True
) -> Any:
    """Run a part, and write down what came of it before another begins.

    Parameters
    ----------
    part : Part
    record : dict
        Of all parts; its list ``parts`` gets one more.
    out : pathlib.Path
        Folder of the record and of the log.
    left_s : float
        Time for all parts that are left.
    environment : mapping of str
        Variables of the process.
    judged : bool
        Whether there are goals.

    Returns
    -------
    What it measured, None if nothing.
    """
    row: dict[str, Any] = {"name": part.name, "status": "running", "limit_s": round(min(part.limit_s, left_s), 1)}
    record["parts"].append(row)
    if part.skip or left_s < LEAST_S:
        row.update(status="skipped" if part.skip else "left out", reason=part.skip or "there was no time left for it")
        print(f"\n{part.name}: {row['status']}: {row['reason']}", flush=True)
        write_json(record, out / RECORD)
        return None
    print(f"\n{part.name}, within {row['limit_s']:g} s", flush=True)
    write_json(record, out / RECORD)  # of a run that ends here it says where
    start = time.monotonic()
    with TemporaryDirectory(prefix="gpu-check-", ignore_cleanup_errors=True) as work:
        file = Path(work) / "figures"
        arguments = [sys.executable, *map(str, part.command(file, row["limit_s"]))]
        code, said = _run(arguments, row["limit_s"], out / LOG, {**environment, "TMPDIR": work})
        figures = None
        with suppress(Exception):  # it was cut off before there was anything, or while it was written
            figures = part.read(file)
        for kept in (Path(work) / name for name in part.keeps):
            if kept.is_file():
                shutil.copy(kept, out / f"{part.name}-{kept.name}")
    row.update(status=_status(code), seconds=round(time.monotonic() - start, 1), figures=figures)
    if code:
        row["reason"] = f"exit status {code}" if code > 0 else f"killed by signal {-code}"
    if code is None:
        row["reason"] = f"not done after {row['limit_s']:g} s"
    if code != 0:
        row["said"] = said.splitlines()[-20:]
        print(f"{part.name}: {row['status']}: {row['reason']}", flush=True)
    if judged:
        goals = part.goals(figures)
        row["goals"] = [{"what": one.what, "least": one.least, "found": one.found, "reached": one.is_reached} for one in goals]
        print("".join(f"{goal}\n" for goal in goals), end="", flush=True)
    write_json(record, out / RECORD)
    return figures


def _run(arguments: Sequence[str], seconds: float, log: Path, environment: Mapping[str, str]) -> tuple[int | None, str]:
    """Run a process and all that it starts; return its exit status, None where it was cut off, and what it printed."""
    with log.open("a+b") as file:
        begin = file.seek(0, os.SEEK_END)
        process = subprocess.Popen(
            arguments, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        code: int | None = None
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if code is None:
                _kill(process)
        file.seek(begin)
        said = file.read().decode(errors="replace")
    print(said, end="" if said.endswith("\n") or not said else "\n", flush=True)
    return code, said


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and those that it started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(REAPED_S)


def _status(code: int | None) -> str:
    return "cut off" if code is None else "failed" if code else "done"
