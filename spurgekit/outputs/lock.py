"""One process at a time for each output."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from spurgekit.errors import OutputExistsError, OutputInUseError
from spurgekit.outputs.files import hidden_beside

SIGNATURE = "spurgekit"
"""How the text of a lock begins."""


@contextmanager
def output_lock(path: Path) -> Iterator[None]:
    """Keep an output to this thread; the block may ask for it again.

    The lock is the operating system's on a file beside the output (``.NAME.lock``), which a process that ends in whatever way
    gives back. The file says which process holds it, and is gone when the block ends.

    Parameters
    ----------
    path : pathlib.Path
        Of the output, without links. Its parents are made; those of them that nothing came into are gone when the block ends.

    Raises
    ------
    OutputInUseError
        If another process, or another thread, works at it.
    OutputExistsError
        If a file of that name is there that is no lock.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputExistsError(f"{error.filename} is a file, so nothing can be made in it; pass another `out`") from error
    file = hidden_beside(path, "lock")
    if not _is_lock(file):
        raise OutputExistsError(f"{file} is in the way and no lock of spurgekit's; rename it, or pass another `out`")
    lock = FileLock(file, timeout=0, is_singleton=True)
    if lock.is_locked:
        yield
        return
    try:
        lock.acquire()
    except Timeout:
        raise OutputInUseError(f"{_holder(file)} is writing {path}; wait until it is done, or pass another `out`") from None
    try:
        file.write_text(f"{SIGNATURE} {os.getpid()} {platform.node()}\n", encoding="utf-8", newline="\n")
        yield
    finally:
        with suppress(PermissionError):  # Windows removes no file that is open, and filelock sees to it there
            file.unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


def _is_lock(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(SIGNATURE)) in (b"", SIGNATURE.encode())
    except FileNotFoundError:
        return True
    except PermissionError:  # Windows keeps others from reading what is locked
        return True
    except OSError:
        return False


def _holder(file: Path) -> str:
    with suppress(OSError, ValueError):
        _, process, host = file.read_text(encoding="utf-8").split(maxsplit=2)
        return f"process {int(process)} on {host.strip()}"
    return "another process"
