"""Small diffusion models of the real classes with random weights, as folders that diffusers loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from spurgekit.seeds import seeded

WIDTH = 32
SIDE = 64
"""Pixels a side that the models are made for: 8 latents."""

NOISE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
"""Of Stable Diffusion 1.x and SDXL."""

XL = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 6 * 8 + WIDTH}
"""How the UNet of SDXL is told the size of the image, beside the prompt."""


def make_tiny(
    folder: Path,
    weights: Path,
    *,
    kind: Literal["sd", "sdxl"] = "sd",
    inpaints: bool = False,
    vae: Literal["kl", "taesd"] = "kl",
) -> Path:
    """Write a Stable Diffusion or SDXL of about 0.3 M parameters, with the real tokenizer.

    Parameters
    ----------
    folder : pathlib.Path
        To make.
    weights : pathlib.Path
        The folder of shared weights, with ``clip_tokenizer`` and ``taesd``.
    inpaints : bool
        Give the UNet 9 input channels.
    vae : {"kl", "taesd"}
        A small ``AutoencoderKL`` of random weights, or the real, small TAESD.
    """
    from diffusers import (
        AutoencoderKL,
        AutoencoderTiny,
        PNDMScheduler,
        StableDiffusionInpaintPipeline,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )

    is_xl = kind == "sdxl"
    tokenizer = make_tokenizer(weights)
    with seeded(0):
        encoders = [_text_encoder(tokenizer, projects=bool(number)) for number in range(2 if is_xl else 1)]
        unet = UNet2DConditionModel(
            sample_size=SIDE // 8,
            in_channels=9 if inpaints else 4,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=2 * WIDTH if is_xl else WIDTH,
            attention_head_dim=8,
            **(XL if is_xl else {}),
        )
        if vae == "taesd":
            coder = AutoencoderTiny.from_pretrained(weights / "taesd")
        else:
            coder = AutoencoderKL(
                block_out_channels=(32, 32, 64, 64),
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                layers_per_block=1,
                latent_channels=4,
                scaling_factor=0.13025 if is_xl else 0.18215,
            )
    scheduler = PNDMScheduler(**NOISE, skip_prk_steps=True, steps_offset=1)
    parts = {"vae": coder, "unet": unet, "scheduler": scheduler, "text_encoder": encoders[0], "tokenizer": tokenizer}
    if is_xl:
        pipeline = StableDiffusionXLPipeline(**parts, text_encoder_2=encoders[1], tokenizer_2=tokenizer)
    else:
        cls = StableDiffusionInpaintPipeline if inpaints else StableDiffusionPipeline
        pipeline = cls(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def make_tokenizer(weights: Path):
    """Return CLIP's tokenizer from its vocabulary and merges."""
    from transformers import CLIPTokenizer

    folder = weights / "clip_tokenizer"
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    return CLIPTokenizer(vocab=vocabulary, merges=[tuple(line.split()) for line in merges if line], model_max_length=77)


def _text_encoder(tokenizer, *, projects: bool):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=37,
        num_hidden_layers=5,
        num_attention_heads=4,
        max_position_embeddings=77,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return (CLIPTextModelWithProjection if projects else CLIPTextModel)(config)
