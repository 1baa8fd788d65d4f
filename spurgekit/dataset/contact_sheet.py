"""Contact sheets: many tiles side by side, to see at a glance what a class looks like and what should not be in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from spurgekit.imagery import Window, open_raster
from spurgekit.imagery.site_picture import INK, PAPER
from spurgekit.imagery.stretch import BYTES, Stretch, rgb_bands

COLUMNS, ROWS = 8, 5
SIDE_PX = 128
GAP_PX = 6
LETTERS_PX, NAME_PX = 18, 11
LEAST_SMOOTH = 64
"""Smaller tiles are enlarged without smoothing, so that their pixels can be seen."""


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
    chosen = [(title, choose_shown(paths, rows * columns)) for title, paths in groups]
    widest = max((min(columns, len(paths)) for _, paths in chosen), default=1)
    row_px = SIDE_PX + GAP_PX + (NAME_PX + GAP_PX if named else 0)
    heights = [LETTERS_PX + 2 * GAP_PX + -(-len(paths) // columns) * row_px for _, paths in chosen]
    font, small = ImageFont.load_default(LETTERS_PX), ImageFont.load_default(NAME_PX)
    width = max(widest * (SIDE_PX + GAP_PX) + GAP_PX, *(int(font.getlength(title)) + 2 * GAP_PX for title, _ in chosen))
    page = Image.new("RGB", (width, sum(heights) + GAP_PX), PAPER)
    draw = ImageDraw.Draw(page)
    top = 0
    for (title, paths), height in zip(chosen, heights, strict=True):
        draw.text((GAP_PX, top + GAP_PX), title, INK, font)
        for number, image in enumerate(paths):
            row, column = divmod(number, columns)
            x = GAP_PX + column * (SIDE_PX + GAP_PX)
            y = top + LETTERS_PX + 2 * GAP_PX + row * row_px
            page.paste(Image.fromarray(thumbnail(image, SIDE_PX)), (x, y))
            if named:
                draw.text((x, y + SIDE_PX + GAP_PX // 2), end_that_fits(image.stem, small, SIDE_PX), INK, small)
        top += height
    page.save(path)


def choose_shown(paths: Sequence[Path], most: int) -> list[Path]:
    """Return which of many images are shown: always the same ones."""
    return sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).digest())[:most]


def end_that_fits(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: float) -> str:
    """Return the end of a name that fits below a tile: the beginning, the site, is the same for many."""
    if font.getlength(name) <= width_px:
        return name
    start = next(start for start in range(1, len(name) + 1) if font.getlength("…" + name[start:]) <= width_px)
    return "…" + name[start:]


def thumbnail(path: Path, side_px: int) -> NDArray[np.uint8]:
    """Return a tile as RGB bytes of a size, shape (side, side, 3); grey where it cannot be read.

    Of more than three bands the first three are shown; other types than bytes are stretched from their 2nd to their 98th
    percentile.
    """
    try:
        with open_raster(path) as raster:
            pixels, valid = raster.read(Window(0, 0, raster.grid.width, raster.grid.height))
    except (OSError, ValueError):  # a missing or damaged file is one grey square, not the end of the sheet
        return np.full((side_px, side_px, 3), 160, np.uint8)
    shown = rgb_bands(pixels)
    stretch = BYTES if shown.dtype == np.uint8 else Stretch.of(shown[:, valid])
    image = np.ascontiguousarray(np.moveaxis(stretch(shown), 0, -1))
    small = min(image.shape[:2])
    how = cv2.INTER_AREA if small > side_px else cv2.INTER_LINEAR if small >= LEAST_SMOOTH else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(image, (side_px, side_px), interpolation=how), np.uint8)
