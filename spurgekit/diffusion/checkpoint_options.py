"""Which diffusion model, and where it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spurgekit.options import Options

if TYPE_CHECKING:
    from typing import Self

    from spurgekit.diffusion.latent_model import Backbone, BackboneInfo

ModelPrecision = Literal["auto", "float32", "float16", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions(Options):
    """Which diffusion model, and where it runs; see :func:`spurgekit.diffusion.load.load_backbone`.

    Attributes
    ----------
    backbone : str, optional
        Stable Diffusion or SDXL: a repository of the Hub, or a folder of diffusers'. Default: Stable Diffusion 1.5.
    revision : str, optional
        Commit, branch or tag of the repository. Default: the one that is pinned.
    lora : pathlib.Path, optional
        Folder or file of a LoRA that is merged into it.
    unet : pathlib.Path, optional
        Weights in the place of its UNet's, such as of one that a class was erased from: safetensors, or diffusers' folder.
    precision : {"auto", "float32", "float16", "bfloat16"}
        auto: float16 on GPUs (bfloat16 to learn words), float32 elsewhere.
    device : str
        cpu, cuda, cuda:1, ...; auto is a GPU where there is one.
    safety_checker : bool
        Keep back what the model's safety checker flags.
    """

    backbone: str | None = None
    revision: str | None = None
    lora: Path | None = None
    unet: Path | None = None
    precision: ModelPrecision = "auto"
    device: str = "auto"
    safety_checker: bool = False

    def look_up(self, device: str | None = None) -> BackboneInfo:
        """Return what it is, having fetched its files, but without loading it."""
        from spurgekit.diffusion.load import check_backbone

        return check_backbone(**self._told(device))

    def load(self, device: str | None = None) -> Backbone:
        """Load it, on its device or another."""
        from spurgekit.diffusion.load import load_backbone

        return load_backbone(**self._told(device))

    def at_commit(self, info: BackboneInfo) -> Self:
        """Return the same model at the commit that was looked up: a branch may have moved on since."""
        from spurgekit.diffusion.checkpoint_files import is_local

        return self if is_local(info.name) else replace(self, revision=info.revision)

    def _told(self, device: str | None) -> dict[str, Any]:
        from spurgekit.diffusion.load import DEFAULT

        told = {name: getattr(self, name) for name in ("revision", "lora", "unet", "precision", "safety_checker")}
        return {"name": self.backbone or DEFAULT, "device": device or self.device, **told}
