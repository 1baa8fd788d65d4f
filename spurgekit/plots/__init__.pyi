from .locate import LocatedPlots, locate_plots
from .plot import Plot
from .protocol import PlotProtocol

__all__ = ["LocatedPlots", "Plot", "PlotProtocol", "locate_plots"]
