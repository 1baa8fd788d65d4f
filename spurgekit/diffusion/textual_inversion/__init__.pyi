from .inversion import Learned, check_inversion, invert
from .inversion_options import InversionOptions
from .training_samples import InversionTask

__all__ = ["InversionOptions", "InversionTask", "Learned", "check_inversion", "invert"]
