from .classifier import TileClassifier, load_model
from .export_options import ExportOptions
from .model_info import ModelInfo, read_model_info
from .onnx_export import export_model
from .synthetic_weights import WeighReport, weigh_synthetic
from .train import train_model
from .train_options import TrainOptions
from .weigh_options import WeighOptions

__all__ = [
    "ExportOptions",
    "ModelInfo",
    "TileClassifier",
    "TrainOptions",
    "WeighOptions",
    "WeighReport",
    "export_model",
    "load_model",
    "read_model_info",
    "train_model",
    "weigh_synthetic",
]
