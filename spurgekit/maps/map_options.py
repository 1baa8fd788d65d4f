"""How to map."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spurgekit.errors import InputError
from spurgekit.options import Options

TO_SITE, NO_ADAPTATION = "site", "none"


@dataclass(frozen=True, kw_only=True)
class MapOptions(Options):
    """How to map a site; what the model does to a tile is said when it is loaded.

    Attributes
    ----------
    aoi : pathlib.Path, optional
        Polygons: only cells whose centre lies in them are mapped.

        Tiles of cells at their edge show what lies beyond it. The cells are some of those of the whole image.
    aoi_crs : str, optional
        CRS of the area of interest, where its file does not say it.
    zones : pathlib.Path, optional
        Polygons with names, whose areas are told apart; those of one name are one zone.
    zones_crs : str, optional
        CRS of the zones, where their file does not say it.
    zone_column : str, optional
        Column of their names. Default: zone, or the one that is called as such columns are (name, id, ...).
    resolution : {"tile", "fine"}
        Whether a cell is told from the tile around it, or by what the model sees in the cell itself.

        ``fine`` takes a model of the arm ``mil``. Its cells are as large as the backbone's positions, mostly a fourteenth of a
        tile, and a further band has the probability of the tile around each.
    stride_px : int, optional
        Side of a map cell in pixels, at the model's ground sample distance, where cells are told from tiles. Default: a tile.
    cell_m : float, optional
        Side of a map cell in metres, instead of ``stride_px``: north up, its corners on multiples of that length in the CRS.

        Maps of other dates and sites then lie on the same cells, as rasters of ``gdalwarp -tr -tap`` do. The image is read with
        pixels of which a whole number makes a cell.
    blend : bool
        Tell a cell from all tiles that overlap it, by a Hann window, rather than from the one around it.

        Tiles overlap by what they are larger than cells. A further band has what is said of the tile around each cell, by which
        areas are counted as ever. See :mod:`spurgekit.maps.blending`.
    guided_filter : bool
        Sharpen a fine map along edges of colour.

        See :func:`spurgekit.maps.guided_filter.guided_filter`.
    min_valid : float
        Least share of valid pixels of a cell to map.
    bands : tuple of int, optional
        Bands to show the model, counted from 1. Default: all but alpha.
    crs : str, optional
        Work in this CRS (e.g. EPSG:32612): assigned to an image that has none, else reprojected to.

        See :func:`spurgekit.imagery.open_raster`.
    image_crs : str, optional
        CRS that the image's coordinates are in, where its file does not say it or says it wrongly.
    nodata : float, optional
        Value of pixels without data, whatever the image says: of the white or black around a mosaic, for instance.
    adapt : str
        What moves the threshold to the site: none, site (a sample of its tiles), or a file of points with their class.

        Of two classes, and transductive: probabilities are then for this site alone. See :mod:`spurgekit.classify.site_shift`.
    batch_size : int
        Tiles at once; a GPU likes hundreds.

        On a CPU more than 8 cost memory and gain nothing.
    """

    aoi: Path | None = None
    aoi_crs: str | None = None
    zones: Path | None = None
    zones_crs: str | None = None
    zone_column: str | None = None
    resolution: Literal["tile", "fine"] = "tile"
    stride_px: int | None = None
    cell_m: float | None = None
    blend: bool = False
    guided_filter: bool = False
    min_valid: float = 0.5
    bands: tuple[int, ...] | None = None
    crs: str | None = None
    image_crs: str | None = None
    nodata: float | None = None
    adapt: str = NO_ADAPTATION
    batch_size: int = 8

    def __post_init__(self) -> None:
        if isinstance(self.adapt, os.PathLike):
            object.__setattr__(self, "adapt", os.fspath(self.adapt))
        Options.__post_init__(self)
        if self.aoi is None and self.aoi_crs is not None:
            raise InputError("`aoi_crs` says something of `aoi`, which is not given; leave it out, or pass `aoi`")
        if self.zones is None and (told := next((n for n in ("zones_crs", "zone_column") if getattr(self, n)), None)):
            raise InputError(f"`{told}` says something of `zones`, which are not given; leave it out, or pass `zones`")
        if not 0 <= self.min_valid <= 1:
            raise InputError(f"`min_valid={self.min_valid}` is not a share; pass a number from 0 to 1")
        if self.resolution == "fine" and self.stride_px is not None:
            raise InputError("`stride_px` is of cells that are told from tiles; leave it out, or `resolution=fine`")
        if self.cell_m is not None:
            if self.stride_px is not None or self.resolution == "fine":
                other = "`stride_px`" if self.stride_px is not None else "`resolution=fine`"
                raise InputError(f"`cell_m` and {other} both say how large cells are; leave one out")
            if not self.cell_m > 0:
                raise InputError(f"`cell_m={self.cell_m}` is no side of a cell; pass metres, e.g. 0.5")
        if self.resolution == "tile" and self.guided_filter:
            raise InputError("`guided_filter` is for cells finer than tiles; pass `resolution=fine`")
        if self.blend and self.stride_px is None and self.cell_m is None:
            raise InputError("`blend` is of tiles that overlap; pass cells smaller than a tile with `stride_px` or `cell_m`")
        if self.batch_size < 1:
            raise InputError(f"`batch_size={self.batch_size}` is too small; pass 1 or more")

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it names, without the layers that may be named with them."""
        labels = None if self.adapt in (TO_SITE, NO_ADAPTATION) else self.adapt
        return tuple(Path(str(file).partition("|")[0]) for file in (labels, self.aoi, self.zones) if file is not None)
