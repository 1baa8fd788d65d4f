"""More training tiles than there are: turned, recoloured, mixed, or made by a diffusion model."""

from spurgekit.augment.augmentation import CHOICES, Augmentation, Choice, parse_augmentation
from spurgekit.augment.manifest import check_sources, mixing_probability, read_manifest, select_synthetic

__all__ = [
    "CHOICES",
    "Augmentation",
    "Choice",
    "check_sources",
    "mixing_probability",
    "parse_augmentation",
    "read_manifest",
    "select_synthetic",
]
