"""Labels for tiles: from a column of their index, from points, or from polygons drawn in QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from spurgekit.errors import InputError

DEFAULT_COLUMN = "label"
BACKGROUND = "absent"
"""Name of the first class where nobody has given names."""
SLIVER = 1e-6
"""Share of a tile that polygons along its edge may seem to cover by rounding."""


def labels_from_column(index: gpd.GeoDataFrame, column: str | None, where: Path) -> pd.Series:
    """Return the labels that the tiles' index holds; missing ones stay missing.

    Returns
    -------
    pandas.Series of str
        On the index's rows.
    """
    name = column or DEFAULT_COLUMN
    if name not in index:
        columns = ", ".join(str(c) for c in index.columns if c != index.geometry.name)
        raise InputError(
            f"{where} has no column {name!r} to take labels from ({columns}); pass --label-column, or --labels FILE"
        )
    return _as_text(index[name])


def labels_from_vector(
    index: gpd.GeoDataFrame,
    shapes: gpd.GeoDataFrame,
    *,
    column: str | None,
    classes: Sequence[str],
    min_cover: float,
    where: Path,
) -> pd.Series:
    """Return labels from points (the class of the points in a tile) or polygons (the class that covers enough of it).

    Parameters
    ----------
    index : geopandas.GeoDataFrame
        Tiles.
    shapes : geopandas.GeoDataFrame
        In the CRS of the tiles: all points, or all polygons.
    column : str, optional
        Column of the class, by default ``label``. Polygons may do without: all are then of the second class.
    classes : sequence of str
        Class names in order. Ground without a polygon is of the first.
    min_cover : float
        Least share of a tile that polygons of a class cover for the tile to be of it. A tile that polygons touch with less
        is ambiguous and gets no label.
    where : pathlib.Path
        The file of the shapes, for messages.
    """
    if shapes.geom_type.isin(["Polygon", "MultiPolygon"]).all():
        return _from_polygons(index, shapes, column, classes, min_cover, where)
    if (shapes.geom_type == "Point").all():
        return _from_points(index, shapes, column, where)
    raise InputError(f"{where} mixes {' and '.join(sorted(set(shapes.geom_type)))}; labels come from points or from polygons")


def _from_points(index: gpd.GeoDataFrame, points: gpd.GeoDataFrame, column: str | None, where: Path) -> pd.Series:
    names = _class_column(points, column, where)
    tile, point = points.sindex.query(index.geometry, predicate="contains")
    pairs = pd.DataFrame({"tile": tile, "name": names.to_numpy()[point]}).dropna()
    agreed = pairs.groupby("tile")["name"].agg(lambda names: names.iloc[0] if len(set(names)) == 1 else None)
    labels = pd.Series(np.nan, index=range(len(index)), dtype=object)
    labels[agreed.index] = agreed
    return labels.where(labels.notna(), None)


def _from_polygons(
    index: gpd.GeoDataFrame,
    polygons: gpd.GeoDataFrame,
    column: str | None,
    classes: Sequence[str],
    min_cover: float,
    where: Path,
) -> pd.Series:
    if column is None and DEFAULT_COLUMN not in polygons:
        if len(classes) != 2:
            raise InputError(
                f"{where} has no column 'label'; pass --label-column, or two --classes whose second the polygons are of"
            )
        names = pd.Series(classes[1], index=polygons.index)
    else:
        names = _class_column(polygons, column, where)
    cover = pd.DataFrame({"tile": range(len(index))}).set_index("tile")
    area = index.geometry.area.to_numpy()
    if not names.notna().any():
        raise InputError(f"{where}: none of its {len(names)} polygons has a class; fill the column, or pass --label-column")
    for name in sorted(set(names.dropna())):
        shape = polygons.geometry[(names == name).to_numpy()].make_valid().union_all()
        cover[name] = index.geometry.intersection(shape).area.to_numpy() / area
    labels = pd.Series([classes[0]] * len(index), dtype=object)
    share = cover.max(axis=1).to_numpy()
    touched = share > SLIVER
    labels[touched] = cover.idxmax(axis=1)[touched]
    labels[touched & (share < min_cover)] = None
    return labels


def _class_column(shapes: gpd.GeoDataFrame, column: str | None, where: Path) -> pd.Series:
    name = column or DEFAULT_COLUMN
    if name not in shapes:
        columns = ", ".join(str(c) for c in shapes.columns if c != shapes.geometry.name)
        raise InputError(f"{where} has no column {name!r} ({columns or 'none at all'}); pass --label-column")
    return _as_text(shapes[name])


def _as_text(column: pd.Series) -> pd.Series:
    """Return labels as text; whole numbers lose the decimals that missing values have given them."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    text = column.astype(object).where(column.notna(), None)
    return text.map(lambda value: None if value is None or not str(value).strip() else str(value).strip())


def order_classes(labels: pd.Series, classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the class names in order: the ones given, else those found, sorted behind ``absent``.

    Raises
    ------
    InputError
        If a label is not among the given ones, or fewer than two classes have tiles.
    """
    found = sorted(set(labels.dropna()), key=lambda name: (name != BACKGROUND, name))
    if classes and (unknown := [name for name in found if name not in classes]):
        raise InputError(f"label {unknown[0]!r} is none of the classes {', '.join(classes)}; correct it, or pass --classes")
    if len(found) < 2:
        what = f"are all {found[0]!r}" if found else "are all empty"
        raise InputError(f"the labels {what}; a dataset needs tiles of two classes")
    if classes and (missing := [name for name in classes if name not in found]):
        raise InputError(f"class {missing[0]!r} has no tile (found: {', '.join(found)}); correct the labels, or pass --classes")
    return tuple(classes or found)
