"""The plots that ground markers mark out, and the lattice that they lie on."""

from spurgekit.plots.plot import Plot
from spurgekit.plots.protocol import PlotProtocol

__all__ = ["Plot", "PlotProtocol"]
