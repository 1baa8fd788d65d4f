from .crop_pool import CropPool, GroundPiece
from .pretraining import Pretraining
from .pretraining_options import PretrainingOptions

__all__ = ["CropPool", "GroundPiece", "Pretraining", "PretrainingOptions"]
