from .augment_options import AugmentOptions
from .augment_report import Announcement, AugmentReport
from .augmentation import AUGMENTATIONS, Augmentation, AugmentationStep, parse_augmentation
from .embeddings import EmbeddingsInfo
from .generation import augment_dataset
from .invert_options import InvertOptions
from .learning import InversionPlan, invert_classes
from .manifest import check_sources, mixing_probability, read_manifest, select_synthetic
from .methods import METHODS, AugmentMethod

__all__ = [
    "AUGMENTATIONS",
    "METHODS",
    "Announcement",
    "AugmentMethod",
    "AugmentOptions",
    "AugmentReport",
    "Augmentation",
    "AugmentationStep",
    "EmbeddingsInfo",
    "InversionPlan",
    "InvertOptions",
    "augment_dataset",
    "check_sources",
    "invert_classes",
    "mixing_probability",
    "parse_augmentation",
    "read_manifest",
    "select_synthetic",
]
