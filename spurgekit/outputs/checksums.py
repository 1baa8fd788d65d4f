"""``SHA256SUMS``: the files of an output folder, each with its hash, as ``sha256sum -c SHA256SUMS`` reads them.

By it, spurgekit knows what in a folder is its own and unchanged, and so may be replaced.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from spurgekit.errors import InputError
from spurgekit.outputs.files import output_file
from spurgekit.parallel import cores

CHECKSUMS = "SHA256SUMS"
LITTER = frozenset((".DS_Store", "Thumbs.db", "desktop.ini"))
"""What file managers leave in every folder that they show; it is nobody's work."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in an output folder, held against its list.

    Attributes
    ----------
    files : mapping of str to (int, int)
        Size and time of change (ns) of each file that is there, by its name within the folder.
    listed : frozenset of str
        Names of those that the list has, as it has them.
    changed, foreign : tuple of str
        Names of those that are no longer what the list says, and of those that it does not have.
    """

    files: Mapping[str, tuple[int, int]]
    listed: frozenset[str]
    changed: tuple[str, ...]
    foreign: tuple[str, ...]


def write_checksums(folder: Path, *, without: Iterable[str] = (), known: Mapping[str, str] | None = None) -> None:
    """List all files of a folder.

    Parameters
    ----------
    folder : pathlib.Path
    without : iterable of str
        Names of files that will not stay in it.
    known : mapping of str to str, optional
        SHA-256 of files that need not be read for it: whoever wrote them had their bytes in hand.
    """
    known = known or {}
    left_out = {CHECKSUMS, *without, *known}
    names = [name for name in walk(folder) if name not in left_out]
    _write(folder, {**known, **dict(zip(names, _hashes(folder, names), strict=True))})


def note_checksums(folder: Path, sums: Mapping[str, str]) -> None:
    """Say what files are that were written into an :func:`~spurgekit.outputs.output_folder`, so that its list takes it over.

    Parameters
    ----------
    folder : pathlib.Path
        As it is being made.
    sums : mapping of str to str
        SHA-256 of each by its name. None of them may be written again.
    """
    _write(folder, sums)


def add_checksums(folder: Path, names: Iterable[str]) -> None:
    """List files that were written into a folder after it was made, or written again; nothing where it has no list."""
    folder = Path(folder)
    sums = read_checksums(folder)
    if sums is not None:
        names = list(names)
        _write(folder, {**sums, **dict(zip(names, _hashes(folder, names), strict=True))})


def read_checksums(folder: Path) -> dict[str, str] | None:
    """Return the SHA-256 of each listed file by its name, or None where a folder has no list.

    Raises
    ------
    InputError
        If the list is damaged.
    """
    file = folder / CHECKSUMS
    if not file.is_file():
        return None
    try:
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        return {name: digest for digest, name in (line.split(" *", 1) for line in lines)}
    except (ValueError, OSError) as error:
        raise InputError(f"{file} is damaged, so what of {folder} may be replaced is not known; pass another `out`") from error


def look_through(folder: Path, sums: Mapping[str, str]) -> Listing:
    """Hold the files of a folder against its list."""
    files = statuses(folder)
    known = [name for name in files if name in sums]
    changed = [
        name
        for name, digest in zip(known, _hashes(folder, known), strict=True)
        if (folder / name).is_symlink() or digest != sums[name]
    ]
    foreign = [name for name in files if name not in sums and name != CHECKSUMS]
    return Listing(files, frozenset(sums), tuple(changed), tuple(foreign))


def statuses(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change (ns) of all files below a folder."""
    found = {name: os.lstat(folder / name) for name in walk(folder)}
    return {name: (status.st_size, status.st_mtime_ns) for name, status in found.items()}


def walk(folder: Path) -> Iterator[str]:
    """Yield the names of all files below a folder but litter, in order; a link is a file, whatever it leads to."""
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in links)
        within = Path(place).relative_to(folder).as_posix()  # a path of each file would take longer than to list them
        start = "" if within == "." else f"{within}/"
        yield from (start + name for name in sorted({*files, *links} - LITTER))


def remove_listed(folder: Path, names: Iterable[str]) -> None:
    """Remove files from a folder, and it and the folders in it where they are empty then."""
    for name in (*names, CHECKSUMS):
        (folder / name).unlink(missing_ok=True)
    for place, _, files in os.walk(folder, topdown=False):
        for name in LITTER.intersection(files):
            Path(place, name).unlink()
        if not any(Path(place).iterdir()):
            Path(place).rmdir()


def _hashes(folder: Path, names: Iterable[str]) -> list[str]:
    with ThreadPoolExecutor(cores()) as threads:  # hashing leaves the interpreter to others
        return list(threads.map(lambda name: _hash(folder / name), names))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(folder: Path, sums: Mapping[str, str]) -> None:
    text = "".join(f"{digest} *{name}\n" for name, digest in sorted(sums.items()))
    with output_file(folder / CHECKSUMS) as partial:
        partial.write_text(text, encoding="utf-8", errors="surrogateescape", newline="\n")
