"""Contact sheets: many tiles side by side, to see at a glance what a class looks like and what should not be in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from spurgekit.imagery.sheet import SIDE_PX, Group, draw_groups, thumbnail

COLUMNS, ROWS = 8, 5


def draw_contact_sheet(
    groups: Sequence[tuple[str, Sequence[Path]]],
    path: Path,
    *,
    rows: int = ROWS,
    columns: int = COLUMNS,
    named: bool = False,
) -> None:
    """Draw tiles in groups below each other, each under its title.

    Parameters
    ----------
    groups : sequence of (title, paths of images)
        Of more images than there is room for, those are shown whose names come first in an order that has nothing to do with
        place or time, and is the same for every drawing.
    path : pathlib.Path
        PNG to write.
    rows, columns : int
        At most, of each group.
    named : bool
        Write the name of its file below each tile, the end of it where it is long.
    """
    drawn = []
    for title, paths in groups:
        shown = choose_shown(paths, rows * columns)
        drawn.append(Group(title, [thumbnail(tile) for tile in shown], [tile.stem for tile in shown] if named else ()))
    draw_groups(drawn, SIDE_PX, columns).save(path)


def choose_shown(paths: Sequence[Path], most: int) -> list[Path]:
    """Return which of many images are shown: always the same ones."""
    return sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).digest())[:most]
