"""What a run that fails says, in one line, and the code that it ends with."""

from __future__ import annotations

import errno
import importlib.metadata
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import spurgekit
from spurgekit.errors import InputError, SpurgekitError, first_line
from spurgekit.text import shown

FAULT = 70
"""Exit code of a fault of spurgekit itself (EX_SOFTWARE of sysexits.h)."""

FULL = re.compile(r"no space left on device|os error 28\b|disk is full|disk quota exceeded", re.IGNORECASE)
"""How libraries say that a disk is full that raise no OSError of that number: safetensors, SQLite, GDAL."""

CANNOT_WRITE = re.compile(r"\bwrite (error at|failed)\b|\bio error writing\b", re.IGNORECASE)
"""How libtiff and rasterio say that a file could not be written to, mostly for lack of room."""

NO_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|insufficient memory|out of memory|cannot allocate", re.IGNORECASE
)
"""How libraries say that memory is short that raise no MemoryError: PyTorch, OpenCV, GDAL."""


class Terminated(KeyboardInterrupt):
    """A signal that asks to end, which is dealt with as Ctrl+C is."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Failure(NamedTuple):
    """How a run failed.

    Attributes
    ----------
    says : str
        The line, without the program's name.
    code : int
        That the process ends with.
    """

    says: str
    code: int


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Let signals that schedulers and Docker end a process by end what runs within as Ctrl+C does: nothing half-written stays.

    What is ignored, as by ``nohup``, stays ignored. A second signal does not cut off the cleaning up.
    """
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for one in ours:
            signal.signal(one, signal.SIG_IGN)
        raise Terminated(number)

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def failure_of(error: BaseException) -> Failure:
    """Return what is to be said of an error that ended a run."""
    if isinstance(error, Terminated):
        return Failure(f"ended by {signal.Signals(error.number).name}", 128 + error.number)
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted", 128 + signal.SIGINT)
    chain = list(_chain(error))
    if any(_is_full(one) for one in chain):
        return Failure("the disk is full; free some space and run it again", 1)
    if not isinstance(error, SpurgekitError) and any(CANNOT_WRITE.search(str(one)) for one in chain):
        return Failure("a file could not be written: the disk is full, or fails; free some space and run it again", 1)
    if any(_is_short_of_memory(one) for one in chain):
        return Failure("there is not enough memory for this; close other programs, or pass smaller batches or images", 1)
    if isinstance(error, SpurgekitError) and str(error).strip():
        return Failure(str(error), error.exit_code)
    if isinstance(error, UnicodeError) and (name := _name_that_is_none(error)) is not None:
        return Failure(f"the name {name} is not UTF-8; rename it", InputError.exit_code)
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # of pathlib before Python 3.13
        return Failure(f"{first_line(error).rpartition(' ')[2]} is a loop of links; pass another path", InputError.exit_code)
    if isinstance(error, OSError) and error.errno is not None:
        return Failure(_of_system(error), 1)
    return Failure(_of_spurgekit(error), FAULT)


def _of_system(error: OSError) -> str:
    """Return what the operating system refuses, and of which files."""
    files = " to ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    what = error.strerror or errno.errorcode.get(error.errno or 0, type(error).__name__)
    return f"{files}: {what}" if files else what


def _of_spurgekit(error: BaseException) -> str:
    """Return a request to report an error that nobody foresaw."""
    what = type(error).__name__ + (f": {text}" if (text := first_line(error)) != type(error).__name__ else "")
    frames = traceback.extract_tb(error.__traceback__)
    ours = Path(spurgekit.__file__).parent
    mine = [frame for frame in frames if Path(frame.filename).is_relative_to(ours)]
    where = f", {Path(mine[-1].filename).relative_to(ours).as_posix()} line {mine[-1].lineno}" if mine else ""
    return f"this is a fault of spurgekit ({what}{where}); please report it{_issues()} with what 'spurgekit --debug' shows"


def _issues() -> str:
    try:
        entries = importlib.metadata.metadata("spurgekit").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:  # run from a folder of its files
        return ""
    return next((f" at {entry.partition(', ')[2]}" for entry in entries if entry.startswith("Issues, ")), "")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it comes from."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return True
    return not isinstance(error, SpurgekitError) and FULL.search(str(error)) is not None


def _is_short_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # of PyTorch
        return True
    return isinstance(error, RuntimeError | OSError) and NO_MEMORY.search(str(error)) is not None


def _name_that_is_none(error: UnicodeError) -> str | None:
    """Return the text of an error about bytes of a name that are no characters, which Python has as halves of characters."""
    if not isinstance(error, UnicodeEncodeError) or "surrogates" not in error.reason:
        return None
    return shown(error.object)


def show_anything() -> None:
    """Let standard output and error write out characters that their encoding does not have, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
