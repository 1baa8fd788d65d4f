"""What a run of ``augment`` starts from, what it says before it starts, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from spurgekit.augment.estimate import CostEstimate
from spurgekit.augment.mask_sources import MaskOptions
from spurgekit.augment.workers import BackboneChoice
from spurgekit.dataset.few_shot import ALL_SHOTS
from spurgekit.diffusion.latent_model import BackboneInfo
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions


@dataclass(frozen=True, slots=True)
class AugmentInputs:
    """What synthetic tiles are made from, and where.

    Attributes
    ----------
    dataset : pathlib.Path
    shots : tuple of int
        Of the support sets; ``ALL_SHOTS`` is the whole training split.
    trials : int
        The most support sets of each number of shots.
    backbone : BackboneChoice
    devices : tuple of str
        Which share the work.
    embeddings : pathlib.Path
        Folder of what was learned; where there is none, it is learned first and put there.
    inversion : InversionOptions
        How to learn.
    masks : pathlib.Path, optional
        Where tiles may change: polygons, a raster, or a folder of images named by tile.
    mask_crs : str, optional
        Where they do not say it.
    mask_options : MaskOptions
    """

    dataset: Path
    shots: tuple[int, ...] = (ALL_SHOTS,)
    trials: int = 20
    backbone: BackboneChoice = field(default_factory=BackboneChoice)
    devices: tuple[str, ...] = ("cpu",)
    embeddings: Path = Path("embeddings")
    inversion: InversionOptions = field(default_factory=InversionOptions)
    masks: Path | None = None
    mask_crs: str | None = None
    mask_options: MaskOptions = field(default_factory=MaskOptions)


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
    backbone : BackboneInfo
    checks_safety : bool
        Whether the model's safety checker looks at the images.
    devices : tuple of str
    """

    estimate: CostEstimate
    resumed: int
    sets: int
    folder: Path
    backbone: BackboneInfo
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
