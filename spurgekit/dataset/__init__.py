"""Datasets: labelled tiles, split by place, in a form that the usual readers know."""

from spurgekit.dataset.build import build_dataset
from spurgekit.dataset.dataset_options import DatasetOptions
from spurgekit.dataset.reader import Dataset, DatasetInfo, open_dataset
from spurgekit.dataset.splits import check_leakage
from spurgekit.dataset.splitters import LeaveClustersOut, NewSites, SpatialBlocks, fold_balance

__all__ = [
    "Dataset",
    "DatasetInfo",
    "DatasetOptions",
    "LeaveClustersOut",
    "NewSites",
    "SpatialBlocks",
    "build_dataset",
    "check_leakage",
    "fold_balance",
    "open_dataset",
]
