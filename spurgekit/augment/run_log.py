"""What of a run is done, line by line on disk, so that a run that was killed goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

FILE_NAME = "run_log.jsonl"


@dataclass
class RunLog:
    """Units that are done, in the order in which they were.

    A line is written when all images of a unit are on disk, so what a line names is whole; a last line that was cut off by a
    kill is not counted, and its unit is made again.

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
            whole = []
            for line in log.path.read_text(encoding="utf-8").splitlines(keepends=True):
                if not line.endswith("\n"):
                    break
                log._count(json.loads(line))
                whole.append(line)
            log.path.write_text("".join(whole), encoding="utf-8")
        return log

    def add(self, ids: Iterable[str], blanked: Iterable[str], in_float32: int) -> None:
        """Note a unit whose images are on disk."""
        entry = {"done": list(ids), "blanked": list(blanked), "in_float32": in_float32}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._count(entry)

    def close(self) -> None:
        """Remove it, once all is done."""
        self.path.unlink(missing_ok=True)

    def _count(self, entry: dict[str, object]) -> None:
        done, blanked, in_float32 = (entry[name] for name in ("done", "blanked", "in_float32"))
        self.done.update(done)  # type: ignore[arg-type]
        self.blanked.update(blanked)  # type: ignore[arg-type]
        self.in_float32 += int(in_float32)  # type: ignore[call-overload]
