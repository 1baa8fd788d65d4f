"""Ground markers, the plots that they mark out, and how plots become tiles."""

from spurgekit.plots.marker import Marker, MarkerDetector
from spurgekit.plots.plot import Plot
from spurgekit.plots.protocol import PlotProtocol

__all__ = ["Marker", "MarkerDetector", "Plot", "PlotProtocol"]
