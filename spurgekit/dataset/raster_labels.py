"""Labels for tiles from a raster of class codes: a mask that was painted, or a segmentation of the imagery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from spurgekit.dataset.labels import Labels
from spurgekit.dataset.reader import UNKNOWN
from spurgekit.dataset.shape_labels import by_cover
from spurgekit.dataset.tile_masks import Mask
from spurgekit.errors import ImageryError, InputError
from spurgekit.image_names import image_name
from spurgekit.imagery import PixelGrid, Window, parse_crs
from spurgekit.imagery.categories import read_categories
from spurgekit.imagery.crs import has_place, points_in
from spurgekit.imagery.limits import check_window
from spurgekit.imagery.opening import TIFF, decoding_error, open_image
from spurgekit.text import counted, listed, shown
from spurgekit.tiles.index import footprint_corners
from spurgekit.tiles.rectify import apply_homography, homography_of_square, is_convex
from spurgekit.vectors import DAMAGED, GEOPARQUET, TABLES, WORKBOOKS, brought, split_layer

LEAST_KNOWN = 0.5
"""Share of a tile's pixels whose class has to be known for the tile to have one, and a cover."""

ALPHA = 128
"""From which value on a mask says that a pixel is there: half of the range of an alpha band."""

COARSER = 1.1
"""From how many pixels of a tile along a side of one of the raster on that is said."""

NO_CODES = "codes of classes are whole numbers; make such a raster of it"

FEW = 6
"""Names and codes that a message lists."""


def is_raster(path: Path) -> bool:
    """Whether a file of labels is a raster, rather than points, polygons or a table."""
    file, layer = split_layer(path)
    if layer is not None or file.suffix.lower() in (*TABLES, *GEOPARQUET, *WORKBOOKS):
        return False
    with suppress(OSError), file.open("rb") as opened:
        if opened.read(4) in TIFF:
            return True
    with suppress(*DAMAGED):
        if len(pyogrio.list_layers(file)):
            return False
    with suppress(ImageryError), open_image(image_name(path), 1):
        return True
    return False


def labels_from_raster(
    index: gpd.GeoDataFrame, path: Path, *, classes: Sequence[str], min_cover: float, declared_crs: str | None = None
) -> Labels:
    """Return labels from a raster of class codes: the class that covers enough of a tile.

    Each pixel of a tile is of the class of the raster's pixel that its centre lies in, whatever grid and CRS the raster has.

    Parameters
    ----------
    index : geopandas.GeoDataFrame
        Tiles, each with a footprint and ``size_px``.
    path : pathlib.Path
        One band of whole numbers. Code 0 is the first class, 1 the second and so on, unless the file names its values by all of
        the classes. Of ground without data (nodata, a mask, alpha, NaN) and outside the raster nobody knows the class.
    classes : sequence of str
        Class names in order.
    min_cover : float
        Least share of a tile's known pixels that a class covers for the tile to be of it, by the rules of
        :func:`spurgekit.dataset.shape_labels.by_cover`. A tile of which less than half is known has no label and no cover.
    declared_crs : str, optional
        The CRS of the raster, where it does not say it or says it wrongly.

    Raises
    ------
    InputError
        If the raster cannot be read, is none of class codes, lies on no tile, or has codes beyond the classes there.
    """
    with open_image(image_name(path), 1) as file:
        _check_band(path, file)
        grid = _grid(path, file, declared_crs, index)
        names, notes = _named(path, read_categories(file), classes)
    ground = brought(
        gpd.GeoDataFrame(geometry=[shapely.Polygon(grid.outline())], crs=None if grid.crs is None else grid.crs.to_wkt()),
        CRS.from_wkt(index.crs.to_wkt()),
        what=str(path),
        remedy="pass `declared_crs`, the CRS of its coordinates",
        pixel_m=float(index["gsd_m"].min()),
    )
    on_it = index.geometry.intersects(ground.rows.geometry.iloc[0]).to_numpy()
    if not on_it.any():
        raise InputError(
            f"{path}: none of the {counted(len(index), 'tile')} lies on it; pass `declared_crs` if its CRS is wrong"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        corners = _corners_in(index, grid)
    coded = CodedGround(path, corners, index["size_px"].to_numpy(), names, tuple(classes))
    if not (np.isfinite(corners[on_it]).all() and all(is_convex(quad - np.floor(quad[0])) for quad in corners[on_it])):
        raise InputError(f"{path}: its pixels lie nowhere, or are of no size beside tiles; georeference it again")
    counts = _count(coded, np.flatnonzero(on_it), index)
    known = counts.sum(axis=1)
    if not known.any():
        raise InputError(f"{path} knows no pixel of any tile; look at its nodata value")
    share = known / index["size_px"].to_numpy() ** 2
    unknown = share < LEAST_KNOWN
    shares = np.column_stack([np.where(unknown[:, None], 0, counts[:, 1:]) / np.maximum(known, 1)[:, None], unknown])
    labels, disputed, cover = by_cover(shares, classes[1:], classes[0], min_cover)
    cover[unknown] = np.nan
    if count := int((unknown & (known > 0)).sum()):
        notes.append(
            f"{counted(count, 'tile')} of which {path.name} knows less than half {'has' if count == 1 else 'have'} no label"
        )
    scale = float(np.median(np.linalg.norm(coded.corners[:, 1] - coded.corners[:, 0], axis=1) / coded.sizes))
    if scale < 1 / COARSER:
        notes.append(f"pixels of {path.name} are {1 / scale:.3g} times as wide as those of tiles, and so are steps in masks")
    return Labels.of(labels, "raster", disputed, notes=(*ground.notes, *notes), cover=pd.Series(cover), ground=coded)


@dataclass(frozen=True, slots=True, eq=False)
class CodedGround:
    """Ground of which a raster of codes says what it is.

    Attributes
    ----------
    path : pathlib.Path
    corners : ndarray of float64, shape (n, 4, 2)
        Those of tiles, upper left first, in continuous pixel coordinates of the raster.
    sizes : ndarray of int, shape (n,)
        Sides of tiles in pixels.
    names_of : mapping of str by int
        Classes by their codes.
    names : tuple of str
        Classes that it may be of, the first class first.
    """

    path: Path
    corners: NDArray[np.float64]
    sizes: NDArray[np.int64]
    names_of: Mapping[int, str]
    names: tuple[str, ...]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Of which tiles it knows the pixels: of all, as far as it has data there."""
        return np.ones(len(self.corners), np.bool_)

    def draw(self, rows: Sequence[int], classes: Sequence[str]) -> Iterator[Mask]:
        """Yield the masks of some tiles; a pixel is of what the raster says of its centre."""
        number = {name: code for code, name in enumerate(classes)}
        for values, known in self.codes(rows):
            mask = np.full(values.shape, UNKNOWN, np.uint8)
            for code, name in self.names_of.items():
                if name in number:
                    mask[known & (values == code)] = number[name]
            yield mask

    def codes(self, rows: Sequence[int]) -> Iterator[tuple[NDArray[np.generic], NDArray[np.bool_]]]:
        """Yield what the raster says of the pixels of some tiles, and where it does, both of shape (size_px, size_px)."""
        with open_image(image_name(self.path), 1) as file:
            for row in rows:
                yield _sampled(self.path, file, self.corners[row], int(self.sizes[row]))


def _sampled(
    path: Path, file: DatasetReader, corners: NDArray[np.float64], size_px: int
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return the values of the pixels that the centres of a tile's pixels lie in, and whether they are known."""
    origin = np.floor(corners[0])  # near which coordinates are small, and lose nothing by rounding
    centres = np.arange(size_px) + 0.5
    x, y = np.meshgrid(centres, centres)
    places = apply_homography(homography_of_square(corners - origin, size_px), x, y)
    col, row = (np.floor(place + start).astype(np.int64) for place, start in zip(places, origin, strict=True))
    known = (col >= 0) & (row >= 0) & (col < file.width) & (row < file.height)
    values = np.zeros(known.shape, file.dtypes[0])
    if not known.any():
        return values, known
    left, top = int(col[known].min()), int(row[known].min())
    window = Window(left, top, int(col[known].max()) + 1 - left, int(row[known].max()) + 1 - top)
    check_window(image_name(path), window.width, window.height, values.itemsize + 1)
    try:
        read, there = (take(1, window=window.to_rasterio()) for take in (file.read, file.read_masks))
    except RasterioError as error:
        raise decoding_error(image_name(path), window.row, window.stop_row, error) from error
    at = row[known] - top, col[known] - left
    values[known] = read[at]
    known[known] = (there[at] >= ALPHA) & np.isfinite(read[at])
    return values, known


def _count(ground: CodedGround, rows: NDArray[np.intp], index: gpd.GeoDataFrame) -> NDArray[np.int64]:
    """Return how many pixels of each tile are of each class, shape (tiles, classes).

    Raises
    ------
    InputError
        If there are other codes.
    """
    counts = np.zeros((len(index), len(ground.names)), np.int64)
    number = {name: i for i, name in enumerate(ground.names)}
    others: Counter[float] = Counter()
    for row, (values, known) in zip(rows, ground.codes(rows.tolist()), strict=True):
        for code, name in ground.names_of.items():
            counts[row, number[name]] = np.count_nonzero(known & (values == code))
        if counts[row].sum() < np.count_nonzero(known):
            found, times = np.unique(values[known & ~np.isin(values, list(ground.names_of))], return_counts=True)
            others.update(dict(zip(found.tolist(), times.tolist(), strict=True)))
    if not others:
        return counts
    found, count = others.most_common(1)[0]
    if broken := next((value for value in others if not float(value).is_integer()), None):
        raise InputError(f"{ground.path} holds {broken:g} on tiles, and {NO_CODES}")
    more = f" and {counted(len(others) - 1, 'other code')}" if len(others) > 1 else ""
    classes = ", ".join(f"{code}: {name}" for code, name in ground.names_of.items())
    have = "has" if count == 1 else "have"
    raise InputError(
        f"{ground.path}: {counted(count, 'pixel')} of tiles {have} the code {found:g}{more}, and the classes are {classes}; "
        f"name all `classes`, or mark what nobody knows as nodata (gdal_edit -a_nodata {found:g})"
    )


def _check_band(path: Path, file: DatasetReader) -> None:
    bands = sum(color != ColorInterp.alpha for color in file.colorinterp)
    if bands != 1:
        raise InputError(f"{path} has {bands} bands; labels are in a raster of one band of class codes")
    if np.dtype(file.dtypes[0]).kind not in "iuf":
        raise InputError(f"{path} holds {file.dtypes[0]}, and {NO_CODES}")


def _grid(path: Path, file: DatasetReader, declared_crs: str | None, index: gpd.GeoDataFrame) -> PixelGrid:
    """Return where the pixels of a raster lie on the ground."""
    if file.transform.is_identity or not abs(file.transform.determinant) > 0:
        raise InputError(f"{path} does not say where its pixels lie; georeference it first, e.g. in QGIS")
    crs = parse_crs(declared_crs) if declared_crs else file.crs
    if crs is None and has_place(index.crs):
        raise InputError(f"{path} does not say its CRS; pass `declared_crs`, e.g. `declared_crs=EPSG:32612`")
    return PixelGrid(file.width, file.height, file.transform, crs)


def _corners_in(index: gpd.GeoDataFrame, grid: PixelGrid) -> NDArray[np.float64]:
    """Return the corners of tiles in pixels of a raster, shape (n, 4, 2)."""
    corners = footprint_corners(index.geometry)
    if (odd := np.isnan(corners).any(axis=(1, 2))).any():
        name = index["tile_id"].iloc[int(odd.argmax())]
        raise InputError(
            f"tiles such as {name} have footprints of other than four corners, so that nobody knows where their pixels lie; "
            "make the tiles again"
        )
    points = corners.reshape(-1, 2)
    if has_place(grid.crs):
        points = points_in(points, CRS.from_wkt(index.crs.to_wkt()), grid.crs)
    return np.column_stack(grid.to_pixel(*points.T)).reshape(-1, 4, 2)


def _named(path: Path, categories: Mapping[int, str], classes: Sequence[str]) -> tuple[dict[int, str], list[str]]:
    """Return classes by their codes, and what is to be said of the names that a raster has for its codes."""
    by_number = dict(enumerate(classes))
    folded = {name.casefold(): name for name in classes}
    named = {code: folded[name.casefold()] for code, name in categories.items() if name.casefold() in folded}
    if sorted(named.values()) == sorted(classes):
        return named, []
    odd = [code for code, name in named.items() if by_number.get(code) != name]
    if odd:
        said, number = shown(categories[odd[0]]), classes.index(named[odd[0]])
        raise InputError(
            f"{path} calls its code {odd[0]} {said}, which is class number {number} of {', '.join(classes)}; "
            "name each of these by one code in its categories, or none"
        )
    if not categories or named == by_number:
        return by_number, []
    called = listed([f"{code}: {name}" for code, name in sorted(categories.items())], FEW)
    taken = listed([f"{code}: {name}" for code, name in by_number.items()], FEW)
    return by_number, [f"the categories of {path.name} ({called}) are not the classes, and its codes are taken for {taken}"]
