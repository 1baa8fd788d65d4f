"""Contact sheets of synthetic tiles: what was made from a few real ones, to see while a run goes on whether it goes well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from spurgekit.imagery.sheet import GAP_PX, LETTERS_PX, NAME_PX, SIDE_PX, Font, Picture, end_that_fits, thumbnail
from spurgekit.imagery.site_picture import INK, PAPER
from spurgekit.outputs import output_file
from spurgekit.parallel import cores
from spurgekit.seeds import seed_of
from spurgekit.text import counted
from spurgekit.tiles.png import encode_png

TILES, COLUMNS = 8, 8
TEXT_PX = 196
"""Width of the class and the prompt before each row."""

PROMPT_PX = 13

MARGIN_PX = 3 * GAP_PX
CAPTION_PX = NAME_PX + GAP_PX
ROW_PX = SIDE_PX + CAPTION_PX + 2 * GAP_PX
STEP_PX = SIDE_PX + GAP_PX
QUIET, RULE = (110, 110, 110), (222, 222, 222)
"""Colours of what is to be read second, and of lines between rows."""

FADED = 0.75
"""How much of a tile that is not used is taken away."""


@dataclass(frozen=True, slots=True)
class _Strip:
    """A real tile and some of the images that were made from it."""

    tile: str
    images: list[dict[str, Any]]


def write_contact_sheet(
    rows: pd.DataFrame,
    folder: Path,
    path: Path,
    *,
    sources: Mapping[str, Path] | None = None,
    title: str | None = None,
    tiles: int = TILES,
    columns: int = COLUMNS,
) -> None:
    """Draw a row for each of a few real tiles: its class and a prompt, the tile, and synthetic tiles over their strengths.

    The same rows always give the same sheet. Images that cannot be read are grey; those of weight 0, which training leaves
    out, are faded.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of a manifest, or what of it is made already: columns file_name, tile_id, class, strength and prompt; source_class and
        weight if they are known.
    folder : pathlib.Path
        That the file names are relative to.
    path : pathlib.Path
        PNG to write; there is never half of one.
    sources : mapping of str to pathlib.Path, optional
        Real tiles by id; without it, only what was made of them is shown.
    title : str, optional
        One line above all. Default: how many there are.
    tiles, columns : int
        The most real tiles, and images of each.
    """
    images = rows.drop_duplicates("file_name")
    strips = _choose(images, tiles, columns)
    title = title or f"{counted(len(images), 'synthetic tile')} of {counted(images['tile_id'].nunique(), 'real one')}"
    paths = [folder / image["file_name"] for strip in strips for image in strip.images]
    if sources is not None:
        paths += [sources[strip.tile] for strip in strips]
    with ThreadPoolExecutor(cores()) as threads:
        shown = dict(zip(paths, threads.map(thumbnail, paths), strict=True))
    page = _Page(title, strips, sources is not None)
    for number, strip in enumerate(strips):
        page.draw_text(number, strip)
        if sources is not None:
            page.draw_real(number, strip.tile, shown[sources[strip.tile]])
        for column, image in enumerate(strip.images):
            page.draw_made(number, column, image, shown[folder / image["file_name"]])
    with output_file(path) as partial:
        partial.write_bytes(encode_png(np.asarray(page.image)))


def _choose(images: pd.DataFrame, tiles: int, columns: int) -> list[_Strip]:
    """Return the tiles that are shown, as many of each class as can be, and images of each, spread over its strengths."""
    own = images["source_class"] if "source_class" in images else images["class"]
    of_class = images.groupby(own, sort=False)["tile_id"].unique()
    queues = [sorted(ids, key=lambda tile: seed_of(tile, "contact sheet")) for ids in of_class]
    in_turn = (tile for tile in chain(*zip_longest(*queues)) if tile is not None)
    chosen = set(islice(dict.fromkeys(in_turn), tiles))
    strips = []
    for tile in dict.fromkeys(chain(*queues)):  # those of a class below each other
        if tile in chosen:
            made = images[images["tile_id"] == tile].sort_values(["strength", "file_name"])
            spread = np.unique(np.linspace(0, len(made) - 1, min(columns, len(made))).round().astype(int))
            strips.append(_Strip(str(tile), made.iloc[spread].to_dict("records")))
    return strips


class _Page:
    """The sheet, drawn tile by tile."""

    def __init__(self, title: str, strips: Sequence[_Strip], has_real: bool) -> None:
        self._large, self._medium, self._small = (ImageFont.load_default(size) for size in (LETTERS_PX, PROMPT_PX, NAME_PX))
        self._first = MARGIN_PX + TEXT_PX + GAP_PX + has_real * (STEP_PX + 2 * GAP_PX)
        self._top = MARGIN_PX + LETTERS_PX + 2 * GAP_PX + NAME_PX + 2 * GAP_PX
        widest = max((len(strip.images) for strip in strips), default=1)
        width = max(self._first + widest * STEP_PX, MARGIN_PX + int(self._large.getlength(title))) + MARGIN_PX
        self.image = Image.new("RGB", (width, self._top + len(strips) * ROW_PX + MARGIN_PX - GAP_PX), PAPER)
        self._draw = ImageDraw.Draw(self.image)
        self._draw.text((MARGIN_PX, MARGIN_PX), title, INK, self._large)
        head = self._top - NAME_PX - 2 * GAP_PX
        if has_real:
            self._draw.text((MARGIN_PX + TEXT_PX + GAP_PX, head), "real", QUIET, self._small)
        self._draw.text((self._first, head), "synthetic", QUIET, self._small)

    def draw_text(self, number: int, strip: _Strip) -> None:
        """Draw what stands before a row: the class of the real tile, and the first of the prompts."""
        top = self._top + number * ROW_PX
        if number:
            self._draw.line((MARGIN_PX, top - GAP_PX, self.image.width - MARGIN_PX, top - GAP_PX), RULE)
        first = strip.images[0]
        for line in _wrapped(str(first.get("source_class", first["class"])), self._large, 2):
            self._draw.text((MARGIN_PX, top), line, INK, self._large)
            top += LETTERS_PX + GAP_PX // 2
        prompts = dict.fromkeys(image["prompt"] for image in strip.images if isinstance(image["prompt"], str))
        more = [f"and {counted(len(prompts) - 1, 'more prompt')}"] if len(prompts) > 1 else []
        for line in [*_wrapped(next(iter(prompts), ""), self._medium, 5), *more]:
            self._draw.text((MARGIN_PX, top + GAP_PX // 2), line, QUIET, self._medium)
            top += PROMPT_PX + GAP_PX // 2

    def draw_real(self, number: int, name: str, picture: Picture) -> None:
        """Draw a real tile, framed, over its name."""
        left, top = MARGIN_PX + TEXT_PX + GAP_PX, self._top + number * ROW_PX
        self._draw.rectangle((left - 2, top - 2, left + SIDE_PX + 1, top + SIDE_PX + 1), outline=INK, width=2)
        self._paste(left, top, picture, end_that_fits(name, self._small, SIDE_PX), INK)

    def draw_made(self, number: int, column: int, image: Mapping[str, Any], picture: Picture) -> None:
        """Draw a synthetic tile over its strength, and over its class where that is another than its tile's."""
        strength = image["strength"]
        words = [] if pd.isna(strength) else [f"strength {strength:g}"]
        if image.get("source_class", image["class"]) != image["class"]:
            words = [*(word.removeprefix("strength ") for word in words), f"to {image['class']}"]
        if image.get("weight", 1.0) == 0:
            words.append("left out")
            picture = np.asarray(np.rint(picture * (1 - FADED) + 255 * FADED), np.uint8)
        caption = end_that_fits(", ".join(words), self._small, SIDE_PX)
        self._paste(self._first + column * STEP_PX, self._top + number * ROW_PX, picture, caption, QUIET)

    def _paste(self, left: int, top: int, picture: Picture, caption: str, ink: tuple[int, int, int]) -> None:
        self.image.paste(Image.fromarray(picture), (left, top))
        self._draw.text((left, top + SIDE_PX + GAP_PX // 2), caption, ink, self._small)


def _wrapped(text: str, font: Font, most: int) -> list[str]:
    """Return a text in lines that fit before a row, at most so many; one that is longer ends in an ellipsis."""
    lines = list(_lines(text, font))
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1]} …"]


def _lines(text: str, font: Font) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and font.getlength(f"{line} {word}") > TEXT_PX - 2 * GAP_PX:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    if line:
        yield line
