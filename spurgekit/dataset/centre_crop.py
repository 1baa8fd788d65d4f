"""Pictures of any shape, size and colours as squares of one side, cut from their middle.

Tiles are squares of one size and stay as they are to the byte. Photographs of other people's folders are not: their short side
is resized and the centre is taken, as torchvision's and timm's transforms for testing do it, once and for good, so that every
arm of an evaluation trains on, edits and is tested with the same pixels.

Pixels of tiles that are 0 in all bands hold no data. In other people's pictures black is a colour as any other, and
transparency says where there is no data: what is black there is 1 in all bands of a square.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from spurgekit.errors import ImageryError, InputError
from spurgekit.imagery.limits import open_picture
from spurgekit.parallel import cores, stream_map
from spurgekit.text import counted
from spurgekit.tiles.png import encode_png

MOST_SIDE_PX = 512
"""Of squares whose side nobody asked for: what Stable Diffusion 1.5 works at, and more than classifiers are shown."""

COLOURS = {
    "RGB": "RGB", "RGBA": "RGB with alpha", "L": "grey", "1": "black and white", "LA": "grey with alpha", "P": "a palette",
    "PA": "a palette with alpha", "CMYK": "CMYK", "YCbCr": "YCbCr",
}  # fmt: skip
"""What can be read as RGB, by Pillow's mode, in words."""

OPAQUE = 128
"""Of alpha: from here on there is data."""

ORIENTATION = 0x0112
"""Tag of EXIF."""


@dataclass(frozen=True, slots=True)
class PictureHead:
    """What a picture's file says of it, ahead of its pixels.

    Attributes
    ----------
    path : pathlib.Path
    width, height : int
        As it is stored.
    mode : str
        Of its colours, by Pillow's name.
    is_turned : bool
        Whether EXIF says that it is stored on its side, upside down, or mirrored.
    format : str
        Of its file, by Pillow's name.
    """

    path: Path
    width: int
    height: int
    mode: str
    is_turned: bool
    format: str

    @property
    def short_px(self) -> int:
        """Its short side."""
        return min(self.width, self.height)

    @property
    def is_square(self) -> bool:
        """Whether it is as wide as high."""
        return self.width == self.height

    @property
    def is_grey(self) -> bool:
        """Whether it has one band."""
        return self.mode not in ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")


@dataclass(frozen=True, slots=True)
class Squares:
    """How pictures become squares of one side.

    Attributes
    ----------
    side_px : int
    is_made : tuple of bool
        Of each picture, whether it is one that has to be made, or is one already.
    notes : tuple of str
        What is to be said of it.
    """

    side_px: int
    is_made: tuple[bool, ...]
    notes: tuple[str, ...] = ()


def read_head(path: Path) -> PictureHead:
    """Return what a picture's file says of it.

    Raises
    ------
    InputError
        If it is damaged, of another format, or too large.
    """
    try:
        with open_picture(path) as image:
            # Of PNGs Pillow would have to read all to know what EXIF they have.
            turned = image.format in ("JPEG", "MPO") and image.getexif().get(ORIENTATION, 1) in range(2, 9)
            return PictureHead(path, *image.size, image.mode, turned, str(image.format))
    except ImageryError as error:
        raise InputError(f"{error}; take it out") from error


def plan_squares(heads: Sequence[PictureHead], side_px: int | None, *, is_placed: bool = False) -> Squares:
    """Decide how pictures become squares of one side.

    Where all are squares of one size, and grey all of them or none, they stay as they are, but for PNGs and JPEGs with black
    pixels. GeoTIFFs, 16 bits a colour and pictures of known ground do as tiles do: black holds no data there.

    Parameters
    ----------
    heads : sequence of PictureHead
        Of one picture at least.
    side_px : int, optional
        By default the median of their short sides, at most :data:`MOST_SIDE_PX`.
    is_placed : bool
        Whether it is known what a pixel measures on the ground, which it would not be any more.

    Raises
    ------
    InputError
        If they cannot: where it is known what a pixel measures, or a picture is of other numbers than bytes, or damaged.
    """
    first = heads[0]
    odd = next((one for one in heads if not one.is_square), None)
    odd = odd or next((one for one in heads if (one.width, one.is_grey) != (first.width, first.is_grey)), None)
    side, made = first.width, np.zeros(len(heads), np.bool_)
    if odd is not None or side_px not in (None, side):
        if is_placed:
            what = odd or first
            raise InputError(
                f"{what.path} is {what.width} x {what.height} px, and tiles of known `gsd_m` are squares of one size and "
                "number of bands that are not resized; cut them so, or leave `gsd_m` out"
            )
        if strange := next((one for one in heads if one.mode not in COLOURS), None):
            raise InputError(
                f"{strange.path} is no picture of 8 bits a colour ({strange.mode}), which alone can be made squares of one "
                "size; take it out, or crop all to one size first"
            )
        side = side_px or min(MOST_SIDE_PX, int(np.median([one.short_px for one in heads])))
        made = np.array([(one.width, one.height, one.mode, one.is_turned) != (side, side, "RGB", False) for one in heads])
    black = np.zeros(len(heads), np.bool_)
    if not is_placed and all(one.mode in COLOURS for one in heads):
        black[~made] = _has_black([one for one, is_made in zip(heads, made, strict=True) if not is_made])
    if black.any() and first.is_grey and not made.any():  # all are grey, and all become RGB, so that they are alike
        made[:] = True
    notes = (*(_notes(heads, side) if made.any() else ()), *_notes_of_black(black))
    return Squares(side, tuple((made | black).tolist()), notes)


def _has_black(heads: Sequence[PictureHead]) -> list[bool]:
    """Return which pictures have black pixels that nothing marks as being without data."""

    def look(head: PictureHead) -> bool:
        if head.format == "TIFF":
            return False
        try:
            with open_picture(head.path) as image:
                return bool(_black(np.asarray(_coloured(image))).any())
        except ImageryError as error:
            raise InputError(f"{error}; take it out") from error

    with ThreadPoolExecutor(cores()) as threads:
        return list(stream_map(threads, look, heads, in_flight=8 * cores()))


def _coloured(image: Image.Image) -> Image.Image:
    """Return a picture as RGB, with alpha where something is transparent."""
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _black(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which pixels of RGB, or of RGBA, are black and have data."""
    black = (pixels[..., :3] == 0).all(axis=2)
    return np.asarray(black & (pixels[..., 3] >= OPAQUE) if pixels.shape[2] == 4 else black)


def _notes_of_black(black: NDArray[np.bool_]) -> Iterator[str]:
    """Yield what is to be said of pictures with black pixels."""
    if count := int(black.sum()):
        have = "has" if count == 1 else "have"
        what = f"{count:,} of {counted(len(black), 'image')} {have} black pixels"
        yield f"{what}, which are data (in a dataset 1 of 255); make black that holds none transparent"


def _notes(heads: Sequence[PictureHead], side_px: int) -> Iterator[str]:
    """Yield what is to be said of pictures that become squares of a side."""
    oblong = sum(not one.is_square for one in heads)
    resized = sum(one.is_square and one.width != side_px for one in heads)
    of_all = f" of {counted(len(heads), 'image')}"
    if oblong:
        are = "is not square: its" if oblong == 1 else "are not square: their"
        yield f"{oblong:,}{of_all} {are} short side is resized to {side_px} px and the centre is taken"
    if resized:
        yield f"{resized:,}{of_all} {'is' if resized == 1 else 'are'} square and resized to {side_px} px"
    if small := sum(one.short_px < side_px for one in heads):
        yield f"{small:,}{of_all} enlarged to {side_px} px, which adds no detail"
    colours = Counter(COLOURS[one.mode] for one in heads if one.mode != "RGB")
    if colours:
        kinds = ", ".join(f"{count:,} of {name}" for name, count in colours.most_common())
        yield f"{colours.total():,}{of_all} read as RGB: {kinds}"
    if turned := sum(one.is_turned for one in heads):
        yield f"{turned:,}{of_all} turned upright as EXIF says"


def centre_square(path: Path, data: bytes, side_px: int) -> bytes:
    """Return the middle of a picture as a square.

    Its short side is resized by antialiased bicubic interpolation, and the centre is taken. Where an alpha band says that there
    is no data (below half of its range) pixels are 0, as tiles have them; those that are black all the same are 1.

    Parameters
    ----------
    path : pathlib.Path
        For messages.
    data : bytes
        Of its file.
    side_px : int

    Returns
    -------
    bytes
        A PNG of RGB.

    Raises
    ------
    ImageryError
        If it is damaged.
    """
    with open_picture(path, data) as image:
        picture = _coloured(ImageOps.exif_transpose(image))
        short = min(picture.size)
        left, top = ((whole - short) // 2 for whole in picture.size)
        square = picture.resize((side_px, side_px), Image.Resampling.BICUBIC, (left, top, left + short, top + short))
        whole = np.array(square)
    pixels = whole[..., :3].copy()
    pixels[_black(whole)] = 1
    if whole.shape[2] == 4:
        pixels[whole[..., 3] < OPAQUE] = 0
    return encode_png(pixels)
