"""Labels of tiles, and what a column of classes means; labels from a column of the tiles' index.

Those from points and polygons are in :mod:`spurgekit.dataset.shape_labels`; what a botanist wrote down of plots is in
:mod:`spurgekit.dataset.field_record`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_scalar

from spurgekit.errors import InputError
from spurgekit.tables import numbers
from spurgekit.text import counted, shown

if TYPE_CHECKING:
    from spurgekit.dataset.tile_masks import Ground

DEFAULT_COLUMN = "label"
NAME_COLUMNS = {
    "label",
    "labels",
    "labelname",
    "class",
    "classes",
    "classlabel",
    "classname",
    "category",
    "categoryname",
    "presence",
    "present",
    "species",
    "taxon",
}
"""What people call a column of classes where it is not called ``label``; in any case, as all of these, letters alone."""

COVER_COLUMNS = {"cover", "coverpercent", "percentcover", "coverpct", "pctcover"}
"""What people call a column of cover in per cent, which tells classes where no column does."""

CODE_COLUMNS = {"classid", "classcode", "classvalue", "labelid", "labelcode", "categoryid"}
"""What people call a column of codes of classes."""

LIKELY_COLUMNS = (NAME_COLUMNS, COVER_COLUMNS, CODE_COLUMNS)
"""The first of these of which a table has some decides."""

NUMBER_COLUMNS = {"id", "fid", "gid", "ogcfid", "objectid", "oid"}
"""What programs call a column that numbers rows, which may be 0 and 1 as presence is."""

ABSENT_WORDS = {"0", "no", "n", "false", "absent", "absence", "none", "-"}
PRESENT_WORDS = {"1", "yes", "y", "true", "present", "presence", "+", "x"}
"""What botanists write for the first and for the second of two classes, beside the classes' own names."""

ANSWERS = {"no", "n", "false", "yes", "y", "true"}
"""Those of them that answer a question, so that what stands beside them is no further class."""

UNKNOWN_WORDS = {"na", "n/a", "nan", "null", "?"}
"""What stands in tables where a class is not known, unless a class is called so."""

DEFAULT_CLASSES = ("absent", "present")
"""The classes where nobody has named them."""
SLIVER = 1e-6
"""Share of a tile that polygons along its edge may seem to cover by rounding."""

_COVER = re.compile(r"cover|percent|pct|%", re.IGNORECASE)
_PERCENT = re.compile(r"percent|pct|%", re.IGNORECASE)
_CODES = re.compile(r"class|code|categor", re.IGNORECASE)
_LETTERS = re.compile(r"[^a-z]")
_WHOLE = re.compile(r"([+-]?\d+)\.0+")


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
        return cls(file, used, rows, place_in(shapes))


def place_in(shapes: gpd.GeoSeries) -> Callable[[int], str]:
    """Return what says in words where a shape lies, by its number."""

    def place_of(number: int) -> str:
        point = shapes.iloc[number].representative_point()
        return f"at {point.x:.1f}, {point.y:.1f}"

    return place_of


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
    cover : pandas.Series of float, optional
        Share of each tile under any class but the first, NaN where it is not known; None where it is of no tile.
    ground : Ground, optional
        What they say of each pixel; None where they are of whole tiles.
    """

    names: pd.Series
    origin: pd.Series
    disputed: NDArray[np.bool_]
    notes: tuple[str, ...] = ()
    source: LabelFile | None = None
    cover: pd.Series | None = None
    ground: Ground | None = None

    @classmethod
    def of(
        cls,
        names: pd.Series,
        origin: str | pd.Series,
        disputed: NDArray[np.bool_] | None = None,
        *,
        notes: tuple[str, ...] = (),
        source: LabelFile | None = None,
        cover: pd.Series | None = None,
        ground: Ground | None = None,
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
            cover,
            ground,
        )

    @property
    def unclear(self) -> NDArray[np.bool_]:
        """Tiles that hold some of a class and too little to be of it."""
        if self.cover is None:
            return np.zeros(len(self.names), np.bool_)
        return np.asarray(self.names.isna() & (self.cover > SLIVER) & ~self.disputed)


def labels_from_column(
    index: gpd.GeoDataFrame, column: str | None, classes: Sequence[str] | None, *, min_cover: float, where: Path
) -> Labels:
    """Return the labels that the tiles' index holds; missing ones stay missing.

    Parameters
    ----------
    index : geopandas.GeoDataFrame
        Tiles.
    column : str, optional
        As of :func:`spurgekit.dataset.shape_labels.labels_from_vector`.
    classes : sequence of str, optional
        Class names in order; without them labels stay as they are.
    min_cover : float
        Least share of cover where the column has it in per cent.
    where : pathlib.Path
        The file of the index, for messages.
    """
    name = None if column is not None and column not in index else class_column(index, column, where)
    if name is None:
        raise InputError(
            f"{where} has no column {(column or DEFAULT_COLUMN)!r} to take labels from ({columns_of(index)}); "
            "pass `label_column`, or a file of `labels`"
        )
    names, notes = classes_in(index, name, column, classes, min_cover=min_cover, where=where, rows="tile")
    return Labels.of(names, "column", notes=notes)


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
    return find_column(table, column, where, usual=DEFAULT_COLUMN, likely=LIKELY_COLUMNS, option="label_column")


def find_column(
    table: pd.DataFrame, column: str | None, where: Path, *, usual: str, likely: Iterable[Collection[str]], option: str
) -> str | None:
    """Return the name of the column that is meant: the one asked for, the usual one, or the one called as such columns are.

    Parameters
    ----------
    table : pandas.DataFrame
    column : str or None
        The one that was asked for.
    where : pathlib.Path
        The table's file, for messages.
    usual : str
        The one that is taken where none was asked for.
    likely : iterable of collections of str
        What people call it otherwise, in lower case and letters alone; the first of these of which the table has some decides.
    option : str
        What it is asked for by, for messages.

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
            raise InputError(f"{where} has no column {column!r} ({columns_of(table)}); pass another `{option}`")
        return column
    if usual in table:
        return usual
    called = next(filter(None, (_called(table, names) for names in likely)), [])
    if len(called) > 1:
        raise InputError(f"{where} has no column {usual!r} but {' and '.join(called)}; name one by `{option}`")
    return called[0] if called else None


def _called(table: pd.DataFrame, names: Collection[str]) -> list[str]:
    return [str(name) for name in table.columns if _LETTERS.sub("", str(name).lower()) in names]


def telling_column(table: pd.DataFrame, classes: Sequence[str]) -> str | None:
    """Return a column whose values tell classes apart, whatever it is called: names of classes, or absence and presence."""
    words = {*ABSENT_WORDS, *PRESENT_WORDS, *(name.lower() for name in classes)}
    for name in table.columns.drop(table.columns.intersection(["geometry"])):
        said = {word.lower() for word in as_text(table[name]).dropna()}
        if len(said) > 1 and said <= words and _LETTERS.sub("", str(name).lower()) not in NUMBER_COLUMNS:
            return str(name)
    return None


def needed_class_column(table: pd.DataFrame, column: str | None, where: Path) -> str:
    """Return the name of the column that holds classes, of a table that has to have one; see :func:`class_column`."""
    called = class_column(table, column, where)
    if called is None:
        raise InputError(f"{where} has no column {DEFAULT_COLUMN!r} ({columns_of(table)}); pass `label_column`")
    return called


def classes_in(
    table: pd.DataFrame,
    called: str,
    column: str | None,
    classes: Sequence[str] | None,
    *,
    min_cover: float,
    where: Path,
    rows: str,
    place_of: Callable[[int], str] | None = None,
) -> tuple[pd.Series, tuple[str, ...]]:
    """Return the class of each row of a table, None where it has none; and what is to be said of them.

    Parameters
    ----------
    table : pandas.DataFrame
    called : str
        The column that says it: by names of classes, by words for absence and presence, or by cover in per cent.
    column : str or None
        The column that was asked for.
    classes : sequence of str, optional
        Class names in order; without them labels stay as they are.
    min_cover : float
        Least share of cover for a row to be of the second class. Rows with less but some are of none.
    where : pathlib.Path
        The table's file.
    rows : str
        What one row is.
    place_of : callable, optional
        Says in words where a row is; with it, rows without a class are counted.

    Raises
    ------
    InputError
        If cover is not in per cent, or there are more than two classes to tell by it.
    """
    text, notes = as_text(table[called]), []
    if called not in (column, DEFAULT_COLUMN):
        notes.append(f"classes are taken from the column {called!r} of {where.name}")
    percent = _percent(text, called, where)
    if percent is not None:
        names = _classes_of_cover(percent, classes or DEFAULT_CLASSES, min_cover, where)
        first, second = classes or DEFAULT_CLASSES
        counts = [int((names == name).sum()) for name in (second, first)]
        between = int((percent.notna() & names.isna()).sum())
        notes.append(
            f"of {counted(len(table), rows)} of {where.name}, {counts[0]:,} with {100 * min_cover:g} % of {called!r} or more "
            f"are taken for {second}, {counts[1]:,} with 0 % for {first}, and {between:,} with less for neither (`min_cover`)"
        )
        text = percent
    else:
        unknown = [word is not None and word.lower() in UNKNOWN_WORDS and word not in (classes or ()) for word in text]
        if any(unknown):
            word = text[unknown].iloc[0]
            notes.append(f"{word!r} in the column {called!r} of {where.name} is no class, unless `classes` names it")
        text = text.mask(pd.Series(unknown, text.index), None)
        if tuple(classes or DEFAULT_CLASSES) == DEFAULT_CLASSES:
            _check_answers(text, called, where)
        names = as_classes(text, classes) if classes else text
    if place_of is not None and (count := int(text.isna().sum())):
        have = f"{counted(count, rows)} of {where.name} {'has' if count == 1 else 'have'} no class"
        notes.append(f"{have}, the first of them {place_of(int(text.isna().to_numpy().argmax()))}")
    return names, tuple(notes)


def _check_answers(text: pd.Series, called: str, where: Path) -> None:
    """Refuse a column of answers, yes or no, that has others beside them, which would be classes of their own."""
    words = [word for word in dict.fromkeys(text) if word is not None]
    answers = [word for word in words if word.lower() in ANSWERS]
    others = [word for word in words if word.lower() not in ABSENT_WORDS | PRESENT_WORDS]
    if others and {word.lower() in ABSENT_WORDS for word in answers} == {True, False}:
        raise InputError(
            f"{where}: {called} says {shown(answers[0])} in some rows and {shown(others[0])} in others; leave rows empty of "
            "which nobody knows the class, or name all `classes`"
        )


def _percent(text: pd.Series, called: str, where: Path) -> pd.Series | None:
    """Return a column as per cent of cover, NaN where it is not known; None where it is something else."""
    bare = pd.Series([None if word is None else word.rstrip("% ") for word in text], text.index, dtype=object)
    signed = (bare != text) & text.notna()
    if not (_COVER.search(called) and not _CODES.search(called)) and not (signed.any() and (signed | text.isna()).all()):
        return None
    bare = bare.mask(bare.str.lower().isin(ABSENT_WORDS), "0")
    if not numbers(bare).gt(0).any() or (not signed.any() and set(bare.dropna()) <= {"0", "1"}):  # words, or codes
        return None
    percent = numbers(bare, f"{where}: {called}")
    if not percent.dropna().between(0, 100).all():
        raise InputError(f"{where}: {called} is not all from 0 to 100; cover is in per cent")
    if percent.max() <= 1 and not signed.any() and not _PERCENT.search(called):
        raise InputError(
            f"{where}: {called} is nowhere more than 1, and may be in per cent or a share; write 30 %, or call it cover_percent"
        )
    return percent


def _classes_of_cover(percent: pd.Series, classes: Sequence[str], min_cover: float, where: Path) -> pd.Series:
    if len(classes) != 2:
        raise InputError(f"{where} has cover in per cent, which tells two classes apart; pass two `classes`")
    names = pd.Series(None, percent.index, dtype=object)
    names[percent == 0] = classes[0]
    names[(percent > 0) & (percent >= 100 * min_cover)] = classes[1]
    return names


def columns_of(table: pd.DataFrame) -> str:
    """Return the names of the columns of a table, for messages."""
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
    """Return labels as text; whole numbers lose the decimals that missing values have given them, in a table of text, too."""
    known = [value for value in column if isinstance(value, Real) and not isinstance(value, bool) and not pd.isna(value)]
    whole = all(float(value).is_integer() for value in known)
    text = [
        None
        if (is_scalar(value) and pd.isna(value)) or not str(value).strip()
        else str(int(value) if whole and isinstance(value, float) else value).strip()
        for value in column
    ]
    if all(word is None or _WHOLE.fullmatch(word) or word.isdecimal() for word in text):
        text = [word and _WHOLE.sub(r"\1", word) for word in text]
    return pd.Series(text, column.index, dtype=object)


def order_classes(labels: pd.Series, classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the class names in order: the ones given, else those found, sorted behind what says absence.

    Raises
    ------
    InputError
        If a label is not among the given ones, or fewer than two classes have tiles.
    """
    found = sorted(set(labels.dropna()), key=lambda name: (name.lower() not in ABSENT_WORDS, name))
    if classes and (unknown := [name for name in found if name not in classes]):
        raise InputError(f"label {unknown[0]!r} is none of the classes {', '.join(classes)}; correct it, or pass `classes`")
    if len(found) < 2:
        what = f"are all {found[0]!r}" if found else "are all empty"
        raise InputError(f"the labels {what}; a dataset needs tiles of two classes")
    if classes and (missing := [name for name in classes if name not in found]):
        raise InputError(f"class {missing[0]!r} has no tile (found: {', '.join(found)}); correct the labels, or pass `classes`")
    return tuple(classes or found)
