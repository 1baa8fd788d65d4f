from .accuracy import AssessOptions, CheckOptions, assess_map, draw_check
from .augment import AugmentOptions, InvertOptions, augment_dataset, invert_classes
from .change import ChangeOptions, map_change
from .classify import (
    ModelInfo,
    OnnxOptions,
    TileClassifier,
    TrainOptions,
    WeighOptions,
    export_model,
    load_model,
    push_model,
    read_model_info,
    train_model,
    weigh_synthetic,
)
from .dataset import (
    Dataset,
    DatasetOptions,
    build_dataset,
    fetch_dataset,
    fetch_light_series,
    fetch_orthomosaic,
    open_dataset,
    preview_tiles,
    push_dataset,
    validate_dataset,
)
from .demo import compare_with_truth, run_demo
from .errors import SpurgekitError
from .evaluate import EvaluateOptions, evaluate_arms
from .export import ExportOptions, export_map
from .imagery import PixelGrid, Raster, open_raster, read_image_info
from .maps import MapOptions, map_site
from .markers import MarkerOptions, list_markers
from .next_survey import NextSurveyOptions, plan_survey
from .plots import PlotProtocol, locate_plots
from .pretrain import PretrainOptions, pretrain_backbone
from .record_table import RecordTable, Taxon
from .review import ReviewOptions, review_report, review_tiles
from .simulate import SurveyOptions, simulate_survey
from .study import StudyOptions, run_study
from .survey import Survey, init_survey, read_survey
from .tiles import PlotOptions, TileOptions, read_tiles, tile_images

__version__: str

__all__ = [
    "AssessOptions",
    "AugmentOptions",
    "ChangeOptions",
    "CheckOptions",
    "Dataset",
    "DatasetOptions",
    "EvaluateOptions",
    "ExportOptions",
    "InvertOptions",
    "MapOptions",
    "MarkerOptions",
    "ModelInfo",
    "NextSurveyOptions",
    "OnnxOptions",
    "PixelGrid",
    "PlotOptions",
    "PlotProtocol",
    "PretrainOptions",
    "Raster",
    "RecordTable",
    "ReviewOptions",
    "SpurgekitError",
    "StudyOptions",
    "Survey",
    "SurveyOptions",
    "Taxon",
    "TileClassifier",
    "TileOptions",
    "TrainOptions",
    "WeighOptions",
    "assess_map",
    "augment_dataset",
    "build_dataset",
    "compare_with_truth",
    "draw_check",
    "evaluate_arms",
    "export_map",
    "export_model",
    "fetch_dataset",
    "fetch_light_series",
    "fetch_orthomosaic",
    "init_survey",
    "invert_classes",
    "list_markers",
    "load_model",
    "locate_plots",
    "map_change",
    "map_site",
    "open_dataset",
    "open_raster",
    "plan_survey",
    "pretrain_backbone",
    "preview_tiles",
    "push_dataset",
    "push_model",
    "read_image_info",
    "read_model_info",
    "read_survey",
    "read_tiles",
    "review_report",
    "review_tiles",
    "run_demo",
    "run_study",
    "simulate_survey",
    "tile_images",
    "train_model",
    "validate_dataset",
    "weigh_synthetic",
]
