"""The log of a folder while it is written: in memory, and in step with a file to which others may append, too."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from spurgekit.errors import InputError
from spurgekit.tiles.review_log import (
    LOG,
    DamagedLogWarning,
    Decision,
    Opinion,
    append_decisions,
    read_decisions,
)

NO_OPINION = Opinion()
LONGEST_NAME = 100


class Entry(BaseModel):
    """A decision as it comes from a page, which does not say what it replaces: the log knows that.

    Attributes
    ----------
    id : str
        Made by the page, so that an entry that is sent again counts once.
    when : datetime
        With its time zone. The page's: it may have waited there for the server.
    who : str
        The reviewer.
    tile : str
        Id of the tile.
    after : Opinion
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=100)
    when: AwareDatetime
    who: str
    tile: str = Field(min_length=1)
    after: Opinion

    @field_validator("who")
    @classmethod
    def _is_a_name(cls, who: str) -> str:
        return as_name(who)


def as_name(who: str) -> str:
    """Return a reviewer's name without needless spaces.

    Raises
    ------
    InputError
        If nothing is left of it, or too much.
    """
    name = " ".join(who.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise InputError(f"a reviewer needs a name of up to {LONGEST_NAME} letters; pass it as `reviewer`")
    return name


class SharedLog:
    """What has been decided in a folder.

    Threads may share it. What other processes append is taken in before anything is answered or added.

    Parameters
    ----------
    folder : pathlib.Path

    Attributes
    ----------
    path : pathlib.Path
        The log.
    saved : int
        Decisions that were added through this log.
    damage : str
        What was wrong with the log at first, if anything.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG
        self.saved = 0
        self._lock = threading.Lock()
        self._decisions: list[Decision] = []
        self._ids: set[str] = set()
        self._latest: dict[str, dict[str, Opinion]] = {}
        self._size = 0
        self._revision = time.time_ns() // 1_000_000  # larger than any that a page knows from an earlier start
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", DamagedLogWarning)
            self._catch_up()
        self.damage = "; ".join(str(warning.message) for warning in said)

    @property
    def revision(self) -> int:
        """A number that grows whenever something is decided, by whomever."""
        with self._lock:
            self._catch_up()
            return self._revision

    def decisions(self) -> list[Decision]:
        """Return all decisions, in the order of the log."""
        with self._lock:
            self._catch_up()
            return list(self._decisions)

    def of_reviewer(self, who: str) -> dict[str, Opinion]:
        """Return a reviewer's opinions by tile; those without a verdict only where they have a note."""
        with self._lock:
            self._catch_up()
            return {tile: of[who] for tile, of in self._latest.items() if of.get(who, NO_OPINION) != NO_OPINION}

    def opinions(self, tiles: Iterable[str] | None = None) -> dict[str, dict[str, Opinion]]:
        """Return what each reviewer thinks of each tile, or of some, as :func:`spurgekit.tiles.review_log.opinions` does."""
        with self._lock:
            self._catch_up()
            asked = self._latest if tiles is None else {tile: self._latest.get(tile, {}) for tile in tiles}
            held = {tile: {who: said for who, said in of.items() if said.verdict} for tile, of in asked.items()}
        return {tile: of for tile, of in held.items() if of}

    def record(self, entries: Sequence[Entry]) -> None:
        """Add entries to the log, except those that are in it; when it returns they are on the disk.

        Raises
        ------
        OSError
            If they cannot be written. Sending them again is safe, whatever became of them.
        """
        with self._lock:
            self._catch_up()
            added: dict[str, Decision] = {}
            latest: dict[tuple[str, str], Opinion] = {}  # of the entries themselves
            for entry in entries:
                if entry.id in self._ids or entry.id in added:
                    continue
                said = self._latest.get(entry.tile, {}).get(entry.who, NO_OPINION)
                before = latest.get((entry.tile, entry.who), said)
                added[entry.id] = Decision(**dict(entry), before=before)
                latest[entry.tile, entry.who] = entry.after
            if not added:
                return
            append_decisions(self.path, added.values())
            for decision in added.values():
                self._take_in(decision)
            # If anything else was written, too, the size is another one, and the log is read anew before it is used again.
            self._size += sum(len(decision.model_dump_json().encode()) + 1 for decision in added.values())
            self.saved += len(added)
            self._revision += 1

    def _catch_up(self) -> None:
        size = self.path.stat().st_size if self.path.is_file() else 0
        if size == self._size:
            return
        self._decisions, self._ids, self._latest = [], set(), {}
        for decision in read_decisions(self.path):
            self._take_in(decision)
        self._size = size
        self._revision += 1

    def _take_in(self, decision: Decision) -> None:
        self._decisions.append(decision)
        self._ids.add(decision.id)
        self._latest.setdefault(decision.tile, {})[decision.who] = decision.after
