"""What of a run is done, line by line on disk, so that a run that was killed goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from spurgekit.augment.plan import SUFFIX
from spurgekit.outputs import output_file
from spurgekit.tiles.png import is_whole_png

FILE_NAME = "run_log.jsonl"


@dataclass
class RunLog:
    """Units that are done, in the order in which they were.

    A line is written when all images of a unit are on disk. What was lost nevertheless is made again: the unit of a last line
    that was cut off by a kill, and those of which an image is not whole.

    Attributes
    ----------
    path : pathlib.Path
    done : set of str
        Ids of the images that are made, blanked ones included.
    blanked : set of str
        Ids of those that the safety checker kept back.
    in_float32 : int
        Images that had to be made again in float32.
    """

    path: Path
    done: set[str] = field(default_factory=set)
    blanked: set[str] = field(default_factory=set)
    in_float32: int = 0

    @classmethod
    def open(cls, folder: Path) -> RunLog:
        """Read the log of a folder, where there is one."""
        log = cls(folder / FILE_NAME)
        if log.path.is_file():
            lines = log.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
            kept = []
            for line in lines:
                if line.endswith("\n") and (entry := _whole_entry(line, folder)) is not None:
                    log._count(entry)
                    kept.append(line)
            if kept != lines:
                with output_file(log.path) as file:
                    file.write_text("".join(kept), encoding="utf-8", newline="\n")
        return log

    def add(self, ids: Iterable[str], blanked: Iterable[str], in_float32: int) -> None:
        """Note a unit whose images are on disk."""
        entry = {"done": list(ids), "blanked": list(blanked), "in_float32": in_float32}
        with self.path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._count(entry)

    def _count(self, entry: dict[str, object]) -> None:
        done, blanked, in_float32 = (entry[name] for name in ("done", "blanked", "in_float32"))
        self.done.update(done)  # type: ignore[arg-type]
        self.blanked.update(blanked)  # type: ignore[arg-type]
        self.in_float32 += int(in_float32)  # type: ignore[call-overload]


def _whole_entry(line: str, folder: Path) -> dict[str, object] | None:
    """Return what a line says, if the images that it says are done are there, whole; else None."""
    try:
        entry: dict[str, object] = json.loads(line)
        made = set(entry["done"]) - set(entry["blanked"])  # type: ignore[call-overload]
        is_whole = "in_float32" in entry and all(is_whole_png(folder / f"{name}{SUFFIX}") for name in made)
    except (ValueError, KeyError, TypeError):
        return None
    return entry if is_whole else None
