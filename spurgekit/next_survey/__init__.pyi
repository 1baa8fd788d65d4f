from .choosing import choose_tiles
from .next_survey_options import NextSurveyOptions
from .planning import NextSurveyReport, plan_survey

__all__ = ["NextSurveyOptions", "NextSurveyReport", "choose_tiles", "plan_survey"]
