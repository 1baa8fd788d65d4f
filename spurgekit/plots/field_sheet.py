"""What the field sheet says of the plots: their ids, and what was found in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from spurgekit.errors import InputError
from spurgekit.plots.plot import Plot
from spurgekit.plots.plot_file import as_id, check_ids, lower_columns, of_site
from spurgekit.plots.protocol import PlotProtocol, plot_names
from spurgekit.tables import numbers, read_table
from spurgekit.text import some


def join_field_sheet(
    plots: Sequence[Plot], path: Path, protocol: PlotProtocol, *, site: str = ""
) -> tuple[list[Plot], tuple[str, ...]]:
    """Add to plots what the field sheet says of them.

    Parameters
    ----------
    plots : sequence of Plot
    path : pathlib.Path
        A table with a column ``plot`` that holds their ids; or, for plots that have but the lattice's numbers, with columns
        ``row`` and ``column``, counted from 1 at its north-west, whose ``plot`` (if there is one) becomes the plots' id.
        Rows of other sites are passed over where a column ``site`` names this one.
    protocol : PlotProtocol
        What the lattice is, for sheets with rows and columns.
    site : str
        Name of the image's site.

    Returns
    -------
    plots : list of Plot
        All of them, with the sheet's further columns among their attributes.
    notes : tuple of str
        Which ids are only here or only there.

    Raises
    ------
    InputError
        If the sheet cannot be read, names a plot twice, or none of these.
    """
    table = read_table(path)
    sheet = of_site(table.rows.rename(columns=lower_columns(table.rows)), site)
    ids = [plot.id for plot in plots]
    of_lattice = set(ids) <= set(plot_names(protocol.rows * protocol.columns))
    by_place = {"row", "column"} <= set(sheet.columns) and (of_lattice or "plot" not in sheet)
    if not by_place and "plot" not in sheet:
        raise InputError(f"{path} has neither a column plot nor columns row and column ({', '.join(sheet.columns)})")
    keys = _ids_by_place(sheet, path, protocol) if by_place else [as_id(value) for value in sheet["plot"]]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise InputError(f"{path} names plot {twice[0]} twice; correct the sheet (a column site tells sites apart)")
    further = [c for c in sheet.columns if c not in ("plot", "site")]
    records = dict(zip(keys, sheet.to_dict("records"), strict=True))
    if not set(ids) & set(keys):
        raise InputError(f"{path} names plots {some(keys)}, and none of them is here: here are {some(ids)}")
    joined = []
    for plot in plots:
        record = records.get(plot.id, {})
        name = as_id(record["plot"]) if by_place and "plot" in record else plot.id
        attributes = {**plot.attributes, **{column: record.get(column) for column in further}}
        joined.append(replace(plot, id=name, attributes=attributes))
    check_ids(joined, path)
    notes = [*table.notes]
    if unnamed := [key for key in ids if key not in records]:
        notes.append(f"{path.name} says nothing of plot {', '.join(unnamed)}")
    if unseen := [key for key in keys if key not in ids]:
        notes.append(f"plot {', '.join(unseen)} of {path.name} is not in the image")
    return joined, tuple(notes)


def _ids_by_place(sheet: pd.DataFrame, path: Path, protocol: PlotProtocol) -> list[str]:
    """Return the id that the lattice gives to the plot in each row and column of a sheet."""
    places = [numbers(sheet[name]) for name in ("row", "column")]
    for values, most, name in zip(places, (protocol.rows, protocol.columns), ("row", "column"), strict=True):
        if not values.isin(range(1, most + 1)).all():
            raise InputError(f"{path}: column {name} is not all of 1 to {most}; correct it, or pass `{name}s`")
    names = plot_names(protocol.rows * protocol.columns)
    return [names[int(row - 1) * protocol.columns + int(column - 1)] for row, column in zip(*places, strict=True)]
