from .allocation import allocate, sample_size
from .assessment import Assessment, ClassAccuracy, Interval, StratumCount, assess_map, format_assessment
from .check_options import AssessOptions, CheckOptions
from .drawing import CheckReport, draw_check
from .estimates import UNLABELLED, AccuracyEstimates, Estimate, estimate_accuracy
from .intervals import share_limits, sum_limits, wilson_limits
from .sample import Sample, SampledCell, Stratum, read_sample

__all__ = [
    "UNLABELLED",
    "AccuracyEstimates",
    "AssessOptions",
    "Assessment",
    "CheckOptions",
    "CheckReport",
    "ClassAccuracy",
    "Estimate",
    "Interval",
    "Sample",
    "SampledCell",
    "Stratum",
    "StratumCount",
    "allocate",
    "assess_map",
    "draw_check",
    "estimate_accuracy",
    "format_assessment",
    "read_sample",
    "sample_size",
    "share_limits",
    "sum_limits",
    "wilson_limits",
]
