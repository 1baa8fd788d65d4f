from .pretrain_options import PretrainOptions
from .pretraining import PretrainedInfo, PretrainingPlan, pretrain_backbone

__all__ = ["PretrainOptions", "PretrainedInfo", "PretrainingPlan", "pretrain_backbone"]
