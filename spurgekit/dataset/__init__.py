"""Datasets: labelled tiles, split by place, in a form that the usual readers know."""

from spurgekit.dataset.build import DatasetOptions, build_dataset
from spurgekit.dataset.folder import Dataset, DatasetInfo, open_dataset

__all__ = ["Dataset", "DatasetInfo", "DatasetOptions", "build_dataset", "open_dataset"]
