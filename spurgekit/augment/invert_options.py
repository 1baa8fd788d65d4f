"""What is taught to a diffusion model, and how."""

from __future__ import annotations

from dataclasses import dataclass

from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.diffusion.checkpoint_options import CheckpointOptions
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.options import kinds_of


@dataclass(frozen=True, kw_only=True)
class InvertOptions(FoldOptions, InversionOptions, CheckpointOptions):
    """What is taught to a diffusion model, and how.

    Attributes
    ----------
    shots : tuple of int
        Tiles a class of the support sets that are learned from. Default: all, the training split.
    trials : int
        Support sets of each number of shots.
    """

    shots: tuple[int, ...] = (ALL_SHOTS,)
    trials: int = 20

    def __post_init__(self) -> None:
        InversionOptions.__post_init__(self)
        FoldOptions.__post_init__(self)

    @property
    def inversion(self) -> InversionOptions:
        """How words are learned, without what they are learned from."""
        return InversionOptions(**{name: getattr(self, name) for name in kinds_of(InversionOptions)})
