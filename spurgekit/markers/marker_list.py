"""Lists of markers: as GeoPackage or GeoJSON for a GIS, as CSV or JSON for a program, as ground control points for ODM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from rasterio.crs import CRS

from spurgekit.errors import InputError, OutputExistsError, renamed
from spurgekit.image_names import ImageName, image_name
from spurgekit.imagery import PixelGrid, name_crs, open_raster
from spurgekit.imagery.crs import EARTH, doubtful_shift, has_place
from spurgekit.imagery.quicklook import QuickLook, quick_look
from spurgekit.imagery.site_picture import Colour, SitePicture, is_site_picture
from spurgekit.markers.detection import find_markers, size_hint
from spurgekit.markers.families import FAMILIES
from spurgekit.markers.gcp_placement import place_by_markers
from spurgekit.markers.gcp_transform import Pair
from spurgekit.markers.marker import Marker
from spurgekit.markers.marker_options import MarkerOptions
from spurgekit.outputs import check_files, output_file
from spurgekit.parallel import cores
from spurgekit.progress import Progress, silent
from spurgekit.vector_formats import VECTOR_FORMATS
from spurgekit.vectors import split_layer

LAYER = "markers"
GCP_LIST = ".txt"
"""Suffix of ODM's list of ground control points, which is a format for markers alone."""

LIKELY: Colour = (255, 225, 77)
DOUBTFUL: Colour = (255, 127, 14)
LIKELY_SCORE = 0.5


@dataclass(frozen=True, slots=True)
class MarkersReport:
    """The markers of an image.

    Attributes
    ----------
    markers : tuple of Marker
    table : geopandas.GeoDataFrame
        Of them; see :func:`tabulate` and :func:`with_known_points`.
    grid : PixelGrid
        Of the image.
    family : str
        Of which they are.
    size_m : float
        What was looked for: side or diameter in metres.
    file, picture : pathlib.Path, optional
        What was written.
    notes : tuple of str
        What a user should know.
    hint : str
        Where none was found: what may be the reason.
    """

    markers: tuple[Marker, ...]
    table: gpd.GeoDataFrame
    grid: PixelGrid
    family: str
    size_m: float
    file: Path | None
    picture: Path | None
    notes: tuple[str, ...]
    hint: str = ""


def list_markers(
    image: str | Path,
    out: str | Path | None = None,
    options: MarkerOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> MarkersReport:
    """Find the ground markers in an orthomosaic or a nadir frame, list them and draw them.

    Parameters
    ----------
    image : str or pathlib.Path
        By its path, or by another name that GDAL reads, such as an address.
    out : str or pathlib.Path, optional
        The list to write: ``.gpkg``, ``.geojson``, ``.csv``, ``.json``, or ``.txt`` (ODM). A picture of the same name shows the
        markers on the image. By default nothing is written.
    options : MarkerOptions, optional
    overwrite : bool
        Replace a list that is there.
    progress : Progress

    Returns
    -------
    MarkersReport

    Raises
    ------
    InputError
        If the list's name ends in no format, or options do not fit.
    ImageryError
        If the image cannot be read, or says nothing of its scale.
    OutputExistsError
        If the list is there already.

    Examples
    --------
    >>> found = list_markers("site.tif", "markers.gpkg", MarkerOptions(family="checker"))  # doctest: +SKIP
    >>> found.table[["marker", "score", "x", "y"]]  # doctest: +SKIP
    """
    options, file = options or MarkerOptions(), None if out is None else Path(out)
    if file is not None:
        check_list(file, [image_name(image), *([split_layer(options.gcp)[0]] if options.gcp else [])], overwrite=overwrite)
    family, size_m = options.marker_family, options.marker_side_m
    detector = FAMILIES[family].detector(size_m, ids=options.marker_ids, color=options.marker_color)
    opened = partial(
        open_raster,
        image,
        image_crs=options.image_crs,
        image_gsd_m=options.image_gsd_m,
        nodata=options.nodata,
        threads=cores(),
    )
    placed = None
    if options.gcp is not None:
        with renamed(declared_crs="gcp_crs"):
            placed = place_by_markers(
                lambda grid: opened(grid=grid),
                detector,
                options.gcp,
                crs=options.crs,
                declared_crs=options.gcp_crs,
                progress=progress,
            )
    with opened(crs=options.crs, grid=placed.grid if placed else None) as raster:
        if file is not None and raster.gsd_m:  # which refuses an image that does not measure the ground
            check_places(file, raster.path.name, raster.grid.crs)
        found: Sequence[Marker] | None = placed.markers if placed else None
        if found is None:
            look = QuickLook(raster)
            found = find_markers(raster, detector, watch=look.watch, progress=progress)
        else:
            look = quick_look(raster, progress=progress)
        markers, grid = tuple(marker for marker in found if marker.score >= options.min_score), raster.grid
        table = with_known_points(tabulate(markers, raster.grid), placed.georeference.pairs if placed else (), raster.gsd_m)
        if file is not None:
            write_list(table, file, image=raster.path.name, crs=raster.grid.crs)
            title = f"{raster.path.name}: {len(markers):,} {family} markers of {size_m:g} m"
            draw_list(table, file.with_suffix(".png"), look, title)
        degrees = _degrees_note(file, raster.grid) if file is not None else ()
        notes = (*(placed.notes if placed else ()), *raster.notes, *degrees)
        hint = "" if markers else size_hint(raster, family, size_m, options.marker_color)
    return MarkersReport(markers, table, grid, family, size_m, file, file and file.with_suffix(".png"), notes, hint)


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


def check_list(path: Path, inputs: Iterable[ImageName], *, overwrite: bool) -> None:
    """Refuse a file name that says no format, or of which the list or its picture would replace what they must not.

    Raises
    ------
    InputError
    """
    if path.suffix.lower() not in (*VECTOR_FORMATS, GCP_LIST):
        raise InputError(f"{path}: a list of markers ends in {', '.join(VECTOR_FORMATS)} or {GCP_LIST} (ODM's control points)")
    picture, inputs = path.with_suffix(".png"), list(inputs)
    is_ours = picture.exists() and is_site_picture(picture)
    if path.is_file() and not is_ours:
        raise OutputExistsError(
            f"{path} exists already, and may be no list of spurgekit's, as no picture of its lies beside it; pass another `out`"
        )
    check_files(path, inputs=inputs, overwrite=overwrite)
    check_files(picture, inputs=inputs, overwrite=True)
    if picture.exists() and not is_ours:
        raise OutputExistsError(f"{picture}, where the picture goes, was not drawn by spurgekit; pass another `out`")


def check_places(path: Path, image: str, crs: CRS | None) -> None:
    """Refuse a format that holds places on Earth for markers that have none.

    Raises
    ------
    InputError
    """
    if (path.suffix.lower() == GCP_LIST or VECTOR_FORMATS[path.suffix.lower()].in_degrees) and not has_place(crs):
        raise InputError(
            f"{path}: {path.suffix} holds places on Earth, and {image} is in {name_crs(crs)}, which has none; "
            "list its markers as .gpkg or .csv, or georeference it, e.g. by `gcp`"
        )


def _degrees_note(path: Path, grid: PixelGrid) -> tuple[str, ...]:
    """Return what is to be said of how well markers are known in a list that is in degrees."""
    if path.suffix.lower() == GCP_LIST or not VECTOR_FORMATS[path.suffix.lower()].in_degrees or grid.crs is None:
        return ()
    x, y = (float(value) for value in grid.to_world(grid.width / 2, grid.height / 2))
    shift = doubtful_shift(grid.crs, EARTH, x, y, pixel_m=grid.gsd_m)
    return (f"{path.name}: {shift}",) if shift else ()


def write_list(table: gpd.GeoDataFrame, path: Path, *, image: str, crs: CRS | None) -> None:
    """Write a table of markers in the format that the file's name ends in; it appears whole or not at all.

    ``.txt`` is ODM's ``gcp_list.txt``: the CRS, then x, y, z, pixel column, pixel row, image and name of each point; z is 0,
    since an image from above does not tell it.
    """
    with output_file(path) as part:
        if path.suffix.lower() == GCP_LIST:
            part.write_text(_control_points(table, image, crs), encoding="utf-8", newline="\n")
        else:
            VECTOR_FORMATS[path.suffix.lower()].write(table, part, LAYER)


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
        raise InputError(f"{image} has no CRS, so its markers have no coordinates for ODM; pass `crs`, or list them as CSV")
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
