"""Labels for tiles: from a column of their index, from points, or from polygons drawn in QGIS.

What a botanist wrote down of plots is in :mod:`spurgekit.dataset.field_record`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spurgekit.errors import InputError

DEFAULT_COLUMN = "label"
ABSENT_WORDS = {"0", "no", "n", "false", "absent", "absence", "-"}
PRESENT_WORDS = {"1", "yes", "y", "true", "present", "presence", "+", "x"}
"""What botanists write for the first and for the second of two classes, beside the classes' own names."""

DEFAULT_CLASSES = ("absent", "present")
"""The classes where nobody has named them."""
SLIVER = 1e-6
"""Share of a tile that polygons along its edge may seem to cover by rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labels of tiles and where they come from; on the rows of the tiles' index.

    Attributes
    ----------
    names : pandas.Series of str
        None where a tile has no label.
    origin : pandas.Series of str
        What says so: ``column``, ``points``, ``polygons``, or ``plot`` and ``quarter`` of a botanist's record.
    disputed : ndarray of bool
        Tiles that have no label because what is known of them disagrees.
    """

    names: pd.Series
    origin: pd.Series
    disputed: NDArray[np.bool_]

    @classmethod
    def of(cls, names: pd.Series, origin: str | pd.Series, disputed: NDArray[np.bool_] | None = None) -> Labels:
        """Return labels of one origin, or of one for each."""
        known = names.notna()
        origins = origin if isinstance(origin, pd.Series) else pd.Series(origin, names.index, dtype=object)
        return cls(
            names.where(known, None),
            origins.where(known, None),
            np.zeros(len(names), np.bool_) if disputed is None else disputed,
        )


def labels_from_column(index: gpd.GeoDataFrame, column: str | None, where: Path) -> Labels:
    """Return the labels that the tiles' index holds; missing ones stay missing."""
    name = column or DEFAULT_COLUMN
    if name not in index:
        columns = ", ".join(str(c) for c in index.columns if c != index.geometry.name)
        raise InputError(
            f"{where} has no column {name!r} to take labels from ({columns}); pass `label_column`, or a file of `labels`"
        )
    return Labels.of(as_text(index[name]), "column")


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
        return Labels.of(_from_polygons(index, shapes, column, classes, min_cover, where), "polygons")
    if (shapes.geom_type == "Point").all():
        return _from_points(index, shapes, column, classes, where)
    raise InputError(f"{where} mixes {' and '.join(sorted(set(shapes.geom_type)))}; labels come from points or from polygons")


def _from_points(
    index: gpd.GeoDataFrame, points: gpd.GeoDataFrame, column: str | None, classes: Sequence[str], where: Path
) -> Labels:
    names = as_classes(class_column(points, column, where), classes)
    tile, point = points.sindex.query(index.geometry, predicate="contains")
    pairs = pd.DataFrame({"tile": tile, "name": names.to_numpy()[point]}).dropna()
    of_tile = pairs.groupby("tile")["name"].agg(set)
    labels = pd.Series(None, index=range(len(index)), dtype=object)
    disputed = np.zeros(len(index), np.bool_)
    for number, said in of_tile.items():
        if len(said) == 1:
            labels[number] = next(iter(said))
        else:
            disputed[number] = True
    return Labels.of(labels, "points", disputed)


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
                f"{where} has no column 'label'; pass `label_column`, or two `classes` whose second the polygons are of"
            )
        names = pd.Series(classes[1], index=polygons.index)
    else:
        names = as_classes(class_column(polygons, column, where), classes)
    cover = pd.DataFrame({"tile": range(len(index))}).set_index("tile")
    area = index.geometry.area.to_numpy()
    if not names.notna().any():
        raise InputError(f"{where}: none of its {len(names)} polygons has a class; fill the column, or pass `label_column`")
    for name in sorted(set(names.dropna())):
        shape = polygons.geometry[(names == name).to_numpy()].make_valid().union_all()
        cover[name] = index.geometry.intersection(shape).area.to_numpy() / area
    labels = pd.Series([classes[0]] * len(index), dtype=object)
    share = cover.max(axis=1).to_numpy()
    touched = share > SLIVER
    labels[touched] = cover.idxmax(axis=1)[touched]
    labels[touched & (share < min_cover)] = None
    return labels


def class_column(table: pd.DataFrame, column: str | None, where: Path) -> pd.Series:
    """Return the column of a table that holds classes, as text; missing ones are None."""
    name = column or DEFAULT_COLUMN
    if name not in table:
        columns = ", ".join(str(c) for c in table.columns if c != "geometry")
        raise InputError(f"{where} has no column {name!r} ({columns or 'none at all'}); pass `label_column`")
    return as_text(table[name])


def as_classes(labels: pd.Series, classes: Sequence[str]) -> pd.Series:
    """Return labels with what botanists write for absence and presence in place of the names of two classes."""
    if len(classes) != 2:
        return labels
    words = {**dict.fromkeys(ABSENT_WORDS, classes[0]), **dict.fromkeys(PRESENT_WORDS, classes[1])}
    named = [label if pd.isna(label) or label in classes else words.get(label.lower(), label) for label in labels]
    return pd.Series(named, labels.index, dtype=object)


def as_text(column: pd.Series) -> pd.Series:
    """Return labels as text; whole numbers lose the decimals that missing values have given them."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    text = [None if pd.isna(value) or not str(value).strip() else str(value).strip() for value in column]
    return pd.Series(text, column.index, dtype=object)


def order_classes(labels: pd.Series, classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the class names in order: the ones given, else those found, sorted behind ``absent``.

    Raises
    ------
    InputError
        If a label is not among the given ones, or fewer than two classes have tiles.
    """
    found = sorted(set(labels.dropna()), key=lambda name: (name != DEFAULT_CLASSES[0], name))
    if classes and (unknown := [name for name in found if name not in classes]):
        raise InputError(f"label {unknown[0]!r} is none of the classes {', '.join(classes)}; correct it, or pass `classes`")
    if len(found) < 2:
        what = f"are all {found[0]!r}" if found else "are all empty"
        raise InputError(f"the labels {what}; a dataset needs tiles of two classes")
    if classes and (missing := [name for name in classes if name not in found]):
        raise InputError(f"class {missing[0]!r} has no tile (found: {', '.join(found)}); correct the labels, or pass `classes`")
    return tuple(classes or found)
