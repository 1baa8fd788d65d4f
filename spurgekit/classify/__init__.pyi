from .classifier import TileClassifier, load_model
from .model_info import ModelInfo, read_model_info
from .onnx_export import export_model
from .onnx_options import OnnxOptions
from .publish import push_model
from .synthetic_weights import WeighReport, weigh_synthetic
from .train import train_model
from .train_options import TrainOptions
from .weigh_options import WeighOptions

__all__ = [
    "ModelInfo",
    "OnnxOptions",
    "TileClassifier",
    "TrainOptions",
    "WeighOptions",
    "WeighReport",
    "export_model",
    "load_model",
    "push_model",
    "read_model_info",
    "train_model",
    "weigh_synthetic",
]
