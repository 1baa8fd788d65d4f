"""Options that say how plots are laid out and what their markers look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from pydantic import ValidationError

from spurgekit.cli.options import PATH, NumberList
from spurgekit.errors import InputError
from spurgekit.plots import PlotProtocol
from spurgekit.survey import Survey
from spurgekit.tiles import PlotOptions


class Metres(click.ParamType):  # type: ignore[type-arg]
    """One length, or two parted by a comma, as a pair."""

    name = "M[,M]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        """Return the pair."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        try:
            first, last = float(parts[0]), float(parts[-1])
        except ValueError:
            self.fail(f"{value!r} is not a length in metres, or two such as 2,2.5", param, ctx)
        if len(parts) > 2:
            self.fail(f"{value!r} is more than two lengths", param, ctx)
        return first, last


_family = click.option("--family", help="Family of the ground markers: cross, checker, aruco-4x4-50, ...  [default: cross]")
_marker_size = click.option("--marker-size", "marker_size_m", type=float, help="Side of a marker in metres.  [default: 0.45]")
_marker_color = click.option("--marker-color", type=NumberList(), metavar="R,G,B", help="Of plain panels and discs.")
_marker_ids = click.option("--marker-ids", type=NumberList(), help="Codes of the markers, row by row from the north-west.")
_plot_size = click.option("--plot-size", "size_m", type=float, help="Side of a plot in metres.  [default: 10]")
_plot_rows = click.option("--plot-rows", "rows", type=click.IntRange(1), help="Rows of plots.  [default: 3]")
_plot_columns = click.option("--plot-columns", "columns", type=click.IntRange(1), help="Columns of plots.  [default: 3]")
_gap = click.option("--gap", "gaps_m", type=Metres(), help="Space between columns and rows of plots.  [default: none]")

_gcp = click.option("--gcp", type=PATH, help="Points of known coordinates, or ODM's list, to georeference the image by.")
_gcp_crs = click.option("--gcp-crs", metavar="CRS", help="CRS of --gcp, if that does not say it.")

PROTOCOL = ("rows", "columns", "size_m", "gaps_m", "marker_ids")
PLOTS = ("file", "family", "marker_size_m", "marker_color", "snap_m", "field_sheet", "gcp", "gcp_crs", "quarters", "inset_m")


def markers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what ground markers look like."""
    return _chain(command, (_family, _marker_size, _marker_color))


def control(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where ground markers are known to be."""
    return _chain(command, (_gcp, _gcp_crs))


def protocol(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how plots are laid out."""
    return _chain(command, (_plot_size, _plot_rows, _plot_columns, _gap, _marker_ids))


def _chain(command: Callable[..., Any], added: Sequence[Callable[[Any], Any]]) -> Callable[..., Any]:
    for option in reversed(added):
        command = option(command)
    return command


def take(chosen: dict[str, Any], survey: Survey | None) -> PlotOptions:
    """Take the options of plots out of those of a command; what was not given there is the survey's.

    Raises
    ------
    InputError
        If they make no layout of plots.
    """
    entries = survey.plots.model_dump(exclude_unset=True, exclude_none=True) if survey else {}
    for name in ("file", "field_sheet", "gcp"):
        if name in entries and survey:
            entries[name] = survey.path(entries[name])
    for name in (*PROTOCOL, *PLOTS):
        if (value := chosen.pop(name, None)) is not None:
            entries[name] = value
    try:
        protocol = PlotProtocol(**{name: entries[name] for name in PROTOCOL if name in entries})
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise InputError(f"the layout of plots: {where}{first['msg'].removeprefix('Value error, ')}") from error
    return PlotOptions(protocol=protocol, **{name: entries[name] for name in PLOTS if name in entries})
