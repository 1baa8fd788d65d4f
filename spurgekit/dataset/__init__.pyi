from .build import build_dataset
from .dataset_options import DatasetOptions
from .leafy_spurge import fetch_dataset
from .light_series import LightSeries, fetch_light_series
from .orthomosaic import Orthomosaic, fetch_orthomosaic
from .preview import preview_tiles
from .publish import push_dataset
from .reader import Dataset, DatasetInfo, open_dataset, read_mask
from .splits import check_leakage
from .splitters import LeaveClustersOut, NewSites, SpatialBlocks, fold_balance
from .validate import validate_dataset

__all__ = [
    "Dataset",
    "DatasetInfo",
    "DatasetOptions",
    "LeaveClustersOut",
    "LightSeries",
    "NewSites",
    "Orthomosaic",
    "SpatialBlocks",
    "build_dataset",
    "check_leakage",
    "fetch_dataset",
    "fetch_light_series",
    "fetch_orthomosaic",
    "fold_balance",
    "open_dataset",
    "preview_tiles",
    "push_dataset",
    "read_mask",
    "validate_dataset",
]
