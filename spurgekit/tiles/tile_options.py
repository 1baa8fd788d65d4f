"""How to tile."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal

from spurgekit.errors import InputError
from spurgekit.markers.marker_options import ControlOptions
from spurgekit.options import Options
from spurgekit.plots.protocol import PlotProtocol
from spurgekit.tiles.tile_formats import TILE_FORMATS

Layout = Literal["auto", "plots", "grid", "points"]
Quarters = Literal["crop", "full", "grid"]

CONTEXT, UNLABELLED = "context", "unlabelled"
"""Folders inside a tiles folder: larger tiles around the same points, and a grid over the whole site."""

CLEAR_OF_MARKER = 0.75
"""Inset in sides of a marker: half of its diagonal is 0.71 of them, so that it stays outside however it is turned."""


@dataclass(frozen=True, kw_only=True)
class PlotOptions(PlotProtocol, ControlOptions):
    """Where plots come from and how they are quartered: the protocol by which they were laid out, and what follows.

    Attributes
    ----------
    file : pathlib.Path, optional
        Corners of plots (points with plot and corner), or polygons. Default: the lattice of markers in the image.

        See :func:`spurgekit.plots.plot_file.read_plots`. The size of plots that a file gives is its corners', unless ``size_m``
        is set.
    snap_m : float, optional
        Move the corners of that file to markers within this many metres.
    field_sheet : pathlib.Path, optional
        Table with a column plot (or row and column), whose columns tiles get.

        See :func:`spurgekit.plots.field_sheet.join_field_sheet`.
    quarters : {"crop", "full", "grid"}
        Of a plot: four tiles that meet at its centre, its four whole quarters, or a grid of tiles.

        See :func:`spurgekit.tiles.plot_layout.plots_layout`.
    inset_m : float, optional
        Metres along plots' edges kept out of tiles. Default: clear of markers.

        That is three quarters of a marker's side, and nothing where plots come from a file and no size of markers is given.
    """

    file: Path | None = None
    snap_m: float | None = None
    field_sheet: Path | None = None
    quarters: Quarters = "crop"
    inset_m: float | None = None

    def __post_init__(self) -> None:
        PlotProtocol.__post_init__(self)
        ControlOptions.__post_init__(self)
        if self.snap_m is not None and self.file is None:
            raise InputError("`snap_m` moves corners that a file gives to markers; it needs `file`")
        if self.snap_m is not None and not self.snap_m > 0:
            raise InputError(f"`snap_m={self.snap_m}` is not a distance; pass metres")
        if self.inset_m is not None and not self.inset_m >= 0:
            raise InputError(f"`inset_m={self.inset_m}` is not a distance; pass metres, 0 for none")

    @property
    def margin_m(self) -> float:
        """The inset that is used."""
        if self.inset_m is not None:
            return self.inset_m
        if self.file is not None and self.snap_m is None and self.marker_size_m is None:
            return 0.0
        return CLEAR_OF_MARKER * self.marker_side_m

    @property
    def known_side_m(self) -> float | None:
        """The side of the plots, where it is known beforehand."""
        return self.side_m if self.file is None else self.size_m

    @property
    def inputs(self) -> list[Path]:
        """The files that it names."""
        return [path for path in (self.file, self.field_sheet, self.gcp) if path is not None]


@dataclass(frozen=True, kw_only=True)
class TileOptions(Options):
    """How to tile.

    Attributes
    ----------
    layout : {"auto", "plots", "grid", "points"}
        auto: around points where there are some; plots where a file has them, or where ground markers make a lattice; else a
        grid over the whole site.
    points : pathlib.Path, optional
        Points to centre tiles on: a vector file, or a CSV with longitude and latitude.
    points_crs : str, optional
        CRS of points, plots or area of interest, where their file does not say it.
    size_px : int
        Side of a tile in pixels.
    gsd_m : float, optional
        Metres a pixel to resample to: makes tiles of all flights cover the same ground. Default: the image's.
    image_gsd_m : float, optional
        Metres a pixel of a photo that does not say where it was taken.
    overlap_px : int
        Pixels that neighbours share.
    context_px : int, optional
        Also cut tiles of this side around the same points, which show what lies around them.
    unlabelled_px : int, optional
        Also cut a grid of tiles of this side over the whole site, for what is learned without labels; only tiles without gaps.
    min_valid : float
        Least share of valid pixels of a tile to keep.
    aoi : pathlib.Path, optional
        Polygons; grid tiles that do not touch them are left out.
    bands : tuple of int, optional
        Bands to read, counted from 1. Default: all but alpha.
    nodata : float, optional
        Value of pixels without data, whatever the image says: of the white or black around a mosaic, for instance.
    file_format : str
        auto: PNG where the pixels fit into it, else GeoTIFF.
    crs : str, optional
        Work in this CRS (e.g. EPSG:32612): assigned to an image that has none, else reprojected to.

        See :func:`spurgekit.imagery.open_raster`.
    image_crs : str, optional
        CRS that the image's coordinates are in, where its file does not say it or says it wrongly.
    plots : PlotOptions
        Where plots come from and how they are quartered.
    """

    layout: Layout = "auto"
    points: Path | None = None
    points_crs: str | None = None
    size_px: int = 250
    gsd_m: float | None = None
    image_gsd_m: float | None = None
    overlap_px: int = 0
    context_px: int | None = None
    unlabelled_px: int | None = None
    min_valid: float = 0.0
    aoi: Path | None = None
    bands: tuple[int, ...] | None = None
    nodata: float | None = None
    file_format: Literal["auto"] | Annotated[str, TILE_FORMATS] = "auto"
    crs: str | None = None
    image_crs: str | None = None
    plots: PlotOptions = field(default_factory=PlotOptions)

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        for name, least in (("size_px", 1), ("overlap_px", 0), ("context_px", 1), ("unlabelled_px", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"`{name}={value}` is too small; pass {least} or more")
        if not 0 <= self.min_valid <= 1:
            raise InputError(f"`min_valid={self.min_valid}` is not a share; pass a number from 0 to 1")
        if self.gsd_m is not None and not (isfinite(self.gsd_m) and self.gsd_m > 0):
            raise InputError(f"`gsd_m={self.gsd_m}` is no ground sample distance; pass a positive number of metres")
        if self.layout == "points" and self.points is None:
            raise InputError("`layout=points` needs `points`")
        if self.layout == "grid" and self.points is not None:
            raise InputError("`layout=grid` does not go with `points`; drop one of them")
        if self.plots.file is not None and self.chosen_layout != "plots":
            raise InputError(f"`plots.file` goes with `layout=plots`, not with {self.chosen_layout}; drop one of them")
        if self.chosen_layout in ("points", "plots") and (self.overlap_px or self.aoi):
            raise InputError("`overlap_px` and `aoi` go with `layout=grid` only")
        if self.context_px is not None and self.chosen_layout != "points":
            raise InputError("`context_px` is what lies around points; it needs `points`")
        if self.context_px is not None and self.context_px <= self.size_px:
            raise InputError(
                f"a context of {self.context_px} px shows no more than a tile of {self.size_px}; pass a larger one"
            )
        if self.unlabelled_px is not None and self.chosen_layout == "grid":
            raise InputError("a grid covers the whole site already; `unlabelled_px` goes with points and plots")

    @property
    def chosen_layout(self) -> Layout:
        """The layout; ``auto`` where it takes a look at the image to choose it."""
        if self.layout != "auto":
            return self.layout
        if self.points is not None:
            return "points"
        if self.plots.file is not None:
            return "plots"
        return "grid" if self.overlap_px or self.aoi is not None else "auto"

    @property
    def configs(self) -> dict[str, TileOptions]:
        """How the further tiles of the same images are made, by the folder inside the tiles' own that they go to."""
        alone = replace(self, context_px=None, unlabelled_px=None)
        found = {}
        if self.context_px is not None:
            found[CONTEXT] = replace(alone, size_px=self.context_px)
        if self.unlabelled_px is not None:
            placed = PlotOptions(
                family=self.plots.family, marker_size_m=self.plots.marker_size_m, gcp=self.plots.gcp, gcp_crs=self.plots.gcp_crs
            )
            found[UNLABELLED] = replace(
                alone, layout="grid", points=None, size_px=self.unlabelled_px, min_valid=1.0, plots=placed
            )
        return found
