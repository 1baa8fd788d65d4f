"""Lists of markers: as GeoPackage or GeoJSON for a GIS, as CSV or JSON for a program, as ground control points for ODM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from rasterio.crs import CRS

from spurgekit.errors import InputError, OutputExistsError
from spurgekit.imagery import PixelGrid, Raster
from spurgekit.imagery.quicklook import QuickLook, quick_look
from spurgekit.imagery.site_picture import Colour, SitePicture
from spurgekit.markers.detection import find_markers
from spurgekit.markers.gcp_transform import Pair
from spurgekit.markers.marker import Marker, MarkerDetector
from spurgekit.outputs import output_file
from spurgekit.progress import Progress, silent
from spurgekit.vectors import write_geopackage

LAYER = "markers"
SUFFIXES = (".gpkg", ".geojson", ".csv", ".json", ".txt")

LIKELY: Colour = (255, 225, 77)
DOUBTFUL: Colour = (255, 127, 14)
LIKELY_SCORE = 0.5


def tabulate(markers: Sequence[Marker], grid: PixelGrid) -> gpd.GeoDataFrame:
    """Return a table of markers.

    Parameters
    ----------
    markers : sequence of Marker
    grid : PixelGrid
        Of the image that they were found in.

    Returns
    -------
    geopandas.GeoDataFrame
        Columns marker (counted from 1), family, id (of coded markers), size_m, score, col, row (pixels), x, y (world) and the
        point in the CRS of the image.
    """
    x, y = grid.to_world([m.col for m in markers], [m.row for m in markers])
    table = pd.DataFrame(
        {
            "marker": range(1, len(markers) + 1),
            "family": pd.array([m.family for m in markers], dtype="str"),
            "id": pd.array([m.id for m in markers], dtype="Int64"),
            "size_m": [round(m.size_m, 4) for m in markers],
            "score": [round(m.score, 4) for m in markers],
            "col": [round(m.col, 3) for m in markers],
            "row": [round(m.row, 3) for m in markers],
            "x": x,
            "y": y,
        }
    )
    return gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(x, y), crs=grid.crs.to_wkt() if grid.crs else None)


def with_known_points(table: gpd.GeoDataFrame, pairs: Sequence[Pair], gsd_m: float) -> gpd.GeoDataFrame:
    """Return a table of markers with the known point that each stands on: known, known_x, known_y, known_z, residual_cm.

    Without pairs, the table itself.
    """
    if not pairs or table.empty:
        return table
    told: dict[int, Pair] = {}
    for pair in pairs:
        apart_px = np.hypot(table["col"] - pair.marker.col, table["row"] - pair.marker.row)
        if apart_px.min() <= pair.marker.size_m / gsd_m / 2:
            told[int(apart_px.argmin())] = pair
    table = table.copy()
    at = [told.get(k) for k in range(len(table))]
    table["known"] = pd.array([pair.known.name if pair else None for pair in at], dtype="str")
    table["known_x"] = [pair.known.x if pair else None for pair in at]
    table["known_y"] = [pair.known.y if pair else None for pair in at]
    table["known_z"] = pd.array([pair.known.z if pair else None for pair in at], dtype="Float64")
    table["residual_cm"] = [round(pair.residual_cm, 2) if pair else None for pair in at]
    return table


def check_list(path: Path, *, overwrite: bool) -> None:
    """Refuse a file name that says no format, or a file that is there.

    Raises
    ------
    InputError
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: a list of markers ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} (ODM's control points)"
        )
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists; pass --overwrite to replace it, or another --out")


def write_list(table: gpd.GeoDataFrame, path: Path, *, image: str, crs: CRS | None) -> None:
    """Write a table of markers in the format that the file's name ends in; it appears whole or not at all.

    ``.txt`` is ODM's ``gcp_list.txt``: the CRS, then x, y, z, pixel column, pixel row, image and name of each point; z is 0,
    since an image from above does not tell it.
    """
    with output_file(path) as part:
        if path.suffix.lower() == ".gpkg":
            write_geopackage(table, part, layer=LAYER, geometry_type="Point")
        elif path.suffix.lower() == ".geojson":
            placed = table.to_crs("EPSG:4326") if table.crs is not None else table
            part.write_text(placed.to_json(drop_id=True) + "\n", encoding="utf-8")  # RFC 7946: in degrees
        elif path.suffix.lower() == ".csv":
            pd.DataFrame(table.drop(columns="geometry")).to_csv(part, index=False)
        elif path.suffix.lower() == ".json":
            rows = [
                {k: v for k, v in row.items() if not pd.isna(v)} for row in table.drop(columns="geometry").to_dict("records")
            ]
            part.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        else:
            part.write_text(_control_points(table, image, crs), encoding="utf-8")


def draw_list(table: gpd.GeoDataFrame, path: Path, look: QuickLook, title: str) -> None:
    """Draw the markers on the image: rings with the numbers of the list, doubtful ones in another colour."""
    picture = SitePicture(look, title)
    likely = table["score"].to_numpy() >= LIKELY_SCORE
    places = table[["x", "y"]].to_numpy()
    height = max(0.7 * float(table["size_m"].median()) / look.grid.metres_per_unit, 0.0) if len(table) else 0.0
    for mine, colour, what in ((likely, LIKELY, "markers"), (~likely, DOUBTFUL, f"doubtful ones (score below {LIKELY_SCORE})")):
        if mine.any():
            picture.points(places[mine], colour, radius=9, filled=False)
            picture.legend(colour, f"{mine.sum():,} {what}", mark="ring")
    unit = look.grid.gsd_m / look.grid.metres_per_unit
    for number, (x, y) in zip(table["marker"], places, strict=True):
        picture.label((x + 22 * unit, y), str(number), height)
    with output_file(path) as part:
        picture.save(part)


def _control_points(table: gpd.GeoDataFrame, image: str, crs: CRS | None) -> str:
    if crs is None or table.crs is None:
        raise InputError(f"{image} has no CRS, so its markers have no coordinates for ODM; pass --crs, or list them as CSV")
    code = crs.to_authority()
    lines = [":".join(code) if code else crs.to_proj4()]
    for row in table.itertuples():
        name, x, y, z = f"{row.family}-{row.marker if pd.isna(row.id) else row.id}", row.x, row.y, 0.0
        if "known_x" in table:
            if pd.isna(row.known_x):
                continue  # its coordinates follow from the others', so that it is no control point
            name, x, y, z = row.known or name, row.known_x, row.known_y, 0.0 if pd.isna(row.known_z) else row.known_z
        lines.append(f"{x:.4f}\t{y:.4f}\t{z:.4f}\t{row.col:.2f}\t{row.row:.2f}\t{image}\t{name}")
    return "\n".join(lines) + "\n"


def list_markers(
    raster: Raster,
    detector: MarkerDetector,
    out: Path,
    *,
    min_score: float = LIKELY_SCORE,
    known: Sequence[Marker] | None = None,
    pairs: Sequence[Pair] = (),
    progress: Progress = silent,
) -> gpd.GeoDataFrame:
    """Find the markers of an image, write the list and, beside it, a picture (``.png``); return the table.

    Of an image that was georeferenced by markers on known points, the list says which marker stands on which point.

    Parameters
    ----------
    raster : Raster
    detector : MarkerDetector
    out : pathlib.Path
        The list to write.
    min_score : float
        Markers of a lower score are not listed.
    known : sequence of Marker, optional
        Those that were found in the image already.
    pairs : sequence of Pair
        Which of them stand on which known points.
    """
    if known is None:
        look = QuickLook(raster)
        found: Sequence[Marker] = find_markers(raster, detector, watch=look.watch, progress=progress)
    else:
        look, found = quick_look(raster, progress=progress), known
    markers = [marker for marker in found if marker.score >= min_score]
    table = with_known_points(tabulate(markers, raster.grid), pairs, raster.gsd_m)
    write_list(table, out, image=raster.path.name, crs=raster.grid.crs)
    title = f"{raster.path.name}: {len(markers):,} {detector.family} markers of {detector.size_m:g} m"
    draw_list(table, out.with_suffix(".png"), look, title)
    return table
