"""``spurgekit tile``: images in, a tiles folder out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import pandas as pd
from rasterio.crs import CRS

from spurgekit.errors import InputError
from spurgekit.executors import Workers, open_workers
from spurgekit.executors.workers import DEFAULT
from spurgekit.image_names import ImageName, image_name, local_file
from spurgekit.imagery import slug
from spurgekit.outputs import note_checksums, output_folder
from spurgekit.outputs.checksums import read_checksums
from spurgekit.outputs.files import remove_partial_files
from spurgekit.progress import Progress, silent
from spurgekit.tiles.index import write_index
from spurgekit.tiles.site_plots import write_plots
from spurgekit.tiles.site_tiling import SiteJob, TiledSite, tile_site
from spurgekit.tiles.tile_options import TileOptions
from spurgekit.vectors import Shapes, brought, split_layer


@dataclass(frozen=True, slots=True)
class TilesReport:
    """What ``tile_images`` did, site by site."""

    folder: Path
    sites: tuple[TiledSite, ...]
    configs: Mapping[str, TilesReport] = field(default_factory=dict)
    """What became of the further tiles of the same images, by their folder inside this one."""
    notes: tuple[str, ...] = ()
    """What is to be said of how sites were brought together."""

    @property
    def layout(self) -> str:
        """The layout; several of them, where sites differ."""
        return ", ".join(sorted({site.layout for site in self.sites}))

    @property
    def file_format(self) -> str:
        """Format of the tiles."""
        return self.sites[0].file_format

    @property
    def written(self) -> int:
        """Tiles written in all."""
        return sum(site.written for site in self.sites)


def tile_images(
    images: str | Path | Sequence[str | Path] | Mapping[str, str | Path],
    out: str | Path,
    options: TileOptions | None = None,
    *,
    overwrite: bool = False,
    executor: str | Workers = DEFAULT,
    progress: Progress = silent,
) -> TilesReport:
    """Cut orthomosaics or nadir photos into georeferenced tiles, indexed and drawn.

    Tiles are on a grid over the whole site, in plots that ground markers or a file show, or around points. Tiles at the edge of
    an image are kept, padded with 0, with their valid share in the index; only tiles without any data are left out. Where a
    context or unlabelled tiles are asked for, they come into tiles folders of their own inside the folder.

    Parameters
    ----------
    images : path, sequence of paths, or mapping of str to path
        One image a site, by its path or by another name that GDAL reads, such as an address. In a mapping the sites have names,
        else they are called by the files' stems.
    out : str or pathlib.Path
        Folder to make, with the tiles, ``tiles.parquet``, ``tiles.gpkg`` and an overview of each site. It appears only when all
        is done.
    options : TileOptions, optional
    overwrite : bool
        Replace a folder that spurgekit made before.
    executor : str or Workers
        Who cuts the tiles: ``threads`` or ``processes`` of this machine, ``dask://HOST:PORT``, or a ``FILE.toml`` of a cluster.
        Markers are looked for here.
    progress : Progress

    Returns
    -------
    TilesReport

    Raises
    ------
    ImageryError
        If an image cannot be read, or does not measure the ground in metres.
    InputError
        If an option or a file that it names does not serve, or no tile is left.
    OutputExistsError
        If the folder is there already.

    Examples
    --------
    Nine plots between ground markers, each in four tiles of 250 px:

    >>> report = tile_images("north.tif", "tiles", TileOptions(layout="plots", gsd_m=0.0125))  # doctest: +SKIP
    >>> report.sites[0].written  # doctest: +SKIP
    36

    Tiles around points that were found on foot, with what lies around them:

    >>> options = TileOptions(points="points.gpkg", context_px=750)  # doctest: +SKIP
    >>> tile_images({"north": "flights/1.tif", "south": "flights/2.tif"}, "tiles", options)  # doctest: +SKIP
    """
    options = options or TileOptions()
    named = _by_site(images)
    if len({site for site, _ in named}) < len(named):
        raise InputError("two images would have the same site name; rename one, or tile them into folders of their own")
    files = [split_layer(p)[0] for p in (options.points, options.aoi, *options.plots.inputs) if p is not None]
    inputs = [*(path for _, path in named), *files]
    with (
        output_folder(out, "tiles", parameters=options.parameters(), inputs=inputs, overwrite=overwrite) as folder,
        open_workers(executor) as workers,
    ):
        workers.check_sees(folder, *filter(None, (local_file(path) for _, path in named)))
        done = [tile_site(SiteJob(site, path, folder, options, len(named) > 1, workers, progress)) for site, path in named]
        remove_partial_files(folder)  # of workers that died
        reports = tuple(report for report, _ in done)
        if not sum(report.written for report in reports):
            raise InputError(_why_nothing(reports, options))
        tables = [table for _, table in done if len(table.tiles)]
        pixel_m = min(report.gsd_m for report in reports)
        joined = _join([table.tiles for table in tables], pixel_m)
        write_index(_sorted(joined.rows), folder)
        if plots := [table.plots for table in tables if table.plots is not None]:
            markers = [table.markers for table in tables if table.markers is not None]
            write_plots(_join(plots, pixel_m).rows, _join(markers, pixel_m).rows, folder)
        configs = {
            name: tile_images(dict(named), folder / name, config, executor=workers, progress=progress)
            for name, config in options.configs.items()
        }
        sums = {name: digest for table in tables for name, digest in table.checksums.items()}
        for config in configs:
            inner = read_checksums(folder / config) or {}
            sums.update({f"{config}/{name}": digest for name, digest in inner.items()})
        note_checksums(folder, sums)
    return TilesReport(Path(out), reports, configs, joined.notes)


def _by_site(images: str | Path | Sequence[str | Path] | Mapping[str, str | Path]) -> list[tuple[str, ImageName]]:
    """Return images with the names of their sites."""
    if isinstance(images, Mapping):
        return [(slug(site), image_name(image)) for site, image in images.items()]
    several = map(image_name, [images] if isinstance(images, (str, Path)) else images)
    return [(slug(image.stem), image) for image in several]


def _why_nothing(reports: Sequence[TiledSite], options: TileOptions) -> str:
    names = ", ".join(report.site for report in reports)
    if any(report.sparse for report in reports):
        return f"no tile of {names} has at least {options.min_valid:g} of its pixels valid; lower `min_valid`"
    return f"{names} has no valid pixel where tiles lie; look at its alpha band or nodata value with 'spurgekit info'"


def _join(tables: Sequence[gpd.GeoDataFrame], pixel_m: float) -> Shapes:
    """Stack the tables of several sites, in the CRS of the first, and return what is to be said of bringing them there."""
    tables = [table for table in tables if len(table)] or tables[:1]
    if len(tables) == 1:
        return Shapes(tables[0])
    crs = CRS.from_wkt(tables[0].crs.to_wkt())
    placed = [
        brought(table, crs, what=f"site {table['site'].iloc[0]}", remedy="tile it into a folder of its own", pixel_m=pixel_m)
        for table in tables
    ]
    rows = pd.concat([shapes.rows for shapes in placed], ignore_index=True)
    notes = tuple(note for shapes in placed for note in shapes.notes)
    return Shapes(gpd.GeoDataFrame(rows, geometry="geometry", crs=tables[0].crs), notes)


def _sorted(index: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Put tiles of points back into the order of their file."""
    if "idx" not in index or set(index["layout"]) != {"points"}:
        return index
    return index.sort_values(["site", "idx"], kind="stable", ignore_index=True)
