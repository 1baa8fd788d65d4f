"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from spurgekit.errors import InputError, OutputExistsError
from spurgekit.image_names import ImageName, local_file

if TYPE_CHECKING:
    from torch import Tensor

PARTIAL = ".partial"


def hidden_beside(path: Path, what: str) -> Path:
    """Return the hidden name beside an output for what is of use while it is made.

    >>> hidden_beside(Path("surveys/tiles"), "lock").as_posix()
    'surveys/.tiles.lock'
    """
    return path.with_name(f".{path.name}.{what}")


@contextmanager
def output_file(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a hidden name beside ``path``, of the same suffix, that takes that name when the block ends without an error.

    The name is nobody else's, so that of two processes that write one file the last wins, whole. What was written is on the
    disk before it takes the name, so that a name that is there after a power failure is of a whole file.

    Parameters
    ----------
    path : str or pathlib.Path
        The final name; one that is there is replaced. Its parents are made.
    durable : bool
        Whether to wait for the disk. Of thousands of files in a folder that appears as a whole, it would be waited for each.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{PARTIAL}{path.suffix}")
    try:
        yield partial
        if durable:
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def remove_partial_files(folder: Path) -> None:
    """Remove what killed runs left of files that they wrote in a folder of spurgekit's with :func:`output_file`."""
    for path in folder.rglob(f".*{PARTIAL}*"):
        path.unlink()


_ELSEWHERE = re.compile(r"[\\/]+vsi\w+(?:[\\/]|$)|[A-Za-z][\w+.-]+:[\\/]")
"""How paths begin that programs take for addresses, or that GDAL takes for its virtual file systems."""


def check_name(path: str | Path) -> None:
    """Refuse the name of an output that GDAL, which writes parts of it, would take for something else than a path.

    Raises
    ------
    InputError
        If it is an address, or holds a ``!``.
    """
    if _ELSEWHERE.match(str(path)):
        raise InputError(f"{path} is no folder or file of this machine, where outputs are written; pass another `out`")
    if "!" in str(path):
        raise InputError(f"{path}: what is before a ! is taken for an archive; pass an `out` without it")


def check_files(*paths: Path, overwrite: bool, inputs: Iterable[ImageName] = ()) -> None:
    """Make sure that files may be written, ahead of the work that they are made by.

    Parameters
    ----------
    *paths : pathlib.Path
        All that are to be written.
    overwrite : bool
        Replace those that are there.
    inputs : iterable of pathlib.Path or GdalName
        What they are made from; none of these is ever replaced.

    Raises
    ------
    OutputExistsError
        If one is there, or is an input.
    InputError
        If one has a name that no output can have.
    """
    sources = [source.resolve() for source in filter(None, map(local_file, inputs))]
    for path in paths:
        check_name(path)
        if path.is_dir():
            raise OutputExistsError(f"{path} is a folder; pass a file with `out`")
        if path.resolve() in sources:
            raise OutputExistsError(f"{path} would replace what it is made from; pass another `out`")
        if path.exists() and not overwrite:
            raise OutputExistsError(f"{path} exists already; pass `overwrite` to replace it, or another `out`")


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors as safetensors, whole or not at all, that all may read who may read the user's other files.

    safetensors itself makes files for their owner alone.
    """
    from safetensors.torch import save_file

    with output_file(path) as partial:
        partial.touch()
        mode = partial.stat().st_mode
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, partial, dict(metadata))
        partial.chmod(mode)
