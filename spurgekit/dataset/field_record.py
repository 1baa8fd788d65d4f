"""What botanists wrote down of plots: presence or absence in each, or in each quarter, becomes the label of its tiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from spurgekit.dataset.labels import LabelFile, Labels, classes_in, needed_class_column
from spurgekit.errors import InputError
from spurgekit.plots.plot_file import as_id, lower_columns
from spurgekit.text import some

Place = tuple[str, str, str]
"""Site, plot and quarter; empty where a record does not tell them."""


def labels_from_record(
    index: gpd.GeoDataFrame,
    record: pd.DataFrame,
    *,
    column: str | None,
    classes: Sequence[str],
    where: Path,
    min_cover: float = 0.05,
) -> Labels:
    """Return the labels that a record of plots gives to their tiles.

    Parameters
    ----------
    index : geopandas.GeoDataFrame
        Tiles with columns plot, and site and quarter where the record has them.
    record : pandas.DataFrame
        Columns plot, optionally site and quarter, and the class. A row with a quarter is of that tile alone, one without of
        all tiles of the plot that no row names. Presence in a plot says less of its quarters than absence does: their origin
        is ``plot``, and they are worth a review.
    column : str, optional
        Column of the class; ``label``, ``presence`` or ``present`` by default.
    classes : sequence of str
        Of two, the first is also what ``no``, ``0`` or ``absent`` mean, the second ``yes``, ``1`` or ``present``.
    where : pathlib.Path
        The record's file, for messages.
    min_cover : float
        Least share of cover where the column has it in per cent.

    Raises
    ------
    InputError
        If the record contradicts itself, is of none of the tiles, or names a quarter that they do not have.
    """
    record = record.rename(columns=lower_columns(record))
    if "plot" not in record:
        raise InputError(f"{where} has no column plot ({', '.join(map(str, record.columns))}); name the plots in it")
    if "plot" not in index:
        raise InputError(f"{where} is a record of plots, and these tiles are of none; tile with `layout=plots`")
    column = column and column.strip().lower()
    name = needed_class_column(record, column, where)
    told = list(zip(*(_ids(record, key) for key in ("site", "plot", "quarter")), strict=True))
    names, notes = classes_in(
        record,
        name,
        column,
        classes,
        min_cover=min_cover,
        where=where,
        rows="record",
        place_of=lambda number: f"of {_in_words(told[number])}",
    )
    _check_quarters(told, index, where)
    said = _read(told, names, classes, where)
    sites = _ids(index, "site") if "site" in record else [""] * len(index)
    places = list(zip(sites, _ids(index, "plot"), _ids(index, "quarter"), strict=True))
    found = [
        next(((said[place], kind) for place, kind in (((s, p, q), "quarter"), ((s, p, ""), "plot")) if place in said), None)
        for s, p, q in places
    ]
    if not any(found):
        plots, here = (sorted(set(names)) for names in ([plot for _, plot, _ in said], _ids(index, "plot")))
        raise InputError(
            f"{where} tells of plots {some(plots) or '(none)'}, and no tile is of one of them; tiles are of plots {some(here)}"
        )
    labels, origins = (pd.Series([pair and pair[i] for pair in found], index.index, dtype=object) for i in (0, 1))
    tiles = {*places, *((site, plot, "") for site, plot, _ in places)}
    source = LabelFile(
        where, np.array([place in tiles for place in told], np.bool_), "records", lambda number: f"of {_in_words(told[number])}"
    )
    return Labels.of(labels, origins, notes=notes, source=source)


def _check_quarters(told: Sequence[Place], index: gpd.GeoDataFrame, where: Path) -> None:
    """Refuse quarters that tiles do not have."""
    here = set(_ids(index, "quarter")) - {""}
    if unknown := [place for place in told if place[2] and place[2] not in here]:
        known = f"quarters are {some(sorted(here))}" if here else "these tiles are of none"
        raise InputError(f"{where} tells of {_in_words(unknown[0])}; {known}")


def _read(places: Sequence[Place], labels: pd.Series, classes: Sequence[str], where: Path) -> dict[Place, str]:
    """Return what the rows of a record say of each place that they name."""
    said: dict[Place, str] = {}
    for place, label in zip(places, labels, strict=True):
        if label is not None and said.setdefault(place, label) != label:
            raise InputError(f"{where} says both {said[place]!r} and {label!r} of {_in_words(place)}; correct it")
    for (site, plot, quarter), label in said.items():
        whole = (site, plot, "")
        if quarter and said.get(whole) == classes[0] != label:
            raise InputError(
                f"{where} says {classes[0]!r} of {_in_words(whole)}, and {label!r} of its quarter {quarter}; correct it"
            )
    return said


def _ids(table: pd.DataFrame, column: str) -> list[str]:
    """Return a column as ids, empty where there is none; quarters in capitals."""
    ids = [as_id(value) for value in table[column]] if column in table else [""] * len(table)
    return [name.upper() for name in ids] if column == "quarter" else ids


def _in_words(place: Place) -> str:
    site, plot, quarter = place
    return f"plot {plot}" + (f" of {site}" if site else "") + (f", quarter {quarter}" if quarter else "")
