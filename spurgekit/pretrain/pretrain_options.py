"""From what, and how, a diffusion backbone of a survey's own is trained, and what judges it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path

from spurgekit.diffusion.checkpoint_options import CheckpointOptions
from spurgekit.diffusion.pretraining.pretraining_options import PretrainingOptions
from spurgekit.errors import InputError
from spurgekit.options import kinds_of

OF_NEW = ("vae", "tokenizer", "text_encoder", "unet", "prediction_type")
OF_LORA = ("backbone", "revision", "lora_rank")
"""Options that only a model that is new has, and that only a LoRA of another one has."""


@dataclass(frozen=True, kw_only=True)
class PretrainOptions(PretrainingOptions):
    """From what, and how, a diffusion backbone of a survey's own is trained, and what judges it.

    Attributes
    ----------
    vae : pathlib.Path, optional
        Folder of the VAE, or of a checkpoint that has one: Stable Diffusion's, or TAESD, which is small. Needed.
    tokenizer : pathlib.Path, optional
        Folder of CLIP's vocabulary, or of a checkpoint that has it. Needed.
    text_encoder : pathlib.Path, optional
        Folder of a CLIPTextModel, or of a checkpoint that has one, which is not trained. Default: a small one is trained.
    lora : bool
        Train a LoRA of a model that is there, in place of a new model.

        Layers of low rank on the attention of its UNet. All else is that model's: VAE, tokenizer, text encoder, size, and what
        it predicts.
    backbone : str, optional
        The model that a LoRA is trained of: a repository of the Hub, or a folder of diffusers'.
    revision : str, optional
        Commit, branch or tag of the repository. Default: the one that is pinned.
    lora_rank : int
        Rank of the layers of a LoRA.
    tile_px : int
        Side of a tile of images, in their pixels; folders of tiles say it themselves.
    gsd_m : float, optional
        Metres a pixel to resample images to. Default: the image's.
    bands : tuple of int, optional
        Red, green and blue of images, counted from 1. Default: as the file says.
    nodata : float, optional
        Value of pixels of images without data, whatever the file says.
    without : pathlib.Path, optional
        Polygons of ground of images that the model never sees, such as that of test tiles; it is not judged by it either.
    without_crs : str, optional
        CRS of ``without``, if the file does not say it.
    held_out : float
        Share of places that nothing is learned from, and that judge the model; 0: none, and it is not judged.
    leave_out : str, optional
        Column of tiles whose values are places. Default: blocks of ground of 8 x 8 tiles; a dataset's own split.
    samples : int
        Tiles that are painted and compared with held-out ones whenever the model is looked at.
    judge_backbone : str, optional
        Model of timm in whose features tiles are compared. Default: that of the extra ``offline``, where it is installed.
    judge_weights : pathlib.Path, optional
        Local safetensors for it, or a folder with model.safetensors.
    licence : str, optional
        Of the model, for its card, by the name that the Hub knows it by, such as cc-by-sa-4.0.
    """

    vae: Path | None = None
    tokenizer: Path | None = None
    text_encoder: Path | None = None
    lora: bool = False
    backbone: str | None = None
    revision: str | None = None
    lora_rank: int = 8
    tile_px: int = 250
    gsd_m: float | None = None
    bands: tuple[int, ...] | None = None
    nodata: float | None = None
    without: Path | None = None
    without_crs: str | None = None
    held_out: float = 0.2
    leave_out: str | None = None
    samples: int = 256
    judge_backbone: str | None = None
    judge_weights: Path | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        PretrainingOptions.__post_init__(self)
        self._check_lora()
        if self.tile_px < 16:
            raise InputError(f"`tile_px={self.tile_px}` is too small; pass 16 or more")
        if self.gsd_m is not None and not (isfinite(self.gsd_m) and self.gsd_m > 0):
            raise InputError(f"`gsd_m={self.gsd_m}` is no ground sample distance; pass a positive number of metres")
        if self.without is None and self.without_crs is not None:
            raise InputError("`without_crs` says something of `without`, which is not given; leave it out, or pass `without`")
        if not 0 <= self.held_out < 1:
            raise InputError(f"`held_out={self.held_out:g}` is no share below 1; pass e.g. 0.2")
        if self.samples < 32:
            raise InputError(f"`samples={self.samples}` are too few to compare; pass 32 or more")
        if self.judge_weights is not None and self.judge_backbone is None:
            raise InputError("`judge_weights` are of a model of timm; name it as `judge_backbone`")

    def _check_lora(self) -> None:
        """Raise an InputError if options are of a new model and of a LoRA."""
        if self.lora_rank < 1:
            raise InputError(f"`lora_rank={self.lora_rank}` is too small; pass 1 or more")
        defaults = {field.name: field.default for field in fields(self)}
        given = [name for name in (OF_NEW if self.lora else OF_LORA) if getattr(self, name) != defaults[name]]
        if given and self.lora:
            raise InputError(f"`{given[0]}` is of a model that is new, and a LoRA has that of its `backbone`; leave it out")
        if given:
            raise InputError(f"`{given[0]}` is of a LoRA; pass `lora` with it, or leave it out")
        if self.lora and self.backbone is None:
            raise InputError("a LoRA is of a model that is there; pass its folder, or its name on the Hub, as `backbone`")

    @property
    def checkpoint(self) -> CheckpointOptions | None:
        """The model that a LoRA is trained of, in float32; None of a new model."""
        if not self.lora:
            return None
        return CheckpointOptions(backbone=self.backbone, revision=self.revision, precision="float32", device=self.device)

    @property
    def training(self) -> PretrainingOptions:
        """How the model is trained, without what from."""
        return PretrainingOptions(**{name: getattr(self, name) for name in kinds_of(PretrainingOptions)})
