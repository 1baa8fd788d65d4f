"""What a map folder holds, made of the cells that the model has filled in.

geopandas, scipy and what comes with them are large and are not needed while the model runs: :mod:`spurgekit.maps.mapping`
imports this module when it is done.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.shutil import copy as copy_raster
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from spurgekit.classify.classifier import TileClassifier
from spurgekit.imagery import PixelGrid, name_crs
from spurgekit.imagery.mosaic import name_of
from spurgekit.imagery.quicklook import QuickLook
from spurgekit.imagery.site_picture import INK, Colour, SitePicture
from spurgekit.maps.areas import AreaEstimate, covered_area, occupied_areas
from spurgekit.maps.bands import BandLayout
from spurgekit.maps.colours import class_colour
from spurgekit.maps.extent import Extent
from spurgekit.maps.polygons import COLUMNS, LAYER, MEAN_COVER, presence_polygons, write_polygons
from spurgekit.maps.sliding_window import Cells
from spurgekit.maps.styles import store_vector_style
from spurgekit.maps.zones import ZoneAreas, add_zones, zone_areas
from spurgekit.progress import Progress, silent
from spurgekit.text import counted, shown

WHAT_THE_AREAS_MEAN = (
    "image_m2 is the ground of all valid pixels, mapped_m2 what was looked at of it. Occupied area is the ground of tiles "
    "(squares of support_m) that hold some of the class, as the labels had it: not what its leaves cover (cover, or infested "
    "area), which is less, but what NAISMA calls gross area. It is the same question whatever the cells: smaller ones draw "
    "finer outlines around the same tiles. counted_m2 is as the map has it; estimate_m2 allows for the errors in held-out "
    "places (Rogan and Gladen 1978), unclear ground included, as far as these errors are known: where little is known, it "
    "stays near what was counted. low_m2 to high_m2 is its 95 % interval, for a site that moves the threshold as other sites "
    "do, and whose places differ from the tested ones as these do from one another."
)

MAX_SHADE = 120
"""Opacity of a cell on the quick look whose class is certain, of 255."""


WHAT_AN_AREA_OF_INTEREST_MEANS = (
    " All of this is of the area of interest alone, that is of the cells whose centre lies in it; aoi_m2 is the ground of its "
    "polygons, on the image or not."
)

WHAT_ZONES_MEAN = (
    " Of zones area_m2 is the ground of their polygons, mapped_m2 what was looked at of the cells whose centre lies in them. "
    "Each zone is counted on its own, so that ground in several counts in each; its interval is for the zone alone, wide where "
    "the zone is small, and the ends of zones' intervals do not add up to those of the whole."
)

ZONE: Colour = (255, 225, 77)
MOST_LABELS = 40
"""Zones that the picture still names."""

LABEL_SIZE = 1 / 50
"""Height of their names, in sides of the picture."""


@dataclass(frozen=True, slots=True)
class Areas:
    """The areas of a map.

    Attributes
    ----------
    occupied : dict of AreaEstimate by class
        Of each class but the background.
    cover : dict of AreaEstimate by class
        The same; empty where the model does not tell cover.
    """

    occupied: dict[str, AreaEstimate]
    cover: dict[str, AreaEstimate]


@dataclass(frozen=True, slots=True)
class Products:
    """What was written of a map.

    Attributes
    ----------
    areas : Areas
    zones : dict of ZoneAreas by name
    polygons : int
        How many there are.
    notes : tuple of str
        What is to be said of the zones.
    """

    areas: Areas
    zones: dict[str, ZoneAreas]
    polygons: int
    notes: tuple[str, ...]


def write_products(
    folder: Path,
    cells: Cells,
    extent: Extent,
    strips: Path,
    look: QuickLook,
    layout: BandLayout,
    classifier: TileClassifier,
    unlike_m2: float | None = None,
    progress: Progress = silent,
) -> Products:
    """Write ``presence.tif`` (COG), ``presence.gpkg``, ``summary.json``, ``presence.png`` and styles for QGIS.

    Parameters
    ----------
    folder : pathlib.Path
    cells : Cells
    extent : Extent
        The area of interest and the zones.
    strips : pathlib.Path
        GeoTIFF of all bands; it becomes the COG.
    look : QuickLook
        Of the image.
    layout : BandLayout
        Of ``strips``.
    classifier : TileClassifier
    unlike_m2 : float, optional
        Mapped ground that is unlike the training tiles, where that is known.
    progress : Progress
    """
    model = classifier.info
    write_cog(strips, folder / "presence.tif")
    summaries = _summarise(strips, layout)
    strips.unlink()
    _write_styles(folder, layout)
    mean = MEAN_COVER if model.target == "cover" else list(COLUMNS)[-1]
    polygons = presence_polygons(cells.predicted, cells.said, cells.valid, cells.grid, model.classes, mean=mean)
    write_polygons(polygons, folder / "presence.gpkg")
    areas, zones, notes = _areas(cells, classifier), dict[str, ZoneAreas](), tuple[str, ...]()
    if extent.zones:
        zones, notes = zone_areas(cells, extent.zones, lambda own: _areas(own, classifier), progress)
        add_zones(folder / "presence.gpkg", cells.grid, extent.zones, zones, areas)
    store_vector_style(folder / "presence.gpkg", LAYER, model.classes)
    made = Products(areas, zones, len(polygons), notes)
    _write_summary(folder, cells, extent, made, classifier, summaries, unlike_m2)
    _draw(folder / "presence.png", cells, extent, look, polygons, areas)
    return made


def _areas(cells: Cells, classifier: TileClassifier) -> Areas:
    """Return the ground of the tiles of each class but the background, and what is covered of it.

    Each cell is of the class of the tile around it, so that with cells smaller than a tile, tiles in as many positions are
    counted: the area stays that of tiles, and is known better.
    """
    classes, place_m2 = classifier.info.classes, classifier.info.held_out.place_m2
    counted = [cells.ground_m2(cells.around == i) for i in range(len(classes))]
    site_places = cells.mapped_m2 / place_m2 if place_m2 else 1.0
    estimates = occupied_areas(counted, classifier.held_out, site_places=site_places, tile_m2=cells.support_m**2)
    occupied = dict(list(zip(classes, estimates, strict=True))[1:])
    if classifier.info.target != "cover":
        return Areas(occupied, {})
    cover = [cells.ground_m2(cells.around == i, weights=cells.said) for i in range(len(classes))]
    covered = covered_area(counted, cover, classifier.held_out_tiles, classifier.info, site_places=site_places)
    return Areas(occupied, {classes[1]: covered})


def _summarise(strips: Path, layout: BandLayout) -> dict[str, dict[str, Any]]:
    """Return what bands have to say of themselves as a whole."""
    summaries = {}
    with rasterio.open(strips) as file:
        for band in layout.bands:
            if band.summary is not None:
                channels = layout.channels(band.name)
                values = file.read(list(range(channels.start + 1, channels.stop + 1)))
                summaries[band.name] = dict(band.summary(values))
    return summaries


def _write_styles(folder: Path, layout: BandLayout) -> None:
    """Write the style of each band that has one; QGIS takes the first when it opens the map, the others are there to choose."""
    styles = [(band.name, band.style) for band in layout.bands if band.style is not None]
    for number, (name, write) in enumerate(styles):
        file = "presence.qml" if number == 0 else f"presence_{name}.qml"
        write(folder / file, layout.channels(name).start + 1, layout.classes)


def _write_summary(
    folder: Path,
    cells: Cells,
    extent: Extent,
    made: Products,
    classifier: TileClassifier,
    bands: dict[str, dict[str, Any]],
    unlike_m2: float | None,
) -> None:
    model, areas, aoi_m2 = classifier.info, made.areas, extent.aoi_m2
    summary = {
        "schema_version": 3,
        "images": cells.images,
        "crs": name_crs(cells.grid.crs),
        "cell_m": round(cells.grid.gsd_m, 6),
        "support_m": round(cells.support_m, 6),
        **({} if aoi_m2 is None else {"aoi_m2": round(aoi_m2, 3)}),
        "image_m2": round(cells.image_m2, 3),
        "mapped_m2": round(cells.mapped_m2, 3),
        "occupied": _rounded(areas.occupied),
        **({"cover": _rounded(areas.cover)} if areas.cover else {}),
        **({"zones": {name: _of_zone(zone) for name, zone in made.zones.items()}} if made.zones else {}),
        "polygons": made.polygons,
        "views": model.views,
        "precision": classifier.precision,
        "runtime": classifier.runtime,
        "prevalence": classifier.prevalence,
        **({"moved_to_site": dataclasses.asdict(classifier.shift)} if classifier.shift else {}),
        "held_out_balanced_accuracy": model.held_out.balanced_accuracy,
        **({} if unlike_m2 is None else {"unlike_training_m2": round(unlike_m2, 3)}),
        "held_out_places": len(classifier.held_out.counts),
        **({"bands": bands} if bands else {}),
        "what_the_areas_mean": WHAT_THE_AREAS_MEAN
        + ("" if aoi_m2 is None else WHAT_AN_AREA_OF_INTEREST_MEANS)
        + (WHAT_ZONES_MEAN if made.zones else ""),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8", newline="\n")


def _of_zone(zone: ZoneAreas) -> dict[str, Any]:
    return {
        "area_m2": round(zone.area_m2, 3),
        "mapped_m2": round(zone.mapped_m2, 3),
        "occupied": _rounded(zone.occupied),
        **({"cover": _rounded(zone.cover)} if zone.cover else {}),
    }


def _rounded(areas: dict[str, AreaEstimate]) -> dict[str, dict[str, float]]:
    return {name: {k: round(v, 3) for k, v in area.model_dump().items()} for name, area in areas.items()}


def _draw(path: Path, cells: Cells, extent: Extent, look: QuickLook, polygons: gpd.GeoDataFrame, areas: Areas) -> None:
    occupied = areas.occupied
    rows, cols = _nearest(look.grid, cells.grid)
    look.hide(~extent.mask.inside[np.ix_(rows, cols)])
    picture = SitePicture(look, f"{name_of(cells.images)}: {' and '.join(occupied)} on a grid of {cells.grid.gsd_m:.2f} m")
    classes, certain = cells.predicted[np.ix_(rows, cols)], cells.said[np.ix_(rows, cols)]
    shade = np.zeros((*classes.shape, 4), np.uint8)
    for number, (name, of_class) in enumerate(occupied.items(), start=1):
        mine = classes == number
        shade[mine, :3] = class_colour(number)
        shade[mine, 3] = (MAX_SHADE * certain[mine]).astype(np.uint8)
        picture.legend(
            class_colour(number),
            f"{name}: tiles of {of_class.counted_m2:,.1f} of {cells.mapped_m2:,.0f} m2 mapped; {of_class.corrected()}",
        )
    for name, covered in areas.cover.items():
        picture.legend(class_colour(1), f"{name}: covers {covered.counted_m2:,.1f} m2; {covered.corrected()}")
    shade[~look.seen] = 0  # cells at the rim reach outside the mosaic
    picture.paint(shade)
    for number, name in enumerate(occupied, start=1):
        picture.outline(rings_of(polygons.geometry[(polygons["class"] == name).to_numpy()]), class_colour(number), width=1)
    _outline_extent(picture, extent)
    picture.save(path)


def _outline_extent(picture: SitePicture, extent: Extent) -> None:
    """Draw the area of interest, and the zones with their names."""
    frame = extent.cells.footprint()
    if extent.aoi is not None:
        picture.outline(rings_of([extent.aoi & frame]), INK)
        picture.legend(INK, "area of interest", "ring")
    if not extent.zones:
        return
    seen = [zone for zone in extent.zones if zone.mask is not None]
    outlines = [zone.ground & frame for zone in seen]
    picture.outline(rings_of(outlines), INK, width=3)  # yellow would be lost on white
    picture.outline(rings_of(outlines), ZONE, width=1)
    picture.legend(ZONE, counted(len(seen), "zone"), "ring")
    west, south, east, north = frame.bounds
    for zone, outline in zip(seen[:MOST_LABELS], outlines, strict=False):
        point = outline.representative_point()
        picture.label((point.x, point.y), shown(zone.name, quotes=False), LABEL_SIZE * max(east - west, north - south))


def write_cog(strips: Path, path: Path) -> None:
    """Write a GeoTIFF of floats as a Cloud Optimized GeoTIFF, with overviews."""
    copy_raster(
        strips, path,
        driver="COG", compress="deflate", predictor="yes", overview_resampling="average", num_threads="all_cpus",
    )  # fmt: skip


def rings_of(shapes: Iterable[BaseGeometry]) -> list[NDArray[np.float64]]:
    """Return the rings of polygons, of outlines and of holes, each of shape (points, 2)."""
    parts = shapely.get_parts(shapely.get_parts(list(shapes)))
    polygons = (part for part in parts if isinstance(part, Polygon))
    return [shapely.get_coordinates(ring) for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]


def _nearest(look: PixelGrid, cells: PixelGrid) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and the column of the cell below each row and column of a picture; both grids share their corner."""
    factor = look.gsd_m / cells.gsd_m
    rows = np.minimum(((np.arange(look.height) + 0.5) * factor).astype(int), cells.height - 1)
    cols = np.minimum(((np.arange(look.width) + 0.5) * factor).astype(int), cells.width - 1)
    return rows, cols
