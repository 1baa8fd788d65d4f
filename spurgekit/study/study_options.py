"""What a study compares, and with what it generates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spurgekit.augment import AugmentOptions, InvertOptions
from spurgekit.augment.strengths import parse_strengths
from spurgekit.classify.arms import SYNTHETIC, parse_arms
from spurgekit.classify.backbone_options import BackboneOptions
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.dataset.shots import ALL_SHOTS, SHOTS, TRIALS
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.errors import InputError
from spurgekit.evaluate import EvaluateOptions
from spurgekit.options import kinds_of

REAL_ARMS = (
    "plain", "plain+dihedral", "plain+randaugment", "plain+cutmix", "probe+supervised", "probe", "probe+randaugment",
    "probe+cutmix", "probe+retrieval",
)  # fmt: skip

PUBLISHED_MIXING = 0.5
"""Probability of a synthetic tile in DA-Fusion's reference code."""

PASTED_MIXING = 0.3
"""Share of tiles with pasted plants in their class."""

RIM_PX = 2
"""Pixels of the soft rim of what is pasted, and by which the mask grows that a model paints within."""


@dataclass(frozen=True, kw_only=True)
class StudyOptions(FoldOptions, BackboneOptions):
    """What to compare, and with what to generate.

    Attributes
    ----------
    arms : tuple of str
        Arms without a generator; that of retrieval is left out where there are no unlabelled tiles.

        See :mod:`spurgekit.classify.arms`.
    recipe : {"plain", "probe"}
        How classifiers learn from generated tiles.
    unlabelled : pathlib.Path, optional
        Folder of tiles without labels, to spread labels to and to retrieve from. Default: the dataset's own.
    shots : tuple of int
        Tiles a class.
    trials : int
        Support sets of each number of shots.
    diffusion : str, optional
        The model that generates: a repository of the Hub, or a folder of diffusers'. Default: nothing is generated.
    revision : str, optional
        Commit, branch or tag of the repository. Default: the one that is pinned.
    lora : pathlib.Path, optional
        Folder or file of a LoRA that is merged into it.
    images : int
        Images of each tile.
    mask : pathlib.Path, optional
        Polygons, a mask raster, a folder of masks, or excess-green: what is cut out of tiles and pasted onto other ground.
        Default: what the dataset's own masks have of their class; without any, nothing is pasted.
    learn_steps : int
        Updates of each word that is learned.
    prompts : tuple of str
        Of edits whose strength is chosen. May be repeated. Default: 'a drone photo of {concept}'.
    strengths : tuple of str
        To choose from on the training side.
    guidances : tuple of float
        Weights of the prompt, to choose from on the training side.
    mixings : tuple of float
        Shares of generated tiles in each class, to choose from on the training side.
    choose_trials : int
        Support sets of each number of shots that the choice is made by.
    resolve : float
        The difference that the trials ought to resolve.
    """

    arms: tuple[str, ...] = REAL_ARMS
    recipe: Literal["plain", "probe"] = "probe"
    unlabelled: Path | None = None
    shots: tuple[int, ...] = SHOTS
    trials: int = TRIALS
    diffusion: str | None = None
    revision: str | None = None
    lora: Path | None = None
    images: int = 10
    mask: Path | None = None
    learn_steps: int = 1000
    prompts: tuple[str, ...] = AugmentOptions().prompts
    strengths: tuple[str, ...] = ("0.1", "0.3")
    guidances: tuple[float, ...] = (AugmentOptions().guidance,)
    mixings: tuple[float, ...] = (0.1, 0.3)
    choose_trials: int = 5
    resolve: float = 0.02

    def __post_init__(self) -> None:
        BackboneOptions.__post_init__(self)
        FoldOptions.__post_init__(self)
        arms = parse_arms(self.arms)
        if given := [arm for arm in arms if arm.has(SYNTHETIC)]:
            raise InputError(f"the arm {given[0]} is of generated tiles, which the study makes itself; leave it out of `arms`")
        if self.recipe not in map(str, arms):
            raise InputError(f"`arms` lacks {self.recipe}, which generated tiles are added to; name it")
        for name in ("trials", "images", "learn_steps", "choose_trials"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}={getattr(self, name)}` is too small; pass 1 or more")
        if not self.shots or min(self.shots) < 1 or ALL_SHOTS in self.shots:
            raise InputError("a study is of support sets: pass numbers of tiles a class as `shots`")
        if not self.strengths or not self.guidances or not self.mixings:
            raise InputError("there is nothing to choose from; pass at least one of `strengths`, `guidances` and `mixings`")
        for strength in self.strengths:
            if parse_strengths(strength).depends_on_shots:
                raise InputError(f"the strength {strength!r} is by shots, which the study chooses by; pass each as one")
        if low := [guidance for guidance in self.guidances if not 0 <= guidance < math.inf]:
            raise InputError(f"`guidances` of {low[0]:g} cannot be; pass numbers of 0 or more")
        if wrong := [mixing for mixing in self.mixings if not 0 < mixing < 1]:
            raise InputError(f"`mixings` of {wrong[0]:g} is no share of generated tiles; pass numbers between 0 and 1")
        if self.lora is not None and self.diffusion is None:
            raise InputError("`lora` is merged into a diffusion model; name that as `diffusion`")
        if self.leave_out is not None and self.chooses:
            raise InputError(
                "with `leave_out` every tile is tested on once, and there is no training side to choose by; pass one of "
                "`strengths`, `guidances` and `mixings`"
            )

    @property
    def chooses(self) -> bool:
        """Whether there is something to choose between."""
        return self.diffusion is not None and len(self.strengths) * len(self.guidances) * len(self.mixings) > 1

    @property
    def generator(self) -> dict[str, Any]:
        """What generated tiles depend on, beside the dataset."""
        names = (
            "diffusion", "revision", "lora", "learn_steps", "prompts", "strengths", "guidances", "mixings", "choose_trials",
        )  # fmt: skip
        return {**{name: getattr(self, name) for name in names}, **self.pasted}

    @property
    def pasted(self) -> dict[str, Any]:
        """What tiles depend on that no model makes, beside the dataset."""
        names = ("images", "mask", "unlabelled", "shots", "trials", "seed", "leave_out", "together")
        return {name: getattr(self, name) for name in names}

    def evaluating(self, arms: tuple[str, ...], **changes: Any) -> EvaluateOptions:
        """Return the options of comparing some arms."""
        backbone = {name: getattr(self, name) for name in kinds_of(BackboneOptions)}
        told = {"shots": self.shots, "trials": self.trials, "unlabelled": self.unlabelled, "resolve": self.resolve}
        return EvaluateOptions(**{**backbone, **self._folds, **told, "arms": arms, **changes})

    def learning(self, preset: str, shots: tuple[int, ...], trials: int) -> InvertOptions:
        """Return the options of learning words, at the size that the model was made for."""
        return InvertOptions.of(
            preset, steps=self.learn_steps, size_px=None, shots=shots, trials=trials, seed=self.seed, **self._model
        )

    def making(
        self, preset: str, shots: tuple[int, ...], trials: int, embeddings: Path | None, **changes: Any
    ) -> AugmentOptions:
        """Return the options of making tiles, at the size that the model was made for."""
        told: dict[str, Any] = {
            "images": self.images,
            "inversion": InversionOptions.of(preset, steps=self.learn_steps, size_px=None, seed=self.seed),
            **({} if preset == "published" else {"prompts": self.prompts}),
            **({} if embeddings is None else {"embeddings": embeddings}),
        }
        return AugmentOptions.of(
            preset, size_px=None, shots=shots, trials=trials, seed=self.seed,
            **self._model, **{**told, **changes},
        )  # fmt: skip

    def pasting(self) -> dict[str, Any]:
        """Return what the methods that paste are told, and no other is."""
        return {"mask": self.mask, "unlabelled": self.unlabelled, "feather_px": RIM_PX, "dilate_px": RIM_PX}

    @property
    def _folds(self) -> dict[str, Any]:
        return {"leave_out": self.leave_out, "together": self.together}

    @property
    def _model(self) -> dict[str, Any]:
        return {"backbone": self.diffusion, "revision": self.revision, "lora": self.lora, "device": self.device, **self._folds}
