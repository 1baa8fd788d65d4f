"""Files for phones that have no network, and for QGIS and QField: a page, tiles, and a project."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import geopandas as gpd
import rasterio
import shapely
from pydantic import ValidationError
from rasterio.enums import ColorInterp
from rasterio.shutil import copy as copy_raster

from spurgekit.errors import InputError
from spurgekit.export.drawing import draw_cells
from spurgekit.export.export_options import ExportOptions
from spurgekit.export.kml import DECIMALS
from spurgekit.export.map_folder import MapPolygons
from spurgekit.export.mbtiles import WEB_MERCATOR, write_mbtiles
from spurgekit.export.page import PAGE, page_of, tiles_of
from spurgekit.export.patches import Patches
from spurgekit.export.picture import Picture, picture_of
from spurgekit.export.qgis_project import Layer, write_project
from spurgekit.export.reviewed import COLUMNS
from spurgekit.imagery.crs import EARTH, to_pyproj
from spurgekit.imagery.raster import slug
from spurgekit.imagery.site_picture import Colour
from spurgekit.maps.areas import AreaEstimate
from spurgekit.maps.colours import class_colour
from spurgekit.maps.map_folder import RASTER, REMEDY, SUMMARY
from spurgekit.maps.styles import store_vector_style, vector_style
from spurgekit.vectors import write_geopackage

PATCHES, IMAGE, LAYER = "patches.gpkg", "image.tif", "patches"
TO_FILL_IN = (*COLUMNS, "note")
"""Columns for the crew; with a label, what somebody saw can be recorded (``--for records``)."""

MB = 1e6
QUALITIES = (80, 65)
"""Of the page's tiles, of 100, tried one after the other before the picture is made coarser."""

QUALITY = 80
MOST_PX = 48e6
"""Of a picture, which is held in memory."""

COARSER = 0.9
"""Share of the pixels that is tried next, at most: coarser pictures take more bytes a pixel."""


def write_for_phone(folder: Path, found: MapPolygons, patches: Patches, options: ExportOptions) -> dict[str, Any]:
    """Write ``map.html``, tiles (``.mbtiles``), and a project of QGIS with the files that it shows.

    Parameters
    ----------
    folder : pathlib.Path
    found : MapPolygons
    patches : Patches
    options : ExportOptions

    Returns
    -------
    dict
        For the summary: the picture, and the size of each file.

    Raises
    ------
    InputError
        If the image that is named does not show the map, or the page cannot be as small as was asked for.
    """
    known = tuple(found.summary.occupied)
    colours = {name: class_colour(known.index(name) + 1) for name in found.classes if (patches.rows["class"] == name).any()}
    picture, page = _page(found, patches, options, colours)
    (folder / PAGE).write_text(page, encoding="utf-8", newline="\n")
    name = slug(found.name)
    on_world = patches.to_crs(to_pyproj(WEB_MERCATOR))
    tiles = write_mbtiles(
        folder / f"{name}.mbtiles", picture, name=found.name, description=" and ".join(colours), quality=QUALITY,
        draw=partial(draw_cells, cells=on_world.cells, classes=on_world.rows["class"], colours=colours),
    )  # fmt: skip
    _write_patches(folder / PATCHES, patches, known)
    shutil.copyfile(found.folder / RASTER, folder / RASTER)
    if picture.image is not None:
        _write_image(folder / IMAGE, picture)
    write_project(
        folder / f"{name}.qgs", found.name, _layers(found, picture, patches, known), found.grid.crs,
        shapely.GeometryCollection([found.grid.footprint()]).bounds,
    )  # fmt: skip
    grid, native = picture.grid, picture.native_gsd_m
    coarser = grid.gsd_m > 1.001 * native
    sizes = f"{100 * grid.gsd_m:.2g} cm a pixel, not {100 * native:.2g}"
    note = f"the picture has {sizes}: {PAGE} is to have at most {options.page_mb:g} MB, and {MOST_PX / 1e6:g} million pixels"
    return {
        "picture": {
            "image": picture.image,
            "width": grid.width,
            "height": grid.height,
            "cm_a_pixel": round(100 * grid.gsd_m, 3),
            "zooms": tiles.zooms,
        },
        "bytes": {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if not path.name.startswith(".")},
        "notes": [*picture.notes, *([note] if coarser and picture.image else [])],
    }


def _page(found: MapPolygons, patches: Patches, options: ExportOptions, colours: Mapping[str, Colour]) -> tuple[Picture, str]:
    """Return the finest picture of which the page is small enough, and the page."""
    areas = {name: _areas(found, name) for name in colours}
    most_bytes, most_px = int(options.page_mb * MB), MOST_PX
    while True:
        picture = picture_of(found, options.imagery, most_px)
        bare = len(page_of(found.name, picture, patches, colours, areas, {}).encode())
        if bare >= most_bytes:
            raise InputError(
                f"the page has {bare / MB:.1f} MB without any picture; pass a larger `page_mb`, "
                "or a larger `join_m` for fewer patches"
            )
        for quality in QUALITIES:
            tiles = tiles_of(picture.rgba, quality)
            size = sum(len(name) + len(tile) + 6 for name, tile in tiles.items())
            if bare + size <= most_bytes:
                return picture, page_of(found.name, picture, patches, colours, areas, tiles)
        most_px = COARSER * picture.grid.width * picture.grid.height * min(1.0, (most_bytes - bare) / size)


def _areas(found: MapPolygons, name: str) -> list[tuple[str, AreaEstimate]]:
    """Return the areas of a class on the whole site, by what they are of."""
    said = (("Occupied", found.summary.occupied), ("Covered", found.summary.cover))
    try:
        return [(what, AreaEstimate.model_validate(areas[name])) for what, areas in said if name in areas]
    except ValidationError as error:
        raise InputError(f"{found.folder / SUMMARY} does not say the areas of {name}; {REMEDY}") from error


def _write_patches(path: Path, patches: Patches, known: tuple[str, ...]) -> None:
    """Write patches for people to fill in, in the CRS of the map."""
    places = patches.centres.to_crs(EARTH.to_wkt())
    outlines = [shapely.MultiPolygon(shapely.get_parts(shape).tolist()) for shape in patches.rows.geometry]
    rows = patches.rows.drop(columns="geometry").assign(
        longitude=places.x.round(DECIMALS), latitude=places.y.round(DECIMALS), **dict.fromkeys(TO_FILL_IN, "")
    )
    write_geopackage(
        gpd.GeoDataFrame(rows, geometry=outlines, crs=patches.rows.crs), path, layer=LAYER, geometry_type="MultiPolygon"
    )
    store_vector_style(path, LAYER, ("", *known))


def _write_image(path: Path, picture: Picture) -> None:
    """Write the picture as a cloud-optimised GeoTIFF with JPEG inside, on its own grid."""
    rgba, grid, raw = picture.rgba, picture.grid, path.with_name(".image.tif")
    with rasterio.open(
        raw, "w", driver="GTiff", width=grid.width, height=grid.height, count=4, dtype="uint8", crs=grid.crs,
        transform=grid.transform, tiled=True, bigtiff="if_safer",
    ) as file:  # fmt: skip
        file.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
        for band in range(4):
            file.write(rgba[..., band], band + 1)
    copy_raster(raw, path, driver="COG", compress="jpeg", quality=QUALITY, overview_resampling="average")
    raw.unlink()


def _layers(found: MapPolygons, picture: Picture, patches: Patches, known: tuple[str, ...]) -> list[Layer]:
    """Return the layers of the project, the topmost first."""
    crs = found.grid.crs
    style = _pipe(found.folder / "presence.qml")
    layers = [
        Layer(
            name="Patches", kind="vector", source=f"{PATCHES}|layername={LAYER}", crs=crs, style=vector_style(("", *known)),
            label="name", choices={"label": ("", *known, "none")},
            fixed=(*(column for column in patches.rows if column != "geometry"), "longitude", "latitude"),
        ),
        Layer(name="Probability", kind="raster", source=RASTER, crs=crs, style=style, shown=False),
    ]  # fmt: skip
    if picture.image is not None:
        layers.append(Layer(name=picture.image, kind="raster", source=IMAGE, crs=picture.grid.crs))
    return layers


def _pipe(path: Path) -> str | None:
    """Return how a style of a map draws it, without what else a style may do; None where there is no style."""
    try:
        pipe = ET.parse(path).find("pipe")
    except (OSError, ET.ParseError):
        return None
    return None if pipe is None else f"<qgis>{ET.tostring(pipe, encoding='unicode')}</qgis>"
