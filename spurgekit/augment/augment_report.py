"""What a run of ``augment`` says before it starts, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spurgekit.augment.estimate import CostEstimate
from spurgekit.diffusion.latent_model import BackboneInfo


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is known before the first image is made.

    Attributes
    ----------
    estimate : CostEstimate
    resumed : int
        Images that are there already.
    sets : int
    folder : pathlib.Path
    backbone : BackboneInfo or None
        None: no model makes them.
    checks_safety : bool
        Whether the model's safety checker looks at the images.
    devices : tuple of str
    """

    estimate: CostEstimate
    resumed: int
    sets: int
    folder: Path
    backbone: BackboneInfo | None
    checks_safety: bool
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AugmentReport:
    """What was made.

    Attributes
    ----------
    folder : pathlib.Path
    images : int
        In the folder.
    resumed : int
        Of them, made by an earlier run.
    rows : int
        Of the manifest.
    in_float32 : int
        Images that were not finite in half precision and made again.
    blanked : int
        Images that the safety checker kept back.
    duplicates : int
        Rows of weight 0, since they show what another one shows.
    seconds : float
        That making them took.
    """

    folder: Path
    images: int
    resumed: int
    rows: int
    in_float32: int
    blanked: int
    duplicates: int
    seconds: float
