"""Tiles of plots: the plots are found or read, and each tile is resampled once, out of the pixels around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.crs import CRS

from spurgekit.executors import Workers, open_workers
from spurgekit.executors.workers import DEFAULT
from spurgekit.imagery import PixelGrid, Raster
from spurgekit.imagery.image_source import ImageSource
from spurgekit.markers import Marker
from spurgekit.markers.detection import LEAST_PX, find_markers
from spurgekit.markers.families import FAMILIES
from spurgekit.markers.marker_list import tabulate
from spurgekit.plots import Plot
from spurgekit.plots.field_sheet import join_field_sheet
from spurgekit.plots.lattice import LatticeModel
from spurgekit.plots.locate import locate_plots
from spurgekit.plots.plot_file import read_plots, snap_plots
from spurgekit.plots.protocol import CORNERS
from spurgekit.progress import Progress, silent
from spurgekit.text import counted
from spurgekit.tiles.cut import CutTile, Done, TileWriter, collar_seen, reopened, run_jobs, source_of
from spurgekit.tiles.plot_layout import PlotTile
from spurgekit.tiles.rectify import rectify
from spurgekit.tiles.tile_options import PlotOptions
from spurgekit.vectors import write_geopackage

if TYPE_CHECKING:
    from spurgekit.tiles.tile_formats import Encoder

GEOPACKAGE = "plots.gpkg"
UNIT_TILES = 4
"""Tiles that a worker that reads for itself resamples as one unit: those of a plot."""

AT_CORNER = 0.1
"""A marker marks a corner that is within this share of its side: found corners are where their markers are."""


@dataclass(frozen=True, slots=True)
class SitePlots:
    """The plots of a site and the markers seen on the way to them.

    Attributes
    ----------
    plots : tuple of Plot
    markers : tuple of Marker
        In pixel coordinates of the image.
    how : str
        Where the plots come from, for people.
    notes : tuple of str
        What else is to be said.
    """

    plots: tuple[Plot, ...]
    markers: tuple[Marker, ...]
    how: str
    notes: tuple[str, ...] = ()

    def corners_of_markers(self, grid: PixelGrid) -> list[list[str]]:
        """Return for each marker the corners that it marks, such as ``1 NE`` and ``2 NW``; none where it stands elsewhere."""
        named = [
            (f"{plot.id} {name}", corner)
            for plot in self.plots
            for name, corner, seen in zip(CORNERS, plot.corners, plot.found, strict=True)
            if seen
        ]
        corners = np.array([corner for _, corner in named]).reshape(-1, 2)
        marked = []
        for marker in self.markers:
            apart_m = np.linalg.norm(corners - np.stack(grid.to_world(marker.col, marker.row)), axis=1) * grid.metres_per_unit
            marked.append([named[i][0] for i in np.flatnonzero(apart_m <= AT_CORNER * marker.size_m)])
        return marked


def look_for_markers(
    raster: Raster, options: PlotOptions, known: Sequence[Marker] | None = None, *, progress: Progress = silent
) -> tuple[list[Marker], str]:
    """Return the markers in an image, and in words how many of which kind they are.

    Parameters
    ----------
    raster : Raster
    options : PlotOptions
    known : sequence of Marker, optional
        Those of that kind that were found in it already, whatever their codes.
    """
    ids = options.marker_ids
    if known is None:
        family = FAMILIES[options.marker_family]
        detector = family.detector(options.marker_side_m, ids=ids, color=options.marker_color)
        markers = find_markers(raster, detector, progress=progress)
    else:
        markers = [marker for marker in known if not ids or marker.id in ids]
    return markers, f"{counted(len(markers), 'marker')} of family {options.marker_family}, {options.marker_side_m:g} m"


def too_coarse(raster: Raster, options: PlotOptions) -> str | None:
    """Return in words why no markers can be seen in an image, or None where they can."""
    size_px = options.marker_side_m / raster.gsd_m
    return None if size_px >= LEAST_PX else f"markers of {options.marker_side_m:g} m are {size_px:.1f} px across"


def plots_of_markers(raster: Raster, markers: Sequence[Marker], how: str, options: PlotOptions) -> SitePlots:
    """Return the plots whose lattice the markers make.

    Raises
    ------
    InputError
        If there is no such lattice, or more than one fits.
    """
    seen_askew: LatticeModel = "projective" if raster.pose is not None else "similarity"
    located = locate_plots(raster.grid, markers, options, model=seen_askew)
    nodes = len(options.nodes_m) * len(located.rms_cm)
    seen = f"{len(located.at_corners)} of {nodes} corners have a marker"
    rest = ", the others were filled in" if len(located.at_corners) < nodes else ""
    fits = " and ".join(f"{rms_cm:.1f} cm" for rms_cm in located.rms_cm)
    note = f"{seen}{rest}; markers are {fits} (root mean square) from the lattice"
    return SitePlots(located.plots, tuple(markers), how, (note,))


def plots_of_file(
    raster: Raster,
    site: str,
    options: PlotOptions,
    *,
    declared_crs: str | None = None,
    known: Sequence[Marker] | None = None,
    progress: Progress = silent,
) -> SitePlots:
    """Return the plots that a file gives, snapped to markers if that was asked for; see :func:`look_for_markers`."""
    assert options.file is not None
    plots, notes = read_plots(options.file, raster.grid, options, site=site, declared_crs=declared_crs)
    how = options.file.name
    if options.snap_m is None:
        return SitePlots(tuple(plots), (), how, notes)
    markers, seen = look_for_markers(raster, options, known, progress=progress)
    plots, snapped, residual_cm = snap_plots(plots, markers, raster.grid, options.snap_m)
    moved = f", by {residual_cm:.1f} cm (root mean square)" if residual_cm is not None else ""
    note = f"{snapped} of {4 * len(plots)} corners snapped to markers within {options.snap_m:g} m{moved}; {seen}"
    return SitePlots(tuple(plots), tuple(markers), how, (*notes, note))


def with_field_sheet(found: SitePlots, site: str, options: PlotOptions) -> SitePlots:
    """Return plots with what the field sheet says of them, if there is one."""
    if options.field_sheet is None:
        return found
    plots, notes = join_field_sheet(found.plots, options.field_sheet, options, site=site)
    return replace(found, plots=tuple(plots), notes=(*found.notes, *notes))


@dataclass(frozen=True, slots=True)
class _PlotJob:
    tile: PlotTile
    pixels: NDArray[np.generic]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Rectifier:
    """Resamples a tile out of pixels that were read."""

    crs: CRS | None
    writer: TileWriter

    def __call__(self, job: _PlotJob) -> Done:
        tile = job.tile
        pixels, valid = rectify(job.pixels, job.valid, tile.window, tile.to_image, tile.size_px)
        return Done([self.writer.write(tile, pixels, valid, tile.grid(self.crs))])


@dataclass(frozen=True, slots=True)
class _ReadingRectifier:
    """Reads what is around tiles, and resamples them."""

    source: ImageSource
    rectifier: _Rectifier

    def __call__(self, tiles: Sequence[PlotTile]) -> Done:
        raster = reopened(self.source)
        done = [self.rectifier(_PlotJob(tile, *raster.read(tile.window))).cut[0] for tile in tiles]
        return Done(done, collar=collar_seen(raster))


def cut_plots(
    raster: Raster,
    tiles: Sequence[PlotTile],
    folder: Path,
    *,
    crs: CRS | None,
    encode: Encoder,
    suffix: str,
    min_valid: float = 0.0,
    executor: str | Workers = DEFAULT,
    progress: Progress = silent,
) -> list[CutTile]:
    """Resample and write tiles of plots; the pixels around one tile are read at a time.

    Parameters
    ----------
    raster : Raster
        The image that the tiles' windows are in, read in the calling thread where workers are threads.
    tiles : sequence of PlotTile
    folder : pathlib.Path
        Gets ``{tile.id}{suffix}``.
    crs : rasterio.crs.CRS or None
        Of the tiles' corners.
    encode, suffix, min_valid, executor
        As in :func:`spurgekit.tiles.cut.cut_tiles`.

    Returns
    -------
    list of CutTile
        In the order of the tiles, those that were not written included.
    """
    with open_workers(executor) as workers:
        writer = TileWriter(folder.absolute(), encode, suffix, min_valid, whole=not workers.in_process)
        rectifier = _Rectifier(crs, writer)
        if workers.in_process:
            jobs = (_PlotJob(tile, *raster.read(tile.window)) for tile in tiles)
            return run_jobs(rectifier, jobs, raster, len(tiles), workers, progress)
        some = (tiles[first : first + UNIT_TILES] for first in range(0, len(tiles), UNIT_TILES))
        return run_jobs(_ReadingRectifier(source_of(raster), rectifier), some, raster, len(tiles), workers, progress)


def plots_table(found: SitePlots, site: str, crs: CRS) -> gpd.GeoDataFrame:
    """Return plots as rows: site, id, residual_cm, corners_found, filled_in, their attributes and outlines."""
    own = ("id", "site", "residual_cm", "corners_found", "filled_in")
    rows = [
        {
            **dict(zip(own, (plot.id, site, plot.residual_cm, sum(plot.found), not all(plot.found)), strict=True)),
            **{(f"plot_{name}" if name in own else name): value for name, value in plot.attributes.items()},
        }
        for plot in found.plots
    ]
    return gpd.GeoDataFrame(rows, geometry=[plot.polygon for plot in found.plots], crs=crs.to_wkt())


def markers_table(found: SitePlots, site: str, grid: PixelGrid) -> gpd.GeoDataFrame:
    """Return markers as :func:`spurgekit.markers.marker_list.tabulate` does, with the site and the corners that they mark."""
    table = tabulate(found.markers, grid)
    table.insert(0, "site", site)
    table["corners"] = pd.array([", ".join(corners) or None for corners in found.corners_of_markers(grid)], dtype="str")
    return table


def write_plots(plots: gpd.GeoDataFrame, markers: gpd.GeoDataFrame, folder: Path) -> None:
    """Write ``plots.gpkg`` with its layers ``plots`` and ``markers``."""
    write_geopackage(plots, folder / GEOPACKAGE, layer="plots")
    write_geopackage(markers, folder / GEOPACKAGE, layer="markers", geometry_type="Point", add=True)
