"""``spurgekit tile``: images in, a tiles folder out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import geopandas as gpd
import pandas as pd

from spurgekit.errors import InputError
from spurgekit.imagery import Raster, name_crs, open_raster, slug
from spurgekit.imagery.quicklook import QuickLook, quick_look
from spurgekit.outputs import output_folder, write_provenance
from spurgekit.parallel import cores
from spurgekit.progress import Progress, silent
from spurgekit.tiles.cut import CutTile, cut_tiles
from spurgekit.tiles.encode import choose_format, encoder
from spurgekit.tiles.index import index_tiles, write_index
from spurgekit.tiles.overview import draw_overview
from spurgekit.tiles.tile import Tile, grid_layout, points_layout
from spurgekit.vectors import read_vector, split_layer

Layout = Literal["auto", "plots", "grid", "points"]


@dataclass(frozen=True, slots=True)
class TileOptions:
    """How to tile.

    Attributes
    ----------
    layout : {"auto", "grid", "points"}
        ``auto`` is ``points`` where a file of points is given, else ``grid``.
    points : pathlib.Path, optional
        Vector file or CSV whose points the tiles are centred on.
    points_crs : str, optional
        CRS of the points or of the area of interest, where their file does not say it.
    size_px, overlap_px : int
        Side of a tile and what neighbours share, in pixels.
    gsd_m : float, optional
        Ground sample distance to resample to, in metres.
    min_valid : float
        Least share of valid pixels of a tile that is kept.
    aoi : pathlib.Path, optional
        Polygons; grid tiles that do not touch them are left out.
    bands : sequence of int, optional
        1-based bands.
    crs : str, optional
        See :func:`spurgekit.imagery.open_raster`.
    file_format : {"auto", "png", "jpg", "tif"}
        ``auto`` is PNG where the pixels fit into it, else GeoTIFF.
    """

    layout: Layout = "auto"
    points: Path | None = None
    points_crs: str | None = None
    size_px: int = 250
    overlap_px: int = 0
    gsd_m: float | None = None
    min_valid: float = 0.0
    aoi: Path | None = None
    bands: tuple[int, ...] | None = None
    crs: str | None = None
    file_format: str = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.min_valid <= 1:
            raise InputError(f"--min-valid {self.min_valid} is not a share; pass a number from 0 to 1")
        if self.layout == "points" and self.points is None:
            raise InputError("--layout points needs --points FILE")
        if self.layout == "grid" and self.points is not None:
            raise InputError("--layout grid does not go with --points; drop one of them")
        if self.layout == "plots":
            raise InputError("--layout plots needs ground markers, which this version does not look for; pass grid or points")
        if self.chosen_layout == "points" and (self.overlap_px or self.aoi):
            raise InputError("--overlap and --aoi go with --layout grid only")

    @property
    def chosen_layout(self) -> Literal["grid", "points"]:
        """The layout that ``auto`` comes to."""
        return "points" if self.points is not None else "grid"


@dataclass(frozen=True, slots=True)
class TiledSite:
    """What became of one image.

    Attributes
    ----------
    site : str
    written : int
        Tiles written.
    empty : int
        Tiles without any valid pixel.
    sparse : int
        Tiles with some, but fewer than asked for.
    outside : int
        Points outside the image.
    gsd_m : float
    notes : tuple of str
    """

    site: str
    written: int
    empty: int
    sparse: int
    outside: int
    gsd_m: float
    notes: tuple[str, ...]

    @property
    def left_out(self) -> str:
        """What was left out and why, as text; empty if nothing was."""
        counts = {
            "without data": self.empty,
            "with too little data": self.sparse,
            "points outside the image": self.outside,
        }
        return ", ".join(f"{count:,} {why}" for why, count in counts.items() if count)


@dataclass(frozen=True, slots=True)
class TilesReport:
    """What ``make_tiles`` did, site by site."""

    folder: Path
    layout: str
    file_format: str
    sites: tuple[TiledSite, ...]

    @property
    def written(self) -> int:
        """Tiles written in all."""
        return sum(site.written for site in self.sites)


def make_tiles(
    images: Sequence[Path] | Sequence[tuple[str, Path]],
    out: Path,
    options: TileOptions = TileOptions(),
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> TilesReport:
    """Tile images into a folder: the tiles, ``tiles.parquet``, ``tiles.gpkg`` and an overview of each site.

    Parameters
    ----------
    images : sequence of paths, or of (site name, path)
        Without names, sites are called by the files' stems.
    out : pathlib.Path
        Folder to make; it appears only when all is done.

    Raises
    ------
    InputError
        If an image, an option or the output folder does not serve; see the message.
    """
    named = [(slug(image.stem), image) if isinstance(image, Path) else (slug(image[0]), image[1]) for image in images]
    if len({site for site, _ in named}) < len(named):
        raise InputError("two images would have the same site name; rename one, or tile them into folders of their own")
    others = [split_layer(p)[0] for p in (options.points, options.aoi) if p is not None]
    inputs = [*(path for _, path in named), *others]
    with output_folder(out, overwrite=overwrite, inputs=inputs) as folder:
        done = [_tile_site(site, path, folder, options, len(named) > 1, progress) for site, path in named]
        indexes = [index for index, _, _ in done]
        reports = tuple(report for _, report, _ in done)
        if not sum(report.written for report in reports):
            raise InputError(_why_nothing(reports, options))
        write_index(_join(indexes), folder)
        parameters = {name: getattr(options, name) for name in options.__slots__}
        write_provenance(folder, parameters=parameters, inputs=inputs)
    return TilesReport(Path(out), options.chosen_layout, done[0][2], reports)


def _tile_site(
    site: str, path: Path, folder: Path, options: TileOptions, several: bool, progress: Progress
) -> tuple[gpd.GeoDataFrame, TiledSite, str]:
    with open_raster(path, crs=options.crs, gsd_m=options.gsd_m, bands=options.bands, threads=cores()) as raster:
        gsd_m = raster.gsd_m  # refuses an image that is not in metres before anything is read
        file_format = choose_format(options.file_format, len(raster.bands), raster.dtype)
        tiles, outside = _lay_out(raster, site, options)
        look = QuickLook(raster)
        cut = cut_tiles(
            raster,
            tiles,
            folder,
            encode=encoder(file_format),
            suffix=f".{file_format}",
            min_valid=options.min_valid,
            watch=look.watch if options.chosen_layout == "grid" and options.aoi is None else None,
            progress=progress,
        )
        report = _report(site, raster, cut, outside, gsd_m)
        index = index_tiles(raster, site, cut, options.chosen_layout) if report.written else gpd.GeoDataFrame()
        if report.written:
            if options.chosen_layout == "points" or options.aoi is not None:
                look = quick_look(raster, progress=progress)
            name = f"overview_{site}.png" if several else "overview.png"
            draw_overview(folder / name, look, index, title=_title(report, path, options))
        return index, report, file_format


def _lay_out(raster: Raster, site: str, options: TileOptions) -> tuple[list[Tile], int]:
    crs = raster.grid.crs
    if options.points is not None:
        points = read_vector(options.points, crs, declared_crs=options.points_crs)
        tiles = points_layout(raster.grid, site, points, size_px=options.size_px, path=options.points)
        # Row by row, so that GDAL's cache serves neighbours; the index is put back into the file's order.
        return sorted(tiles, key=lambda t: (t.window.row // raster.block_shape[0], t.window.col)), len(points) - len(tiles)
    aoi = None
    if options.aoi is not None:
        areas = read_vector(options.aoi, crs, declared_crs=options.points_crs)
        if not areas.geom_type.str.contains("Polygon").all():
            raise InputError(f"{options.aoi} holds {areas.geom_type.mode()[0]}s; an area of interest is made of polygons")
        aoi = areas.make_valid().union_all()  # polygons drawn by hand cross themselves
    tiles = list(grid_layout(raster.grid, site, size_px=options.size_px, overlap_px=options.overlap_px, aoi=aoi))
    if not tiles:
        raise InputError(f"{options.aoi} does not touch {raster.path} ({name_crs(crs)}); check its CRS")
    return tiles, 0


def _report(site: str, raster: Raster, cut: Sequence[CutTile], outside: int, gsd_m: float) -> TiledSite:
    written = sum(c.file_name is not None for c in cut)
    empty = sum(c.valid_fraction == 0 for c in cut)
    return TiledSite(site, written, empty, len(cut) - written - empty, outside, gsd_m, raster.notes)


def _why_nothing(reports: Sequence[TiledSite], options: TileOptions) -> str:
    names = ", ".join(report.site for report in reports)
    if any(report.sparse for report in reports):
        return f"no tile of {names} has at least {options.min_valid:g} of its pixels valid; lower --min-valid"
    return f"{names} has no valid pixel where tiles lie; look at its alpha band or nodata value with 'spurgekit info'"


def _title(report: TiledSite, path: Path, options: TileOptions) -> str:
    side = f"{options.size_px} px ({options.size_px * report.gsd_m:.2f} m)"
    text = f"{path.name}: {report.written:,} tiles of {side}, GSD {100 * report.gsd_m:.2f} cm"
    return text + (f"; left out: {report.left_out}" if report.left_out else "")


def _join(indexes: Sequence[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Stack the indexes of several sites, in the CRS of the first."""
    full = [index for index in indexes if len(index)]
    joined = pd.concat([index.to_crs(full[0].crs) for index in full], ignore_index=True) if len(full) > 1 else full[0]
    if "idx" in joined:
        joined = joined.sort_values(["site", "idx"], kind="stable", ignore_index=True)
    return gpd.GeoDataFrame(joined, geometry="geometry", crs=full[0].crs)
