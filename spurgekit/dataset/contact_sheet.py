"""Contact sheets: many tiles side by side, to see at a glance what a class looks like and what should not be in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from spurgekit.dataset.reader import UNKNOWN, read_mask
from spurgekit.imagery.sheet import SIDE_PX, Group, Picture, draw_groups, thumbnail

COLUMNS, ROWS = 8, 5

OUTLINE = (255, 0, 0)
"""Of the edges of a mask: nothing that grows is as red."""


def draw_contact_sheet(
    groups: Sequence[tuple[str, Sequence[Path]]],
    path: Path,
    *,
    rows: int = ROWS,
    columns: int = COLUMNS,
    named: bool = False,
    masks: Mapping[Path, Path | None] | None = None,
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
    masks : mapping of Path to (Path or None), optional
        Those of the images, whose outlines are drawn on them.

    Raises
    ------
    InputError
        If a mask is damaged.
    """
    drawn = []
    for title, paths in groups:
        shown = choose_shown(paths, rows * columns)
        pictures = [thumbnail(tile) for tile in shown]
        if masks is not None:
            pictures = [_outlined(picture, masks.get(tile)) for picture, tile in zip(pictures, shown, strict=True)]
        drawn.append(Group(title, pictures, [tile.stem for tile in shown] if named else ()))
    draw_groups(drawn, SIDE_PX, columns).save(path)


def _outlined(picture: Picture, path: Path | None) -> Picture:
    """Return a picture with the outlines of what a mask has on it; grey where nobody knows it, or there is no mask."""
    side = len(picture)
    mask = np.full((1, 1), UNKNOWN, np.uint8) if path is None else read_mask(path)
    at = (np.arange(side) * len(mask)) // side
    shown, picture = mask[np.ix_(at, at)], picture.copy()
    picture[shown == UNKNOWN] = picture[shown == UNKNOWN] // 4 + 120
    edge = np.zeros(shown.shape, np.bool_)
    edge[1:] |= shown[1:] != shown[:-1]
    edge[:, 1:] |= shown[:, 1:] != shown[:, :-1]
    picture[edge] = OUTLINE
    return picture


def choose_shown(paths: Sequence[Path], most: int) -> list[Path]:
    """Return which of many images are shown: always the same ones."""
    return sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).digest())[:most]
