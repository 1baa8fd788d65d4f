"""A survey's site with known truth: an orthomosaic, the weed in it as pixels, and the weed as a botanist would draw it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio import features
from shapely.geometry import shape

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, parse_crs, slug
from spurgekit.progress import Progress, silent
from spurgekit.simulate.scene import SMALLEST_PATCH_M2, Scene, draw_scene
from spurgekit.vectors import write_geopackage

SPECIES = "leafy spurge"
BRIDGER_FOOTHILLS = (495_000.0, 5_063_000.0)
"""Upper left corner in UTM zone 12N: rangeland north of Bozeman, Montana."""

SMALLEST_PX, LARGEST_PX = 256, 8192
"""Sides that can be drawn: below, there is no room for a patch; above, the scene would not fit into memory."""

MAX_GSD_M = 0.1
"""Above this ground sample distance nothing is left of the texture."""

NODATA = 255


@dataclass(frozen=True, slots=True)
class SimulatedSite:
    """The files of a simulated site.

    Attributes
    ----------
    image : pathlib.Path
        Orthomosaic, RGBA uint8; alpha is 0 outside the mosaic.
    truth : pathlib.Path
        The weed on the same grid, uint8: 1 weed, 0 none, 255 (nodata) outside the mosaic.
    weed : pathlib.Path
        GeoPackage with one layer, ``weed``: patches with their ``species`` and ``area_m2``.
    """

    image: Path
    truth: Path
    weed: Path


def simulate_site(
    folder: Path,
    *,
    name: str = "site",
    size_m: float = 40.0,
    gsd_m: float = 0.0125,
    weed_share: float = 0.08,
    seed: int = 0,
    crs: str = "EPSG:32612",
    origin: tuple[float, float] = BRIDGER_FOOTHILLS,
    progress: Progress = silent,
) -> SimulatedSite:
    """Write ``{name}.tif``, ``{name}_weed.tif`` and ``{name}_weed.gpkg`` into a folder.

    The same arguments give the same bytes. Another name or another seed gives another site.

    Parameters
    ----------
    folder : pathlib.Path
        Made if it is not there.
    name : str
        Letters, digits, ``_`` and ``-``.
    size_m : float
        Side of the square site in metres.
    gsd_m : float
        Ground sample distance in metres.
    weed_share : float
        Share of the mosaic's area for the weed, between 0 and 0.6. It covers about a tenth less, as it leaves gaps.
    seed : int
        0 or more.
    crs : str
        A projected CRS in metres.
    origin : tuple of float
        World (x, y) of the upper left corner.
    progress : Progress

    Raises
    ------
    InputError
        If an argument cannot serve; the message says what to pass.
    """
    grid = _site_grid(size_m, gsd_m, crs, origin)
    if slug(name) != name:
        raise InputError(f"{name!r} cannot name a site's files; pass letters, digits, '_' and '-', such as {slug(name)!r}")
    if not 0 < weed_share < 0.6:
        raise InputError(f"a weed share of {weed_share} cannot be drawn; pass one between 0 and 0.6, such as 0.08")
    if seed < 0:
        raise InputError(f"seed {seed} is negative; pass 0 or more")
    folder.mkdir(parents=True, exist_ok=True)
    site = SimulatedSite(folder / f"{name}.tif", folder / f"{name}_weed.tif", folder / f"{name}_weed.gpkg")
    with progress(f"simulating {name}", 4) as advance:
        scene = draw_scene(grid.width, gsd_m, weed_share, np.random.default_rng([seed, *name.encode()]))
        advance(1)
        _write_image(site.image, scene, grid)
        advance(1)
        truth = np.where(scene.valid, scene.weed.astype(np.uint8), np.uint8(NODATA))
        _write_tif(site.truth, truth[None], grid, nodata=NODATA)
        advance(1)
        write_geopackage(outline_patches(scene.weed, grid), site.weed, layer="weed")
        advance(1)
    return site


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
    return gpd.GeoDataFrame(columns, geometry=parts, crs=grid.crs.to_wkt() if grid.crs else None)


def _site_grid(size_m: float, gsd_m: float, crs: str, origin: tuple[float, float]) -> PixelGrid:
    if not 0 < gsd_m <= MAX_GSD_M:
        raise InputError(f"a ground sample distance of {gsd_m} m cannot be drawn; pass one up to {MAX_GSD_M} m, such as 0.0125")
    if not SMALLEST_PX <= size_m / gsd_m <= LARGEST_PX:
        raise InputError(
            f"a site of {size_m} m cannot be drawn at {gsd_m} m; "
            f"pass a size from {SMALLEST_PX * gsd_m:g} to {LARGEST_PX * gsd_m:g} m"
        )
    if not all(math.isfinite(value) for value in origin):
        raise InputError(f"an origin of {origin} is nowhere; pass the x and y of the upper left corner, in metres")
    parsed = parse_crs(crs)
    if not parsed.is_projected or parsed.linear_units_factor[1] != 1:
        raise InputError(f"{crs} does not measure the ground in metres; pass a projected CRS such as EPSG:32612")
    size_px = round(size_m / gsd_m)
    return PixelGrid(size_px, size_px, rasterio.Affine(gsd_m, 0, origin[0], 0, -gsd_m, origin[1]), parsed)


def _write_image(path: Path, scene: Scene, grid: PixelGrid) -> None:
    pixels = np.zeros((4, grid.height, grid.width), np.uint8)
    pixels[:3] = np.moveaxis(scene.rgb, -1, 0)
    pixels[:3, ~scene.valid] = 0
    pixels[3, scene.valid] = 255
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
