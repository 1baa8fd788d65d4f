from .aligning import CommonGround, Registration
from .areas import change_areas
from .change_options import ChangeOptions
from .comparing import ChangeReport, map_change
from .products import ClassChange
from .registration import Shift, measure_shift
from .transitions import TRANSITIONS, TransitionModel, fit_transitions

__all__ = [
    "TRANSITIONS",
    "ChangeOptions",
    "ChangeReport",
    "ClassChange",
    "CommonGround",
    "Registration",
    "Shift",
    "TransitionModel",
    "change_areas",
    "fit_transitions",
    "map_change",
    "measure_shift",
]
