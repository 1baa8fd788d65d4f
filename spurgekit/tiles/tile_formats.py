"""Formats of tiles: what each can hold, and what encodes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spurgekit.errors import InputError
from spurgekit.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spurgekit.imagery import PixelGrid

    Encoder = Callable[[NDArray[np.generic], NDArray[np.bool_], PixelGrid], bytes]
    """Takes pixels [bands, h, w], valid [h, w] and the tile's grid; returns the file's bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileFormat:
    """A format of tiles.

    Attributes
    ----------
    name : str
        The files' suffix, without the dot.
    description : str
    holds : callable
        ``holds(bands, dtype)`` says whether it can hold so many bands of a type, e.g. ``holds(3, "uint8")``.
    encoder : callable
        ``encoder()`` returns the function that encodes a tile: of pixels [bands, h, w], valid [h, w] and the tile's grid it
        makes the file's bytes. It is a function of a function, so that the formats can be listed without their libraries.
    lossless : bool
        Whether the pixels come back as they were; ``auto`` takes the first format that holds them so.
    """

    name: str
    description: str
    holds: Callable[[int, str], bool]
    encoder: Callable[[], Encoder]
    lossless: bool = True


def _png() -> Encoder:
    from spurgekit.tiles.encode import encode_png_tile

    return encode_png_tile


def _jpg() -> Encoder:
    from spurgekit.tiles.encode import encode_jpg_tile

    return encode_jpg_tile


def _tif() -> Encoder:
    from spurgekit.tiles.encode import encode_tif_tile

    return encode_tif_tile


TILE_FORMATS = Registry(
    "format of tiles",
    [
        TileFormat(
            name="png",
            description="PNG: one or three bands of whole numbers",
            holds=lambda bands, dtype: bands in (1, 3) and dtype.startswith("uint"),
            encoder=_png,
        ),
        TileFormat(
            name="jpg",
            description="JPEG: one or three bands of bytes, nearly as they were, in a tenth of the room",
            holds=lambda bands, dtype: bands in (1, 3) and dtype == "uint8",
            encoder=_jpg,
            lossless=False,
        ),
        TileFormat(
            name="tif",
            description="GeoTIFF: anything, and where it lies",
            holds=lambda bands, dtype: True,  # noqa: ARG005
            encoder=_tif,
        ),
    ],
)
"""All formats; yours is one more: ``TILE_FORMATS.register(TileFormat(...))``."""


def choose_format(asked: str, bands: int, dtype: str, rgb: tuple[int, int, int] | None = None) -> TileFormat:
    """Return the format to write: the one asked for if it holds such pixels; for ``auto`` the first that holds them whole.

    Raises
    ------
    InputError
        If the format cannot hold that many bands or that type.

    Examples
    --------
    >>> choose_format("auto", 3, "uint8").name, choose_format("auto", 5, "float32").name
    ('png', 'tif')
    """
    if asked == "auto":
        return next(one for one in TILE_FORMATS.values() if one.lossless and one.holds(bands, dtype))
    chosen = TILE_FORMATS[asked]
    if not chosen.holds(bands, dtype):
        raise InputError(
            f"{bands} band{'s' if bands != 1 else ''} of {dtype} do not fit into {asked.upper()}; "
            f"pass `file_format=tif`, or choose three bands with `bands={rgb or (1, 2, 3)}`"
        )
    return chosen
