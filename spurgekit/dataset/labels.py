"""Labels for tiles: from a column of their index, from points, or from polygons drawn in QGIS.

What a botanist wrote down of plots is in :mod:`spurgekit.dataset.field_record`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from spurgekit.errors import InputError
from spurgekit.text import counted

DEFAULT_COLUMN = "label"
LIKELY_COLUMNS = (
    "label",
    "labels",
    "class",
    "classes",
    "class_name",
    "classname",
    "category",
    "presence",
    "present",
    "species",
)
"""What people call a column of classes, in any case, where it is not called ``label``."""

ABSENT_WORDS = {"0", "no", "n", "false", "absent", "absence", "-"}
PRESENT_WORDS = {"1", "yes", "y", "true", "present", "presence", "+", "x"}
"""What botanists write for the first and for the second of two classes, beside the classes' own names."""

DEFAULT_CLASSES = ("absent", "present")
"""The classes where nobody has named them."""
SLIVER = 1e-6
"""Share of a tile that polygons along its edge may seem to cover by rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelFile:
    """A file of labels, and which of its rows say something of a tile.

    Attributes
    ----------
    file : pathlib.Path
    used : ndarray of bool
        Whether each row is of a tile.
    rows : str
        What they are: points, polygons, records.
    place_of : callable
        ``place_of(number)`` says in words where a row is, for an example.
    """

    file: Path
    used: NDArray[np.bool_]
    rows: str
    place_of: Callable[[int], str]

    @classmethod
    def of_shapes(cls, file: Path, shapes: gpd.GeoSeries, used: NDArray[np.bool_], rows: str) -> LabelFile:
        """Return a file of points or polygons, in the CRS of the tiles."""

        def place_of(number: int) -> str:
            point = shapes.iloc[number].representative_point()
            return f"at {point.x:.1f}, {point.y:.1f}"

        return cls(file, used, rows, place_of)


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
    notes : tuple of str
        What was taken for what, and what says nothing.
    source : LabelFile, optional
        The file that they come from.
    """

    names: pd.Series
    origin: pd.Series
    disputed: NDArray[np.bool_]
    notes: tuple[str, ...] = ()
    source: LabelFile | None = None

    @classmethod
    def of(
        cls,
        names: pd.Series,
        origin: str | pd.Series,
        disputed: NDArray[np.bool_] | None = None,
        *,
        notes: tuple[str, ...] = (),
        source: LabelFile | None = None,
    ) -> Labels:
        """Return labels of one origin, or of one for each."""
        known = names.notna()
        origins = origin if isinstance(origin, pd.Series) else pd.Series(origin, names.index, dtype=object)
        return cls(
            names.where(known, None),
            origins.where(known, None),
            np.zeros(len(names), np.bool_) if disputed is None else disputed,
            notes,
            source,
        )


def labels_from_column(index: gpd.GeoDataFrame, column: str | None, where: Path) -> Labels:
    """Return the labels that the tiles' index holds; missing ones stay missing."""
    name = None if column is not None and column not in index else class_column(index, column, where)
    if name is None:
        raise InputError(
            f"{where} has no column {(column or DEFAULT_COLUMN)!r} to take labels from ({_columns(index)}); "
            "pass `label_column`, or a file of `labels`"
        )
    return Labels.of(as_text(index[name]), "column", notes=said_of_column(name, column, where))


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
        is ambiguous and gets no label.
    where : pathlib.Path
        The file of the shapes, for messages.
    """
    if shapes.geom_type.isin(["Polygon", "MultiPolygon"]).all():
        return _from_polygons(index, shapes, column, classes, min_cover, where)
    if (shapes.geom_type == "Point").all():
        return _from_points(index, shapes, column, classes, where)
    raise InputError(f"{where} mixes {' and '.join(sorted(set(shapes.geom_type)))}; labels come from points or from polygons")


def _from_points(
    index: gpd.GeoDataFrame, points: gpd.GeoDataFrame, column: str | None, classes: Sequence[str], where: Path
) -> Labels:
    called = needed_class_column(points, column, where)
    names = as_classes(as_text(points[called]), classes)
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
    notes = list(said_of_column(called, column, where))
    if count := int(names.isna().sum()):
        notes.append(f"{counted(count, 'point')} of {where.name} {'has' if count == 1 else 'have'} no class, and say nothing")
    return Labels.of(
        labels,
        "points",
        disputed,
        notes=tuple(notes),
        source=LabelFile.of_shapes(where, points.geometry, np.isin(np.arange(len(points)), point), "points"),
    )


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
        names = pd.Series(classes[1], index=polygons.index)
        notes = [
            f"{where.name} has no column of classes ({_columns(polygons)}): all ground that is drawn is taken for {classes[1]}"
        ]
    else:
        names = as_classes(as_text(polygons[called]), classes)
        notes = list(said_of_column(called, column, where))
    if not names.notna().any():
        raise InputError(f"{where}: none of its {len(names)} polygons has a class; fill the column, or pass `label_column`")
    if count := int(names.isna().sum()):
        notes.append(
            f"{counted(count, 'polygon')} of {where.name} {'has' if count == 1 else 'have'} no class: "
            "tiles with more of such ground than of any class have no label"
        )
    found, used = sorted(set(names.dropna())), np.zeros(len(polygons), np.bool_)
    cover = np.zeros((len(index), len(found) + 1))
    for number, rows in enumerate([*((names == name).to_numpy() for name in found), names.isna().to_numpy()]):
        cover[:, number], used[rows] = _cover(index.geometry, polygons.geometry[rows])
    best, share = cover.argmax(axis=1), cover.max(axis=1)
    labels = pd.Series([classes[0]] * len(index), dtype=object)
    touched = share > SLIVER
    labels[touched] = np.array([*found, None], object)[best[touched]]
    labels[touched & (share < min_cover)] = None
    return Labels.of(
        labels, "polygons", notes=tuple(notes), source=LabelFile.of_shapes(where, polygons.geometry, used, "polygons")
    )


def _cover(tiles: gpd.GeoSeries, polygons: gpd.GeoSeries) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the share of each tile that polygons cover together, and which polygons lie on a tile."""
    shapes = polygons.make_valid()
    tile, polygon = shapes.sindex.query(tiles, predicate="intersects", sort=True)
    pieces = shapely.intersection(tiles.to_numpy()[tile], shapes.to_numpy()[polygon])
    numbers, starts = np.unique(tile, return_index=True)
    together = [part[0] if len(part) == 1 else shapely.union_all(part) for part in np.split(pieces, starts[1:])]
    share = np.zeros(len(tiles))
    if len(numbers):
        share[numbers] = shapely.area(together) / tiles.area.to_numpy()[numbers]
    return share, np.isin(np.arange(len(shapes)), polygon)


def class_column(table: pd.DataFrame, column: str | None, where: Path) -> str | None:
    """Return the name of the column that holds classes: the one asked for, ``label``, or the one called as such columns are.

    Returns
    -------
    str or None
        None if no column is called so.

    Raises
    ------
    InputError
        If the one asked for is not there, or several may be meant.
    """
    if column is not None:
        if column not in table:
            raise InputError(f"{where} has no column {column!r} ({_columns(table)}); pass another `label_column`")
        return column
    if DEFAULT_COLUMN in table:
        return DEFAULT_COLUMN
    likely = [str(name) for name in table.columns if str(name).strip().lower() in LIKELY_COLUMNS]
    if len(likely) > 1:
        raise InputError(f"{where} has no column {DEFAULT_COLUMN!r} but {' and '.join(likely)}; name one by `label_column`")
    return likely[0] if likely else None


def needed_class_column(table: pd.DataFrame, column: str | None, where: Path) -> str:
    """Return the name of the column that holds classes, of a table that has to have one; see :func:`class_column`."""
    called = class_column(table, column, where)
    if called is None:
        raise InputError(f"{where} has no column {DEFAULT_COLUMN!r} ({_columns(table)}); pass `label_column`")
    return called


def said_of_column(called: str, column: str | None, where: Path) -> tuple[str, ...]:
    """Return what is to be said of the column that classes come from."""
    return () if called in (column, DEFAULT_COLUMN) else (f"classes are taken from the column {called!r} of {where.name}",)


def _columns(table: pd.DataFrame) -> str:
    return ", ".join(str(name) for name in table.columns if name != "geometry") or "none at all"


def as_classes(labels: pd.Series, classes: Sequence[str]) -> pd.Series:
    """Return labels with what botanists write for absence and presence in place of the names of two classes.

    Where one of them is no such word, all stay as they are: 1 is presence beside 0, and a code beside 2 and 3.
    """
    words = {**dict.fromkeys(ABSENT_WORDS, classes[0]), **dict.fromkeys(PRESENT_WORDS, classes[-1])}
    known = labels.dropna()
    if len(classes) != 2 or not all(label in classes or label.lower() in words for label in known):
        return labels
    named = [label if pd.isna(label) or label in classes else words[label.lower()] for label in labels]
    return pd.Series(named, labels.index, dtype=object)


def as_text(column: pd.Series) -> pd.Series:
    """Return labels as text; whole numbers lose the decimals that missing values have given them."""
    numbers = [value for value in column if isinstance(value, Real) and not isinstance(value, bool) and not pd.isna(value)]
    whole = all(float(value).is_integer() for value in numbers)
    text = [
        None
        if pd.isna(value) or not str(value).strip()
        else str(int(value) if whole and isinstance(value, float) else value).strip()
        for value in column
    ]
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
