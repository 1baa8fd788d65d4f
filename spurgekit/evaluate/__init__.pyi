from .evaluate_options import EvaluateOptions
from .experiment import EvaluateReport, evaluate_arms

__all__ = ["EvaluateOptions", "EvaluateReport", "evaluate_arms"]
