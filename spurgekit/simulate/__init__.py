"""Made-up surveys whose truth is known to the pixel, for the demo, for tests and for benchmarks."""

from spurgekit.simulate.camera import Camera
from spurgekit.simulate.painted_markers import PaintedMarker, paint_marker
from spurgekit.simulate.site import DrawnSite, LaidMarker, draw_site
from spurgekit.simulate.survey_folder import SimulatedSurvey, simulate_survey
from spurgekit.simulate.survey_options import SurveyOptions

__all__ = [
    "Camera",
    "DrawnSite",
    "LaidMarker",
    "PaintedMarker",
    "SimulatedSurvey",
    "SurveyOptions",
    "draw_site",
    "paint_marker",
    "simulate_survey",
]
