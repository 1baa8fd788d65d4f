"""Two folders that change names with each other, so that neither name is ever empty."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from spurgekit.outputs.files import hidden_beside

LINUX_HERE, LINUX_EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)
MACOS_SWAP = 2  # RENAME_SWAP of renamex_np(2)


def exchange(one: Path, other: Path) -> None:
    """Give each of two folders the other's name: at once where system and disk can, else by way of a third name.

    Parameters
    ----------
    one, other : pathlib.Path
        Folders side by side. Where it takes a third name, that is :func:`third_name` of ``one``, for a moment.

    Raises
    ------
    OSError
        If they cannot be renamed; both have their old names then.
    """
    if _exchange_at_once(one, other):
        return
    third = third_name(one)
    if os.path.lexists(third):
        raise FileExistsError(f"{third} is in the way")
    one.rename(third)
    try:
        other.rename(one)
    except OSError:
        third.rename(one)
        raise
    third.rename(other)


def third_name(folder: Path) -> Path:
    """Return the name that a folder has while another takes its own."""
    return hidden_beside(folder, "replaced")


def put_back(folder: Path) -> None:
    """Give a folder its name back that a run was about to replace when it was killed."""
    if (third := third_name(folder)).is_dir() and not os.path.lexists(folder):
        third.rename(folder)


def _exchange_at_once(one: Path, other: Path) -> bool:
    """Return whether the operating system could."""
    try:
        library = ctypes.CDLL(None)
        names = os.fsencode(one), os.fsencode(other)
        if sys.platform == "darwin":
            return bool(library.renamex_np(*names, MACOS_SWAP) == 0)
        return bool(library.renameat2(LINUX_HERE, names[0], LINUX_HERE, names[1], LINUX_EXCHANGE) == 0)
    except (AttributeError, OSError, TypeError):  # another system, or another C library
        return False
