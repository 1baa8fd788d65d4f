"""Stable Diffusion 1.5's architecture with random weights: speed does not depend on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from tests.diffusion.tiny import NOISE, make_tokenizer

TILE_PX = 250
VOCABULARY = 49_408
"""Tokens of CLIP."""


def make_sd15(folder: Path, device: torch.device) -> Path:
    """Write Stable Diffusion 1.5 as ``from_pretrained`` of diffusers reads it, in float16 (2.1 GB).

    Parameters
    ----------
    folder : pathlib.Path
        To make.
    device : torch.device
        Where the weights are drawn: a GPU is done in seconds.
    """
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    tokenizer = make_tokenizer(VOCABULARY)
    torch.manual_seed(0)
    with device:
        unet = UNet2DConditionModel(
            sample_size=64,
            in_channels=4,
            out_channels=4,
            layers_per_block=2,
            block_out_channels=(320, 640, 1280, 1280),
            down_block_types=(*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
            up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
            cross_attention_dim=768,
            attention_head_dim=8,  # the number of heads: the name is a slip of old that checkpoints keep
        )
        vae = AutoencoderKL(
            sample_size=512,
            latent_channels=4,
            layers_per_block=2,
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            scaling_factor=0.18215,
        )
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
                max_position_embeddings=77,
                hidden_act="quick_gelu",
                projection_dim=768,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    pipeline = StableDiffusionPipeline(
        vae=vae.half(),  # type: ignore[attr-defined]
        unet=unet.half(),  # type: ignore[attr-defined]
        text_encoder=text_encoder.half(),
        tokenizer=tokenizer,
        scheduler=PNDMScheduler(**NOISE, skip_prk_steps=True, steps_offset=1, set_alpha_to_one=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)  # type: ignore[attr-defined]
    return folder


def write_tiles(folder: Path, count: int) -> list[Path]:
    """Write PNG tiles of grass-like noise, 250 px a side."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    paths = [folder / f"t{number:02d}.png" for number in range(count)]
    for path in paths:
        coarse = rng.integers(40, 200, (TILE_PX // 5, TILE_PX // 5, 3)).astype(np.uint8)
        cv2.imwrite(str(path), cv2.resize(coarse, (TILE_PX, TILE_PX), interpolation=cv2.INTER_CUBIC))
    return paths
