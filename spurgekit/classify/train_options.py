"""How to train a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from spurgekit.classify.arms import DEFAULT_ARM, parse_arm
from spurgekit.classify.backbone_options import BackboneOptions
from spurgekit.classify.training.finetune_options import FinetuneOptions
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.errors import InputError
from spurgekit.text import check_formulas


@dataclass(frozen=True, kw_only=True)
class ArmOptions(BackboneOptions):
    """What arms need beside a backbone.

    Attributes
    ----------
    synthetic : pathlib.Path or mapping of str to pathlib.Path, optional
        An augmented/ folder, for +synthetic; of several each with a name, for +synthetic:NAME.
    mixing : float, optional
        Share of synthetic or retrieved tiles in each class. Default: by the shots.
    unlabelled : pathlib.Path, optional
        Folder of tiles without labels, to spread labels to and to retrieve from. Default: the dataset's own.
    calibration : {"temperature", "vector", "none"}
        How probabilities are made to mean what they say, on training places that are held out in turn.
    finetuning : FinetuneOptions
        Of ``lora`` and ``finetune``; what learns, augmentation, precision and seed are those of the arm.
    """

    synthetic: Path | Mapping[str, Path] | None = None
    mixing: float | None = None
    unlabelled: Path | None = None
    calibration: Literal["temperature", "vector", "none"] = "temperature"
    finetuning: FinetuneOptions = field(default_factory=FinetuneOptions)

    def __post_init__(self) -> None:
        BackboneOptions.__post_init__(self)
        if self.mixing is not None and not 0 <= self.mixing <= 1:
            raise InputError(f"`mixing={self.mixing}` is not a probability; pass a number from 0 to 1")
        check_formulas("the `synthetic` folder's name", self.folders)  # goes to CSVs of results

    def inputs(self, dataset: Path) -> list[Path]:
        """Return the files and folders that it is made from."""
        return [path for path in (dataset, self.weights, self.unlabelled, *self.folders.values()) if path is not None]

    @property
    def folders(self) -> dict[str, Path]:
        """Folders of synthetic tiles by name; the name of one that has none is empty."""
        if isinstance(self.synthetic, Mapping):
            return {name: Path(path) for name, path in self.synthetic.items()}
        return {} if self.synthetic is None else {"": Path(self.synthetic)}


@dataclass(frozen=True, kw_only=True)
class TrainOptions(ArmOptions):
    """How to train a model.

    Attributes
    ----------
    arm : str
        What to train: a recipe, with augmentations and controls joined by '+'.

        ``probe``, ``lora+dihedral+cutmix``, ...; see :mod:`spurgekit.classify.arms`.
    shots : int
        Tiles a class of the few-shot support set to train on. Default: all tiles.
    trial : int
        Which support set.
    target : {"presence", "cover"}
        What to learn of a tile: which class it is of, or which share of it is covered.

        Cover needs two classes and labels from polygons.
    """

    arm: str = DEFAULT_ARM
    shots: int = ALL_SHOTS
    trial: int = 0
    target: Literal["presence", "cover"] = "presence"

    def __post_init__(self) -> None:
        ArmOptions.__post_init__(self)
        arm = parse_arm(self.arm)
        if arm.has("adapt"):
            raise InputError(f"the arm {arm} is for comparisons; train without adapt, and map with `adapt='site'`")
        if self.target == "presence" and self.target not in arm.recipe.targets:
            raise InputError(f"the arm {arm} learns cover; pass `target=cover`, or another `arm`")
        if self.target == "cover" and ("cover" not in arm.recipe.targets or arm.has("synthetic") or arm.has("retrieval")):
            raise InputError(
                f"the arm {arm} does not learn cover, which is for recipes on a frozen backbone and real tiles; "
                "pass another `arm`, or leave out `target`"
            )
