"""Sheets of pictures: tiles side by side, below titles, over their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from spurgekit.imagery.pixel_grid import Window
from spurgekit.imagery.raster import open_tile_image
from spurgekit.imagery.site_picture import INK, PAPER
from spurgekit.imagery.stretch import BYTES, Stretch, rgb_bands

SIDE_PX = 128
"""Side of a tile on most sheets."""

GAP_PX = 6
LETTERS_PX, NAME_PX = 18, 11
LEAST_SMOOTH = 64
"""Smaller tiles are enlarged without smoothing, so that their pixels can be seen."""

Picture = NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures below a title.

    Attributes
    ----------
    title : str
    pictures : sequence of ndarray of uint8, shape (side, side, 3)
    names : sequence of str
        To be written below them, the end of each where it is long; none, or one for each picture.
    """

    title: str
    pictures: Sequence[Picture]
    names: Sequence[str] = ()


def draw_groups(groups: Sequence[Group], side_px: int, columns: int) -> Image.Image:
    """Draw groups of pictures below each other, each under its title.

    Parameters
    ----------
    groups : sequence of Group
    side_px : int
        Of each picture.
    columns : int
        Pictures in a row, at most.
    """
    font, small = ImageFont.load_default(LETTERS_PX), ImageFont.load_default(NAME_PX)
    row_px = [side_px + GAP_PX + (NAME_PX + GAP_PX if group.names else 0) for group in groups]
    heights = [
        LETTERS_PX + 2 * GAP_PX + -(-len(group.pictures) // columns) * px for group, px in zip(groups, row_px, strict=True)
    ]
    widest = max((min(columns, len(group.pictures)) for group in groups), default=1)
    titles = (int(font.getlength(group.title)) + 2 * GAP_PX for group in groups)
    page = Image.new("RGB", (max(widest * (side_px + GAP_PX) + GAP_PX, *titles), sum(heights) + GAP_PX), PAPER)
    draw = ImageDraw.Draw(page)
    top = 0
    for group, px, height in zip(groups, row_px, heights, strict=True):
        draw.text((GAP_PX, top + GAP_PX), group.title, INK, font)
        for number, picture in enumerate(group.pictures):
            row, column = divmod(number, columns)
            x, y = GAP_PX + column * (side_px + GAP_PX), top + LETTERS_PX + 2 * GAP_PX + row * px
            page.paste(Image.fromarray(picture), (x, y))
            if group.names:
                draw.text((x, y + side_px + GAP_PX // 2), end_that_fits(group.names[number], small, side_px), INK, small)
        top += height
    return page


def end_that_fits(name: str, font: Font, width_px: float) -> str:
    """Return the end of a name that fits below a tile: the beginning, the site, is the same for many."""
    if font.getlength(name) <= width_px:
        return name
    start = next(start for start in range(1, len(name) + 1) if font.getlength("…" + name[start:]) <= width_px)
    return "…" + name[start:]


def thumbnail(path: Path, side_px: int = SIDE_PX) -> Picture:
    """Return a tile as RGB bytes of a size, shape (side, side, 3); grey where it cannot be read.

    Of more than three bands the first three are shown; other types than bytes are stretched from their 2nd to their 98th
    percentile. Of an image that is no square the centre is shown.
    """
    try:
        with open_tile_image(path) as raster:
            pixels, valid = raster.read(Window(0, 0, raster.grid.width, raster.grid.height))
    except (OSError, ValueError):  # a missing or damaged file is one grey square, not the end of the sheet
        return np.full((side_px, side_px, 3), 160, np.uint8)
    shown = rgb_bands(pixels)
    stretch = BYTES if shown.dtype == np.uint8 else Stretch.of(shown[:, valid])
    image = np.ascontiguousarray(np.moveaxis(stretch(shown), 0, -1))
    small = min(image.shape[:2])
    top, left = ((whole - small) // 2 for whole in image.shape[:2])
    image = image[top : top + small, left : left + small]
    how = cv2.INTER_AREA if small > side_px else cv2.INTER_LINEAR if small >= LEAST_SMOOTH else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(image, (side_px, side_px), interpolation=how), np.uint8)
