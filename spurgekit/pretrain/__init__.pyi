from .backbone_card import PretrainedInfo
from .pretrain_options import PretrainOptions
from .pretraining import PretrainingPlan, pretrain_backbone

__all__ = ["PretrainOptions", "PretrainedInfo", "PretrainingPlan", "pretrain_backbone"]
