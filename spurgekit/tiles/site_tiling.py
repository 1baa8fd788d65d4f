"""A site in, its tiles and what is known of them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import geopandas as gpd
import numpy as np

from spurgekit.errors import InputError, renamed
from spurgekit.executors import Workers
from spurgekit.image_names import ImageName
from spurgekit.imagery import PixelGrid, Raster, open_raster
from spurgekit.imagery.quicklook import QuickLook, quick_look
from spurgekit.markers import Marker
from spurgekit.markers.detection import size_hint
from spurgekit.markers.families import FAMILIES
from spurgekit.markers.gcp_placement import place_by_markers
from spurgekit.outlines import read_area
from spurgekit.parallel import cores
from spurgekit.progress import Progress
from spurgekit.text import counted
from spurgekit.tiles.cut import CutTile, cut_tiles
from spurgekit.tiles.index import index_tiles
from spurgekit.tiles.layouts import Tile, grid_layout, points_layout
from spurgekit.tiles.overview import draw_overview, draw_plots
from spurgekit.tiles.plot_layout import plots_layout
from spurgekit.tiles.site_plots import (
    SitePlots,
    cut_plots,
    look_for_markers,
    markers_table,
    plots_of_file,
    plots_of_markers,
    plots_table,
    too_coarse,
    with_field_sheet,
)
from spurgekit.tiles.tile_formats import choose_format
from spurgekit.tiles.tile_options import TileOptions
from spurgekit.vectors import read_vector


@dataclass(frozen=True, slots=True)
class TiledSite:
    """What became of a site.

    Attributes
    ----------
    site : str
    layout : str
    why : str
        What the layout was chosen for, where it was; and what plots come from.
    file_format : str
    written : int
        Tiles written.
    empty, sparse, outside : int
        Tiles without a valid pixel, tiles with too few of them, and points outside the image.
    gsd_m : float
        Ground sample distance of the tiles, in metres.
    plots : int
        Plots that the tiles are of.
    notes : tuple of str
        What was assumed about the image, and what is to be said of its plots.
    """

    site: str
    layout: str
    why: str
    file_format: str
    written: int
    empty: int
    sparse: int
    outside: int
    gsd_m: float
    plots: int = 0
    notes: tuple[str, ...] = ()

    @property
    def left_out(self) -> str:
        """What was left out and why, in words; empty if nothing was."""
        counts = [(self.empty, "tile", "without data"), (self.sparse, "tile", "with too little data")]
        counts += [(self.outside, "point", "outside the image")]
        return ", ".join(f"{counted(count, thing)} {why}" for count, thing, why in counts if count)


@dataclass(frozen=True, slots=True)
class SiteTables:
    """The rows that a site adds to the outputs, and the SHA-256 of its tiles' files by their names."""

    tiles: gpd.GeoDataFrame
    checksums: Mapping[str, str] = field(default_factory=dict)
    plots: gpd.GeoDataFrame | None = None
    markers: gpd.GeoDataFrame | None = None


@dataclass(frozen=True, slots=True)
class SiteJob:
    """A site to tile.

    Attributes
    ----------
    site : str
    path : ImageName
    folder : pathlib.Path
        Where its tiles go.
    options : TileOptions
    several : bool
        Whether there are other sites in the folder, so that its overview has to have its name.
    workers : Workers
    progress : Progress
    grid : PixelGrid or None
        Where its pixels lie, where markers on known points have said so; else what the image says.
    markers : tuple of Marker or None
        The markers that were found for it.
    notes : tuple of str
        What is to be said of that.
    """

    site: str
    path: ImageName
    folder: Path
    options: TileOptions
    several: bool
    workers: Workers
    progress: Progress
    grid: PixelGrid | None = None
    markers: tuple[Marker, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def overview(self) -> Path:
        """Its picture."""
        return self.folder / (f"overview_{self.site}.png" if self.several else "overview.png")

    def open(self, gsd_m: float | None = None, as_stored: bool = False) -> Raster:
        """Open the image, at a ground sample distance of the tiles or at its own.

        Parameters
        ----------
        gsd_m : float, optional
        as_stored : bool
            In the CRS that the image is in, rather than in the one that is asked for.
        """
        options = self.options
        return open_raster(
            self.path,
            crs=None if as_stored else options.crs,
            gsd_m=gsd_m,
            image_crs=options.image_crs,
            image_gsd_m=options.image_gsd_m,
            grid=self.grid,
            bands=options.bands,
            nodata=options.nodata,
            threads=cores(),
        )

    def georeferenced(self, file: Path) -> SiteJob:
        """Return the job with the image placed by markers on known points."""
        options = self.options.plots
        detector = FAMILIES[options.marker_family].detector(options.marker_side_m, color=options.marker_color)
        with renamed(declared_crs="gcp_crs"):
            placed = place_by_markers(
                lambda grid: replace(self, grid=grid).open(as_stored=True),
                detector,
                file,
                crs=self.options.crs,
                declared_crs=options.gcp_crs,
                progress=self.progress,
            )
        return replace(self, grid=placed.grid, markers=placed.markers, notes=placed.notes)


def tile_site(job: SiteJob) -> tuple[TiledSite, SiteTables]:
    """Cut the tiles of a site, and draw its overview.

    Parameters
    ----------
    job : SiteJob

    Raises
    ------
    ImageryError
        If the image cannot be read, or does not measure the ground in metres.
    InputError
        If an option or a file that it names does not serve.
    """
    why = ""
    if job.options.plots.gcp is not None:
        job = job.georeferenced(job.options.plots.gcp)
    if job.options.chosen_layout in ("plots", "auto"):
        with job.open() as raster:
            raster.gsd_m  # noqa: B018 - refuses an image that is not in metres before anything is read
            found, why = _find_plots(raster, job)
            if found is not None:
                return _tile_plots(raster, found, why, job)
    return _tile_windows(job, why)


def _tile_windows(job: SiteJob, why: str) -> tuple[TiledSite, SiteTables]:
    """Cut tiles along the rows of the image: on a grid or around points."""
    options = job.options
    layout = "points" if options.chosen_layout == "points" else "grid"
    with job.open(options.gsd_m) as raster:
        gsd_m = raster.gsd_m  # refuses an image that is not in metres before anything is read
        file_format = choose_format(options.file_format, len(raster.bands), raster.dtype.name, raster.rgb)
        tiles, outside, said = _lay_out(raster, job.site, options)
        look = QuickLook(raster)
        everywhere = layout == "grid" and options.aoi is None
        cut = cut_tiles(
            raster,
            tiles,
            job.folder,
            encode=file_format.encoder(),
            suffix=f".{file_format.name}",
            min_valid=options.min_valid,
            look=look if everywhere else None,
            executor=job.workers,
            progress=job.progress,
        )
        report = _report(job.site, layout, why, file_format.name, cut, outside, gsd_m, (*job.notes, *raster.notes, *said))
        if not report.written:
            return report, SiteTables(gpd.GeoDataFrame())
        index = index_tiles(raster, job.site, cut, layout)
        if not everywhere:
            look = quick_look(raster, progress=job.progress)
        draw_overview(job.overview, look, index, title=_title(report, job))
        return report, SiteTables(index, _checksums(cut))


def _find_plots(raster: Raster, job: SiteJob) -> tuple[SitePlots | None, str]:
    """Return the plots of a site, or None where it is to be tiled on a grid; and why."""
    options, auto = job.options.plots, "auto: " if job.options.layout == "auto" else ""
    if options.file is not None:
        declared = job.options.points_crs
        with renamed(declared_crs="points_crs"):
            found = plots_of_file(raster, job.site, options, declared_crs=declared, known=job.markers, progress=job.progress)
    elif auto and (reason := too_coarse(raster, options)):
        return None, auto + reason
    else:
        markers, seen = look_for_markers(raster, options, job.markers, progress=job.progress)
        try:
            found = plots_of_markers(raster, markers, seen, options)
        except InputError as error:
            if not auto:
                hint = size_hint(raster, options.marker_family, options.marker_side_m, options.marker_color)
                raise InputError(f"{raster.path}: {error}{hint}") from error
            return None, f"{auto}{seen}" + (f"; no plots, since {error}" if markers else "")
    return with_field_sheet(found, job.site, options), auto + found.how


def _tile_plots(raster: Raster, found: SitePlots, why: str, job: SiteJob) -> tuple[TiledSite, SiteTables]:
    """Resample the tiles of plots."""
    options, crs = job.options, raster.grid.crs
    if options.plots.quarters == "full" and options.gsd_m is not None:
        raise InputError(
            "full quarters are as large as the plot makes them, and so is their ground sample distance; "
            "drop `gsd_m` (gsd_m in survey.toml), or pass `quarters=crop`"
        )
    file_format = choose_format(options.file_format, len(raster.bands), raster.dtype.name, raster.rgb)
    with ExitStack() as stack:
        # Not through a warper: an image in another CRS would be resampled twice.
        image = raster if options.crs is None else stack.enter_context(job.open(as_stored=True))
        tiles = plots_layout(
            found.plots,
            raster.grid,
            image.grid,
            job.site,
            size_px=options.size_px,
            gsd_m=options.gsd_m or raster.gsd_m,
            quarters=options.plots.quarters,
            inset_m=options.plots.margin_m,
            plot_size_m=options.plots.known_side_m,
        )
        cut = cut_plots(
            image,
            tiles,
            job.folder,
            crs=crs,
            encode=file_format.encoder(),
            suffix=f".{file_format.name}",
            min_valid=options.min_valid,
            executor=job.workers,
            progress=job.progress,
        )
    gsd_m = float(np.median([tile.gsd_m for tile in tiles]))
    notes = (*job.notes, *raster.notes, *found.notes)
    if options.plots.margin_m == 0 and options.plots.quarters != "crop":
        notes = (*notes, "tiles reach to the edges of plots, and show what markers stand there; pass `inset_m` to keep clear")
    report = _report(job.site, "plots", why, file_format.name, cut, 0, gsd_m, notes, len(found.plots))
    if not report.written:
        return report, SiteTables(gpd.GeoDataFrame())
    index = index_tiles(raster, job.site, cut, "plots")
    draw_plots(job.overview, raster, index, found, title=_title(report, job), progress=job.progress)
    plots, markers = plots_table(found, job.site, crs), markers_table(found, job.site, raster.grid)
    return report, SiteTables(index, _checksums(cut), plots, markers)


def _lay_out(raster: Raster, site: str, options: TileOptions) -> tuple[list[Tile], int, tuple[str, ...]]:
    """Return the tiles, the number of points outside the image, and what is to be said of the file of points or areas."""
    if options.points is not None:
        with renamed(declared_crs="points_crs"):
            shapes = read_vector(options.points, raster.grid.crs, declared_crs=options.points_crs, pixel_m=raster.gsd_m)
        tiles = points_layout(raster.grid, site, shapes.rows, size_px=options.size_px, path=options.points)
        outside = len(shapes.rows) - len(tiles)
        # Row by row, so that GDAL's cache serves neighbours; the index is put back into the file's order.
        return sorted(tiles, key=lambda t: (t.window.row // raster.block_shape[0], t.window.col)), outside, shapes.notes
    aoi, notes = None, tuple[str, ...]()
    if options.aoi is not None:
        with renamed(declared_crs="points_crs"):
            area = read_area(options.aoi, raster, declared_crs=options.points_crs)
        aoi, notes = area.ground, area.notes
    tiles = list(grid_layout(raster.grid, site, size_px=options.size_px, overlap_px=options.overlap_px, aoi=aoi))
    return tiles, 0, notes


def _report(
    site: str,
    layout: str,
    why: str,
    file_format: str,
    cut: Sequence[CutTile],
    outside: int,
    gsd_m: float,
    notes: tuple[str, ...],
    plots: int = 0,
) -> TiledSite:
    written = sum(c.file_name is not None for c in cut)
    empty = sum(c.valid_fraction == 0 for c in cut)
    return TiledSite(site, layout, why, file_format, written, empty, len(cut) - written - empty, outside, gsd_m, plots, notes)


def _checksums(cut: Sequence[CutTile]) -> dict[str, str]:
    return {c.file_name: c.sha256 for c in cut if c.file_name is not None and c.sha256 is not None}


def _title(report: TiledSite, job: SiteJob) -> str:
    size_px = job.options.size_px
    what = f"{report.plots} plots, " if report.plots else ""
    side = f"{size_px} px ({size_px * report.gsd_m:.2f} m)"
    text = f"{job.path.name}: {what}{report.written:,} tiles of {side}, GSD {100 * report.gsd_m:.2f} cm"
    return text + (f"; left out: {report.left_out}" if report.left_out else "")
