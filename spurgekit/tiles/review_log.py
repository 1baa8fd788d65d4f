"""What people decided about tiles: ``review.jsonl``, a log in the folder of the tiles that only ever grows.

Each line is one decision of one reviewer about one tile, with what that reviewer had said of it before. What counts is a
reviewer's latest line about a tile; to take a decision back is a decision, too. Logs of two reviewers on two machines are put
together by appending one to the other.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

LOG = "review.jsonl"

Verdict = Literal["accepted", "rejected", "unsure"]


class DamagedLogWarning(UserWarning):
    """Lines of a log that were cut off, as by a crash, and left out."""


class Opinion(BaseModel):
    """What one reviewer thinks of one tile.

    Attributes
    ----------
    verdict : {"accepted", "rejected", "unsure"} or None
        Accepted: the tile shows its label. Rejected: it is of no use, whatever it shows. None: no opinion, as before the first
        look or after it was taken back.
    label : str or None
        The class that the tile shows, of an accepted tile.
    note : str
        In the reviewer's words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict | None = None
    label: str | None = None
    note: str = ""

    @model_validator(mode="after")
    def _has_a_label(self) -> Opinion:
        if self.verdict == "accepted" and not self.label:
            raise ValueError("an accepted tile needs a label")
        return self


class Decision(BaseModel):
    """A line of the log.

    Attributes
    ----------
    id : str
        Made where the decision was made; one that is sent twice counts once.
    when : datetime
        With its time zone.
    who : str
        The reviewer.
    tile : str
        Id of the tile.
    before, after : Opinion
        Of this reviewer about this tile.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(default_factory=lambda: uuid4().hex, min_length=1)
    when: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    who: str = Field(min_length=1)
    tile: str = Field(min_length=1)
    before: Opinion = Opinion()
    after: Opinion


def append_decisions(path: Path, decisions: Iterable[Decision]) -> None:
    """Add lines to a log; when it returns they are on the disk.

    Several processes may append to one log. A last line that a crash has cut off is ended first, so that it spoils no other.
    """
    lines = b"".join(decision.model_dump_json().encode() + b"\n" for decision in decisions)
    with path.open("a+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                lines = b"\n" + lines
        while lines:  # a full disk raises an OSError, on the first write or on the next
            lines = lines[file.write(lines) :]
        os.fsync(file.fileno())


def read_decisions(path: Path) -> list[Decision]:
    """Return the decisions of a log in its order, each once; none if there is no such file.

    Lines that cannot be read are left out, with a :class:`DamagedLogWarning` that says how many.
    """
    if not path.is_file():
        return []
    found: dict[str, Decision] = {}
    damaged = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            decision = Decision.model_validate_json(line)
        except ValidationError:
            damaged.append(number)
        else:
            found.setdefault(decision.id, decision)
    if damaged:
        what = f"line {damaged[0]} is" if len(damaged) == 1 else f"{len(damaged)} lines, the first of them {damaged[0]}, are"
        warnings.warn(f"{path}: {what} cut off or damaged, and left out", DamagedLogWarning, stacklevel=2)
    return list(found.values())


def opinions(decisions: Iterable[Decision]) -> dict[str, dict[str, Opinion]]:
    """Return what each reviewer thinks of each tile now; those who took their decision back are not in it."""
    latest: dict[str, dict[str, Opinion]] = {}
    for decision in decisions:
        latest.setdefault(decision.tile, {})[decision.who] = decision.after
    held = {tile: {who: said for who, said in of.items() if said.verdict} for tile, of in latest.items()}
    return {tile: of for tile, of in held.items() if of}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all reviewers together say of a tile.

    Attributes
    ----------
    status : {"accepted", "rejected", "unsure", "disputed"}
        Disputed: some have accepted it and others rejected it, or they accepted it with different labels. Those who are unsure
        leave it to the others.
    label : str or None
        Of an accepted tile.
    reviewers : tuple of str
        Who looked at it, sorted.
    """

    status: Literal["accepted", "rejected", "unsure", "disputed"]
    label: str | None
    reviewers: tuple[str, ...]


def outcome(of_tile: Mapping[str, Opinion]) -> Outcome:
    """Return what the opinions of a tile come to.

    Examples
    --------
    >>> outcome({"ada": Opinion(verdict="accepted", label="weed"), "bo": Opinion(verdict="unsure")})
    Outcome(status='accepted', label='weed', reviewers=('ada', 'bo'))
    """
    reviewers = tuple(sorted(of_tile))
    sure = {(said.verdict, said.label if said.verdict == "accepted" else None) for said in of_tile.values()}
    sure -= {("unsure", None)}
    if not sure:
        return Outcome("unsure", None, reviewers)
    if len(sure) > 1:
        return Outcome("disputed", None, reviewers)
    verdict, label = sure.pop()
    return Outcome("accepted" if verdict == "accepted" else "rejected", label, reviewers)


def read_outcomes(folder: Path) -> dict[str, Outcome]:
    """Return what the log of a folder comes to, by tile id; empty where nobody has reviewed it."""
    return {tile: outcome(of) for tile, of in opinions(read_decisions(Path(folder) / LOG)).items()}
