"""A simulated survey as a folder: a picture as the drone would bring it home, the field team's notes, and the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.random import default_rng
from numpy.typing import NDArray
from rasterio import Affine, features
from shapely.geometry import shape

from spurgekit.imagery import PixelGrid
from spurgekit.options import kinds_of
from spurgekit.outputs import output_folder
from spurgekit.plots.protocol import PlotProtocol
from spurgekit.progress import Progress, silent
from spurgekit.simulate.camera import encode_jpeg
from spurgekit.simulate.drone_photo import with_metadata
from spurgekit.simulate.scene import SMALLEST_PATCH_M2
from spurgekit.simulate.site import DrawnSite, LaidMarker, draw_site
from spurgekit.simulate.survey_options import SurveyOptions
from spurgekit.survey import FILE_NAME
from spurgekit.vectors import write_geopackage

SPECIES = "leafy spurge"
NODATA = 255

SURVEY = """\
# A survey that spurgekit simulated: rangeland with leafy spurge, and the spurge drawn by a botanist.
# Beside it lies the truth: plots.gpkg, markers.gpkg, weed.tif.
schema_version = 1
name = "{name}"
classes = ["no spurge", "leafy spurge"]
labels = "weed.gpkg"
crs = "{crs}"

[[sites]]
name = "{name}"
image = "{image}"
"""


@dataclass(frozen=True, slots=True)
class SimulatedSurvey:
    """The files of a simulated survey.

    Attributes
    ----------
    folder : pathlib.Path
    image : pathlib.Path
        An orthomosaic, RGBA uint8, whose alpha is 0 outside the mosaic; or a JPEG from a drone.
    truth : pathlib.Path
        The weed on the ground's grid, uint8: 1 weed, 0 none, 255 (nodata) where the image shows nothing.
    weed : pathlib.Path
        GeoPackage with the layer ``weed``: patches with their ``species`` and ``area_m2``.
    plots : pathlib.Path
        GeoPackage with the layer ``plots``: outlines from NW over NE, SE and SW, with their ``plot`` and how many ``markers``
        lie at their corners.
    markers : pathlib.Path
        GeoPackage with the layer ``markers``: centres with ``family``, ``size_m``, ``node`` of the lattice, ``id`` of a coded
        one, ``visible`` share, and the image's continuous pixel coordinates ``col`` and ``row``.
    laid, half_hidden : int
        Markers that are there, and those of which less than nine tenths can be seen.
    """

    folder: Path
    image: Path
    truth: Path
    weed: Path
    plots: Path
    markers: Path
    laid: int
    half_hidden: int

    def moved(self, folder: Path) -> SimulatedSurvey:
        """Return the same survey in another folder."""
        image, truth, weed, plots, markers = (
            folder / path.name for path in (self.image, self.truth, self.weed, self.plots, self.markers)
        )
        return SimulatedSurvey(folder, image, truth, weed, plots, markers, self.laid, self.half_hidden)


def simulate_survey(
    folder: str | Path,
    options: SurveyOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> SimulatedSurvey:
    """Simulate a survey into a folder of its own: image, labels, truth and ``survey.toml``.

    The same options give the same bytes.

    Parameters
    ----------
    folder : str or pathlib.Path
        Appears only when all is done.
    options : SurveyOptions, optional
        Default nine plots of 10 m between crosses.
    overwrite : bool
        Replace a folder that spurgekit made before.
    progress : Progress

    Returns
    -------
    SimulatedSurvey
        Where its files lie, and what was laid.

    Raises
    ------
    InputError
        If the site cannot be drawn as asked for, or the folder may not be written; the message says what to pass.
    """
    options = options or SurveyOptions()
    with output_folder(folder, "survey", parameters=options.parameters(), overwrite=overwrite) as partial:
        survey = write_survey(draw_site(options, progress=progress), partial, options)
    return survey.moved(Path(folder))


def write_survey(site: DrawnSite, folder: Path, options: SurveyOptions) -> SimulatedSurvey:
    """Write the files of a drawn site into a folder that is there."""
    image = folder / f"{options.name}{'.tif' if site.pose is None else '.jpg'}"
    if site.pose is None:
        _write_mosaic(image, site, options.shift_m)
    else:
        jpeg = encode_jpeg(site.rgb, options.camera.jpeg_quality)
        crs = site.grid.crs
        assert crs is not None  # every option that could name none is refused
        image.write_bytes(with_metadata(jpeg, site.pose, crs, default_rng([options.seed, *image.name.encode()])))
    truth, weed, plots, markers = (folder / name for name in ("weed.tif", "weed.gpkg", "plots.gpkg", "markers.gpkg"))
    cover = np.where(site.valid, site.weed.astype(np.uint8), np.uint8(NODATA))
    _write_tif(truth, cover[None], site.grid, nodata=NODATA)
    write_geopackage(outline_patches(site.weed & site.valid, site.grid), weed, layer="weed", geometry_type="Polygon")
    write_geopackage(_plot_table(site), plots, layer="plots", geometry_type="Polygon")
    write_geopackage(_marker_table(site.markers, site.grid), markers, layer="markers", geometry_type="Point")
    text = SURVEY.format(name=options.name, crs=options.crs, image=image.name) + plot_entries(options)
    (folder / FILE_NAME).write_text(text, encoding="utf-8", newline="\n")
    half_hidden = sum(marker.visible < 0.9 for marker in site.markers)
    return SimulatedSurvey(folder, image, truth, weed, plots, markers, len(site.markers), half_hidden)


def plot_entries(options: SurveyOptions) -> str:
    """Return what ``survey.toml`` says of the plots and their markers; nothing where there are none."""
    if not options.markers:
        return ""
    entries = {
        **{name: getattr(options, name) for name in kinds_of(PlotProtocol)},
        "size_m": options.side_m,
        "family": options.marker_family,
        "marker_size_m": options.marker_side_m,
    }
    lines = [f"{name} = {_as_toml(value)}" for name, value in entries.items() if value is not None]
    return "\n".join(["", "[plots]", *lines, ""])


def _as_toml(value: object) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)  # numbers, texts and lists are written alike


def outline_patches(weed: NDArray[np.bool_], grid: PixelGrid) -> gpd.GeoDataFrame:
    """Return the weed's patches as polygons, drawn with a point every few pixels rather than along their edges.

    Parameters
    ----------
    weed : ndarray of bool, shape (grid.height, grid.width)
    grid : PixelGrid
        In a projected CRS in metres.

    Returns
    -------
    geopandas.GeoDataFrame
        Columns ``species``, ``area_m2`` and ``geometry`` (valid polygons), from the north to the south.
    """
    found = features.shapes(weed.astype(np.uint8), mask=weed, connectivity=4, transform=grid.transform)
    edges = np.array([shape(geometry) for geometry, _ in found], dtype=object)
    drawn = shapely.make_valid(shapely.simplify(edges, 1.5 * grid.gsd_m))
    parts = shapely.get_parts(drawn)
    parts = parts[shapely.area(parts) > SMALLEST_PATCH_M2 / 2]  # splinters that simplifying cut off, and lines
    columns = {"species": [SPECIES] * len(parts), "area_m2": np.round(shapely.area(parts), 4)}
    return gpd.GeoDataFrame(columns, geometry=parts, crs=_wkt(grid))


def _plot_table(site: DrawnSite) -> gpd.GeoDataFrame:
    columns = {"plot": [plot.id for plot in site.plots], "markers": [sum(plot.found) for plot in site.plots]}
    return gpd.GeoDataFrame(columns, geometry=[plot.polygon for plot in site.plots], crs=_wkt(site.grid))


def _marker_table(markers: tuple[LaidMarker, ...], grid: PixelGrid) -> gpd.GeoDataFrame:
    names = ("family", "size_m", "node", "id", "visible", "col", "row")
    columns = {name: [getattr(marker, name) for marker in markers] for name in names}
    table = gpd.GeoDataFrame(
        columns, geometry=gpd.points_from_xy([m.x for m in markers], [m.y for m in markers]), crs=_wkt(grid)
    )
    return table.astype({"id": "Int64"}).round({"visible": 3, "col": 3, "row": 3})


def _wkt(grid: PixelGrid) -> str | None:
    return grid.crs.to_wkt() if grid.crs else None


def _write_mosaic(path: Path, site: DrawnSite, shift_m: tuple[float, float]) -> None:
    pixels = np.empty((4, site.grid.height, site.grid.width), np.uint8)
    pixels[:3] = np.moveaxis(site.rgb, -1, 0)
    pixels[3] = np.where(site.valid, 255, 0)
    grid = replace(site.grid, transform=Affine.translation(*shift_m) @ site.grid.transform)
    _write_tif(path, pixels, grid, interleave="pixel", photometric="RGB", alpha="yes", predictor=2)


def _write_tif(path: Path, pixels: NDArray[np.uint8], grid: PixelGrid, **options: object) -> None:
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": len(pixels),
        "width": grid.width,
        "height": grid.height,
        "transform": grid.transform,
        "crs": grid.crs,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "zlevel": 4,  # a higher level takes twice the time for 2 % less
    }
    with rasterio.open(path, "w", **(profile | options)) as out:
        out.write(pixels)
