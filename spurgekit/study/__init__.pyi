from .choosing import Choice
from .study import StudyReport, run_study
from .study_options import StudyOptions

__all__ = ["Choice", "StudyOptions", "StudyReport", "run_study"]
