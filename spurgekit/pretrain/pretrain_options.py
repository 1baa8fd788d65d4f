"""From what, and how, a diffusion backbone of a survey's own is trained, and what judges it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from spurgekit.diffusion.pretraining.pretraining_options import PretrainingOptions
from spurgekit.errors import InputError
from spurgekit.options import kinds_of


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
    tile_px: int = 250
    gsd_m: float | None = None
    bands: tuple[int, ...] | None = None
    nodata: float | None = None
    without: Path | None = None
    held_out: float = 0.2
    leave_out: str | None = None
    samples: int = 256
    judge_backbone: str | None = None
    judge_weights: Path | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        PretrainingOptions.__post_init__(self)
        if self.tile_px < 16:
            raise InputError(f"`tile_px={self.tile_px}` is too small; pass 16 or more")
        if self.gsd_m is not None and not (isfinite(self.gsd_m) and self.gsd_m > 0):
            raise InputError(f"`gsd_m={self.gsd_m}` is no ground sample distance; pass a positive number of metres")
        if not 0 <= self.held_out < 1:
            raise InputError(f"`held_out={self.held_out:g}` is no share below 1; pass e.g. 0.2")
        if self.samples < 32:
            raise InputError(f"`samples={self.samples}` are too few to compare; pass 32 or more")
        if self.judge_weights is not None and self.judge_backbone is None:
            raise InputError("`judge_weights` are of a model of timm; name it as `judge_backbone`")

    @property
    def training(self) -> PretrainingOptions:
        """How the model is trained, without what from."""
        return PretrainingOptions(**{name: getattr(self, name) for name in kinds_of(PretrainingOptions)})
