from .light import LIGHTS, Light
from .painted_markers import PaintedMarker, paint_marker
from .site import DrawnSite, LaidMarker, draw_site
from .survey_folder import SimulatedSurvey, simulate_survey
from .survey_options import Camera, SurveyOptions

__all__ = [
    "LIGHTS",
    "Camera",
    "DrawnSite",
    "LaidMarker",
    "Light",
    "PaintedMarker",
    "SimulatedSurvey",
    "SurveyOptions",
    "draw_site",
    "paint_marker",
    "simulate_survey",
]
