from .batch_order import FinetuneTiles, read_pixels
from .finetune_options import FinetuneOptions, FinetuneReport
from .network import Network

__all__ = ["FinetuneOptions", "FinetuneReport", "FinetuneTiles", "Network", "read_pixels"]
