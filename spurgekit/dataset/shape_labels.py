"""Labels for tiles from points, or from polygons drawn in QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from spurgekit.dataset.labels import (
    DEFAULT_COLUMN,
    SLIVER,
    LabelFile,
    Labels,
    class_column,
    classes_in,
    columns_of,
    needed_class_column,
    place_in,
    telling_column,
)
from spurgekit.dataset.tile_masks import DrawnGround
from spurgekit.errors import InputError
from spurgekit.text import counted

EDGE_M = 1e-6
"""A point this near to the edge of a tile is on it; corners of tiles are sums of pixels, and known no better."""


def labels_from_vector(
    index: gpd.GeoDataFrame,
    shapes: gpd.GeoDataFrame,
    *,
    column: str | None,
    classes: Sequence[str],
    min_cover: float,
    where: Path,
) -> Labels:
    """Return labels from points (the class of the points in a tile) or polygons (the class that covers enough of it).

    Parameters
    ----------
    index : geopandas.GeoDataFrame
        Tiles.
    shapes : geopandas.GeoDataFrame
        In the CRS of the tiles: all points, or all polygons.
    column : str, optional
        Column of the class; by default ``label``, or the one that is called as such columns are. Polygons may do without: all
        are then of the second class.
    classes : sequence of str
        Class names in order. Ground without a polygon is of the first; ground whose polygon has no class is of none.
    min_cover : float
        Least share of a tile that polygons of a class cover for the tile to be of it. A tile that polygons touch with less
        is ambiguous and gets no label, nor does one of which two classes cover as much. It is also the least share of cover
        where the column has it in per cent.
    where : pathlib.Path
        The file of the shapes, for messages.
    """
    if shapes.geom_type.isin(["Polygon", "MultiPolygon"]).all():
        return _from_polygons(index, shapes, column, classes, min_cover, where)
    if (shapes.geom_type == "Point").all():
        return _from_points(index, shapes, column, classes, min_cover, where)
    raise InputError(f"{where} mixes {' and '.join(sorted(set(shapes.geom_type)))}; labels come from points or from polygons")


def _from_points(
    index: gpd.GeoDataFrame,
    points: gpd.GeoDataFrame,
    column: str | None,
    classes: Sequence[str],
    min_cover: float,
    where: Path,
) -> Labels:
    called = needed_class_column(points, column, where)
    names, notes = classes_in(
        points, called, column, classes, min_cover=min_cover, where=where, rows="point", place_of=place_in(points.geometry)
    )
    tile, point = _tiles_of_points(index.geometry, points.geometry)
    pairs = pd.DataFrame({"tile": tile, "name": names.to_numpy()[point]}).dropna()
    of_tile = pairs.groupby("tile")["name"].agg(set)
    labels = pd.Series(None, index=range(len(index)), dtype=object)
    disputed = np.zeros(len(index), np.bool_)
    for number, said in of_tile.items():
        if len(said) == 1:
            labels[number] = next(iter(said))
        else:
            disputed[number] = True
    return Labels.of(
        labels,
        "points",
        disputed,
        notes=notes,
        source=LabelFile.of_shapes(where, points.geometry, np.isin(np.arange(len(points)), point), "points"),
    )


def _tiles_of_points(tiles: gpd.GeoSeries, points: gpd.GeoSeries) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return pairs of a tile and a point in it.

    A point is in all tiles whose inside it lies in. One that lies on edges alone is in a single tile, the one to its
    south-east, as a pixel owns its upper left corner; where there is none, in the one that there is.
    """
    tile, point = points.sindex.query(tiles, predicate="dwithin", distance=EDGE_M)
    squares, places = tiles.to_numpy()[tile], points.to_numpy()[point]
    inside = shapely.distance(shapely.boundary(squares), places) > EDGE_M
    on_edges = np.flatnonzero(~np.isin(point, point[inside]))
    centres = shapely.centroid(squares[on_edges])
    to_south_east = shapely.get_x(centres) - shapely.get_y(centres)
    order = np.lexsort([-(to_south_east - to_south_east.min(initial=0)).round(3), point[on_edges]])
    _, first = np.unique(point[on_edges][order], return_index=True)
    inside[on_edges[order[first]]] = True
    return tile[inside], point[inside]


def _from_polygons(
    index: gpd.GeoDataFrame,
    polygons: gpd.GeoDataFrame,
    column: str | None,
    classes: Sequence[str],
    min_cover: float,
    where: Path,
) -> Labels:
    called = class_column(polygons, column, where)
    if called is None:
        if len(classes) != 2:
            raise InputError(
                f"{where} has no column {DEFAULT_COLUMN!r}; "
                "pass `label_column`, or two `classes` whose second the polygons are of"
            )
        if telling := telling_column(polygons, classes):
            raise InputError(
                f"{where} has no column {DEFAULT_COLUMN!r}, but its column {telling!r} seems to tell classes apart; "
                f"if it does, pass `label_column={telling}`, else take it out"
            )
        names = pd.Series(classes[1], index=polygons.index)
        has = f"{where.name} has no column of classes ({columns_of(polygons)})"
        notes = [f"{has}: all ground that is drawn is taken for {classes[1]}"]
    else:
        names, said = classes_in(
            polygons,
            called,
            column,
            classes,
            min_cover=min_cover,
            where=where,
            rows="polygon",
            place_of=place_in(polygons.geometry),
        )
        notes = list(said)
    if not names.notna().any():
        raise InputError(f"{where}: none of its {len(names)} polygons has a class; fill the column, or pass `label_column`")
    if names.isna().any():
        notes.append("tiles with more ground of polygons without a class than of any class have no label")
    found, used = sorted(set(names.dropna())), np.zeros(len(polygons), np.bool_)
    shapes = polygons.geometry.make_valid()
    shares = np.zeros((len(index), len(found) + 1))
    for number, rows in enumerate([*((names == name).to_numpy() for name in found), names.isna().to_numpy()]):
        shares[:, number], used[rows] = _cover(index.geometry, shapes[rows])
    labels, disputed, cover = by_cover(shares, found, classes[0], min_cover)
    cover[shares[:, -1] > SLIVER] = np.nan  # polygons without a class may be of any
    ground = DrawnGround(index, shapes.to_numpy(), [None if pd.isna(name) else name for name in names], classes[0])
    if odd := int((~ground.known).sum()):
        notes.append(f"{counted(odd, 'tile')} whose footprint has other than four corners without a mask")
    return Labels.of(
        labels,
        "polygons",
        disputed,
        notes=tuple(notes),
        source=LabelFile.of_shapes(where, polygons.geometry, used, "polygons"),
        cover=pd.Series(cover),
        ground=ground,
    )


def by_cover(
    shares: NDArray[np.float64], names: Sequence[str], first: str, min_cover: float
) -> tuple[pd.Series, NDArray[np.bool_], NDArray[np.float64]]:
    """Return the classes of tiles by how much of them each class covers.

    Parameters
    ----------
    shares : ndarray of float64, shape (tiles, names + 1)
        Of each tile, under each class, and last of what nobody knows. What is left is of the first class.
    names : sequence of str
        Of these classes; the first class may be among them.
    first : str
        The first class.
    min_cover : float
        As of :func:`labels_from_vector`.

    Returns
    -------
    names : pandas.Series of str
        None of tiles with too little of any class, of disputed ones, and of those with more unknown ground than of any class.
    disputed : ndarray of bool
        Tiles of which two classes cover as much.
    cover : ndarray of float64
        Share under any class but the first.
    """
    best, share = shares.argmax(axis=1), shares.max(axis=1)
    labels = pd.Series([first] * len(shares), dtype=object)
    touched = share > SLIVER
    labels[touched] = np.array([*names, None], object)[best[touched]]
    labels[touched & (share < min_cover)] = None
    disputed = touched & labels.notna().to_numpy() & ((share[:, None] - shares[:, : len(names)] < SLIVER).sum(axis=1) > 1)
    labels[disputed] = None
    weedy = np.array([name != first for name in names], np.bool_)
    cover = np.minimum(shares[:, :-1][:, weedy].sum(axis=1), 1.0)
    return labels, disputed, np.where(cover > SLIVER, cover, 0.0)


def _cover(tiles: gpd.GeoSeries, shapes: gpd.GeoSeries) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the share of each tile that valid polygons cover together, and which of them lie on a tile."""
    tile, polygon = shapes.sindex.query(tiles, predicate="intersects", sort=True)
    pieces = shapely.intersection(tiles.to_numpy()[tile], shapes.to_numpy()[polygon])
    numbers, starts = np.unique(tile, return_index=True)
    together = [part[0] if len(part) == 1 else shapely.union_all(part) for part in np.split(pieces, starts[1:])]
    share = np.zeros(len(tiles))
    if len(numbers):
        share[numbers] = shapely.area(together) / tiles.area.to_numpy()[numbers]
    return share, np.isin(np.arange(len(shapes)), polygon)
