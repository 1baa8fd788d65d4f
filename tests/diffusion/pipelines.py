"""Plain pipelines of diffusers, to compare with, and backbones of their parts."""

from __future__ import annotations

from pathlib import Path

import torch

from spurgekit.diffusion.latent_model import Backbone, BackboneInfo
from spurgekit.diffusion.library_logs import quiet
from spurgekit.diffusion.schedulers import make_scheduler

SIDE = 64


def load_pipeline(folder: Path, name: str, **parts):
    """Return a pipeline of diffusers that says nothing."""
    import diffusers

    with quiet():
        pipeline = getattr(diffusers, name).from_pretrained(folder, **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def backbone_of(pipeline, dtype: torch.dtype = torch.float32) -> Backbone:
    """Return a backbone of a pipeline's own networks, or of copies in another type."""
    is_xl = hasattr(pipeline, "text_encoder_2")
    backbone = Backbone(
        BackboneInfo("tiny", None, None, "sdxl" if is_xl else "sd", SIDE, inpaints=pipeline.unet.config.in_channels == 9),
        unet=pipeline.unet,
        vae=pipeline.vae,
        tokenizers=(pipeline.tokenizer, pipeline.tokenizer_2) if is_xl else (pipeline.tokenizer,),
        text_encoders=(pipeline.text_encoder, pipeline.text_encoder_2) if is_xl else (pipeline.text_encoder,),
        scheduler=pipeline.scheduler,
        device=torch.device("cpu"),
    )
    return backbone if dtype == torch.float32 else backbone.in_dtype(dtype)


def scheduled(pipeline, name: str):
    """Give a pipeline a scheduler by its name here; return the pipeline and another such scheduler."""
    backbone = backbone_of(pipeline)
    pipeline.register_modules(scheduler=make_scheduler(backbone, name))
    return pipeline, make_scheduler(backbone, name)
