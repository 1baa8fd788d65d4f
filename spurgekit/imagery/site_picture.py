"""Pictures of a site for people: the image, outlines on it, a title above, a legend, north and a scale bar below."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from affine import Affine
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin
from rasterio.crs import CRS

from spurgekit.errors import ImageryError
from spurgekit.imagery.crs import name_crs
from spurgekit.imagery.limits import open_picture
from spurgekit.imagery.pixel_grid import PixelGrid
from spurgekit.imagery.quicklook import QuickLook

Colour = tuple[int, int, int]
Mark = Literal["box", "dot", "ring"]
"""What stands before an entry of the legend."""

MIN_WIDTH = 1000
"""Small sites are enlarged to this many pixels, so that the text beside them fits."""

MARGIN = 16
INK: Colour = (30, 30, 30)
PAPER: Colour = (255, 255, 255)
SUBPIXEL_BITS = 4
GRID_KEY = "spurgekit:grid"
"""The text of a saved picture that says where its pixels lie."""

MARK, GAP = 1.5, 1.5
"""Room for the mark before an entry of the legend, and between two of them, in heights of a letter."""

NORTH = 1.5
"""Radius of the circle about the north arrow, in heights of a letter."""

LEAST_LETTER_PX = 12
"""Letters that would be smaller than this are drawn at this size."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the legend."""

    text: str
    colour: Colour | None
    mark: Mark


@dataclass(frozen=True, slots=True)
class _Label:
    """A text on the site, at a place in pixels of the picture."""

    text: str
    col: float
    row: float
    size_px: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class _ScaleBar:
    """A round length, and how long it is on the picture."""

    metres: float
    length_px: float


class SitePicture:
    """A picture that is drawn step by step on a quick look, and saved once.

    Parameters
    ----------
    look : QuickLook
        The site.
    title : str
        One line above it.
    """

    def __init__(self, look: QuickLook, title: str) -> None:
        self._grid = look.grid
        self._zoom = max(1, math.ceil(MIN_WIDTH / max(look.grid.width, look.grid.height)))
        self._title = title
        self._legend: list[_Entry] = []
        self._labels: list[_Label] = []
        rgba = self._enlarge(look.rgba())
        self._canvas = np.where(rgba[..., 3:] > 0, rgba[..., :3], np.uint8(255))

    def outline(self, shapes: Iterable[NDArray[np.float64]], colour: Colour, width: int = 2, closed: bool = True) -> None:
        """Draw lines through world coordinates.

        Parameters
        ----------
        shapes : iterable of ndarray, shape (points, 2)
            x and y in the CRS of the site.
        colour : tuple of int
            Red, green, blue.
        width : int
            In pixels of the picture.
        closed : bool
            Join the last point to the first.
        """
        shapes = list(shapes)
        if not shapes:
            return
        ends = np.cumsum([len(shape) for shape in shapes])
        lines = np.split(self._for_opencv(np.concatenate(shapes)), ends[:-1])
        cv2.polylines(self._canvas, lines, closed, colour, width, cv2.LINE_AA, SUBPIXEL_BITS)

    def points(self, places: NDArray[np.float64], colour: Colour, radius: float = 6, filled: bool = True) -> None:
        """Draw dots, or rings that let through what is below them.

        Parameters
        ----------
        places : ndarray, shape (points, 2)
            x and y in the CRS of the site.
        colour : tuple of int
            Red, green, blue; a dark rim sets it off from the ground.
        radius : float
            In pixels of the picture.
        filled : bool
            Dots; else rings.
        """
        for place in self._for_opencv(np.asarray(places, dtype=np.float64).reshape(-1, 2)):
            for grown, ink in ((1.5, INK), (0.0, colour)):
                reach = round((radius + grown) * 2**SUBPIXEL_BITS)
                thickness = cv2.FILLED if filled else round(radius / 2 + 2 * grown)
                cv2.circle(self._canvas, tuple(place.tolist()), reach, ink, thickness, cv2.LINE_AA, SUBPIXEL_BITS)

    def label(self, place: Sequence[float], text: str, height: float, colour: Colour = PAPER) -> None:
        """Write a text centred on a place, with a dark rim.

        Parameters
        ----------
        place : sequence of two floats
            x and y in the CRS of the site.
        text : str
        height : float
            Of its letters, in the unit of the CRS; never too small to read.
        colour : tuple of int
        """
        col, row = (float(value) * self._zoom for value in self._grid.to_pixel(place[0], place[1]))
        pixel = math.sqrt(abs(self._grid.transform.determinant)) / self._zoom
        self._labels.append(_Label(text, col, row, max(LEAST_LETTER_PX, height / pixel), colour))

    def paint(self, rgba: NDArray[np.uint8]) -> None:
        """Lay colours over the site; alpha says how strongly.

        Parameters
        ----------
        rgba : ndarray of uint8, shape (height, width, 4)
            On the pixels of the quick look.
        """
        overlay = self._enlarge(rgba)
        painted = overlay[..., 3] > 0
        strength = overlay[painted, 3:].astype(np.float32) / 255
        mixed = self._canvas[painted] * (1 - strength) + overlay[painted, :3] * strength
        self._canvas[painted] = (mixed + 0.5).astype(np.uint8)

    def legend(self, colour: Colour | None, text: str, mark: Mark = "box") -> None:
        """Add an entry below the picture; without a colour it is text alone."""
        self._legend.append(_Entry(text, colour, mark))

    def save(self, path: Path) -> None:
        """Write the picture as a PNG that says where its pixels lie; see :func:`picture_grid`."""
        height, width = self._canvas.shape[:2]
        size = max(18, round(width / 64))
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's own font is one where FreeType is built in, as in its wheels
        scale = self._scale_bar()
        line_height, side = round(1.6 * size), round(2 * NORTH * size)
        beside = scale.length_px + side + 2 * size
        lines = _wrap(self._legend, font, width - beside)
        above = 0  # what stands above north and the scale bar
        if any(_length(line, font) - GAP * size > width - beside for line in lines):  # an entry that leaves them no room
            lines = _wrap(self._legend, font, width)
            above = line_height * len(lines)
        top = line_height + MARGIN
        bottom = max(line_height * len(lines), above + side) + MARGIN
        page = Image.new("RGB", (width + 2 * MARGIN, top + height + bottom), PAPER)
        page.paste(Image.fromarray(self._canvas), (MARGIN, top))
        draw = ImageDraw.Draw(page)
        self._draw_labels(draw, font, top)
        draw.rectangle((MARGIN - 1, top - 1, MARGIN + width, top + height), outline=INK)
        crs = name_crs(self._grid.crs)
        draw.text((MARGIN + width, MARGIN // 2), crs, INK, font, anchor="ra")
        room = width - font.getlength(crs) - 2 * size
        fitting = font.font_variant(size=max(LEAST_LETTER_PX, size * min(1.0, room / font.getlength(self._title))))
        draw.text((MARGIN, MARGIN // 2), self._title, INK, fitting)
        for i, line in enumerate(lines):
            self._draw_legend(draw, line, font, top + height + MARGIN // 2 + i * line_height, size)
        # Below the site, of which they would hide something.
        right, lower = MARGIN + width, top + height + MARGIN // 2 + above + side
        self._draw_scale_bar(draw, font, scale, (right, lower))
        self._draw_north(draw, font, (right - scale.length_px - size - side / 2, lower - side / 2))
        page.save(path, compress_level=3, pnginfo=self._place(top))

    def _place(self, top: int) -> PngImagePlugin.PngInfo:
        transform = self._grid.transform @ Affine.scale(1 / self._zoom) @ Affine.translation(-MARGIN, -top)
        crs = self._grid.crs.to_wkt() if self._grid.crs else None
        said = PngImagePlugin.PngInfo()
        said.add_text(GRID_KEY, json.dumps({"transform": list(transform)[:6], "crs": crs}))
        return said

    def _enlarge(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.repeat(np.repeat(picture, self._zoom, axis=0), self._zoom, axis=1) if self._zoom > 1 else picture

    def _for_opencv(self, places: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return world coordinates as OpenCV draws them: in fractions of the picture's pixels."""
        cols, rows = self._grid.to_pixel(places[:, 0], places[:, 1])
        # OpenCV's (0, 0) is the centre of the first pixel, ours is its corner.
        points = np.column_stack([cols, rows]) * self._zoom - 0.5
        return np.asarray(np.round(points * 2**SUBPIXEL_BITS), dtype=np.int32)

    def _draw_labels(self, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, top: int) -> None:
        for label in self._labels:
            letters = font.font_variant(size=label.size_px)
            place = (MARGIN + label.col, top + label.row)
            rim = max(2, round(label.size_px / 12))
            draw.text(place, label.text, label.colour, letters, anchor="mm", stroke_width=rim, stroke_fill=INK)

    def _draw_legend(
        self, draw: ImageDraw.ImageDraw, line: Sequence[_Entry], font: ImageFont.FreeTypeFont, y: int, size: int
    ) -> None:
        x: float = MARGIN
        for entry in line:
            if entry.colour is not None:
                box = (x, y + size * 0.25, x + size, y + size * 1.05)
                if entry.mark == "box":
                    draw.rectangle(box, fill=entry.colour, outline=INK)
                elif entry.mark == "dot":
                    draw.circle((x + size / 2, y + size * 0.65), size * 0.4, fill=entry.colour, outline=INK)
                else:
                    draw.circle((x + size / 2, y + size * 0.65), size * 0.4, outline=INK, width=round(size * 0.25))
                    draw.circle((x + size / 2, y + size * 0.65), size * 0.35, outline=entry.colour, width=round(size * 0.16))
                x += MARK * size
            draw.text((x, y), entry.text, INK, font)
            x += draw.textlength(entry.text, font) + GAP * size

    def _scale_bar(self) -> _ScaleBar:
        pixel_m = self._grid.pixel_size_m[0] / self._zoom
        metres = nice_length(self._canvas.shape[1] * pixel_m / 4)
        return _ScaleBar(metres, metres / pixel_m)

    def _draw_scale_bar(
        self, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, scale: _ScaleBar, corner: tuple[float, float]
    ) -> None:
        """Draw it with its right lower corner where it is said."""
        (x, y), size = corner, font.size
        draw.rectangle((x - scale.length_px, y - size / 2, x, y), fill=INK)
        draw.text((x - scale.length_px / 2, y - 0.7 * size), f"{scale.metres:g} m", INK, font, anchor="mb")

    def _draw_north(self, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, centre: tuple[float, float]) -> None:
        inverse = ~self._grid.transform
        east, south = inverse.b, inverse.e  # world up, in the picture's columns and rows
        long = math.hypot(east, south)
        east, south = east / long, south / long
        radius = NORTH * font.size
        draw.circle(centre, radius, outline=INK)
        half = radius / 2
        x, y = centre[0] - 0.3 * radius * east, centre[1] - 0.3 * radius * south  # the letter is at the tip
        tip = (x + east * half, y + south * half)
        wings = [(x - east * half + side * south * half / 1.6, y - south * half - side * east * half / 1.6) for side in (1, -1)]
        draw.polygon([tip, wings[0], (x - east * half / 2, y - south * half / 2), wings[1]], fill=INK)
        letter = (centre[0] + 0.6 * radius * east, centre[1] + 0.6 * radius * south)
        draw.text(letter, "N", INK, font.font_variant(size=0.6 * radius), anchor="mm")


def is_site_picture(path: Path) -> bool:
    """Return whether a file is a picture of a site that spurgekit saved."""
    try:
        picture_grid(path)
    except ImageryError:
        return False
    return True


def picture_grid(path: Path) -> PixelGrid:
    """Return where the pixels of a saved picture lie, its margins included.

    Raises
    ------
    ImageryError
        If it is no picture of a site that spurgekit saved.
    """
    try:
        with open_picture(path, formats=("PNG",)) as picture:
            said = json.loads(picture.info[GRID_KEY])
            return PixelGrid(*picture.size, Affine(*said["transform"]), CRS.from_wkt(said["crs"]) if said["crs"] else None)
    except (OSError, ImageryError) as error:
        raise ImageryError(f"{path} does not say where its pixels lie; make it again") from error


def _wrap(entries: Sequence[_Entry], font: ImageFont.FreeTypeFont, width: float) -> list[list[_Entry]]:
    """Break legend entries into lines that fit a width."""
    lines: list[list[_Entry]] = []
    used = math.inf
    for entry in entries:
        needed = _length([entry], font)
        if used + needed > width:
            lines.append([])
            used = 0
        lines[-1].append(entry)
        used += needed
    return lines


def _length(entries: Sequence[_Entry], font: ImageFont.FreeTypeFont) -> float:
    """Return how long a line of entries is, with what parts them."""
    return sum(font.getlength(entry.text) + (MARK + GAP) * font.size for entry in entries)


def nice_length(length: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of ten that is not longer than a length."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(step * power for step in (1, 2, 5) if step * power <= length)
