"""Options that say how plots are laid out and what their markers look like."""

from __future__ import annotations

from collections.abc import Mapping

from spurgekit.cli.declared import options_of
from spurgekit.plots.protocol import PlotProtocol
from spurgekit.tiles.tile_options import PlotOptions

FLAGS: Mapping[str, str] = {
    "rows": "--plot-rows",
    "columns": "--plot-columns",
    "size_m": "--plot-size",
    "gaps_m": "--gap",
    "file": "--plots",
}
"""What options of plots are called beside those of tiles."""

METAVARS: Mapping[str, str] = {"marker_color": "R,G,B", "snap_m": "M", "gcp_crs": "CRS"}

protocol = options_of(PlotProtocol, flags=FLAGS, metavars=METAVARS)
plots = options_of(PlotOptions, flags=FLAGS, metavars=METAVARS)
