"""Small diffusion models of the real classes with random weights, as folders that diffusers loads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spurgekit.seeds import seeded

if TYPE_CHECKING:  # what takes seconds to import is imported where a model is made
    from diffusers import ModelMixin
    from transformers import CLIPTokenizer

WIDTH = 32
UNET_TERMS = 15_000
TEXT_TERMS = 1_000
"""About how many numbers are added up in a pass of the UNet, and of a text encoder; see :mod:`tests.rounding`."""

LENGTH = 77
"""Tokens that a text encoder reads, marks of beginning and end among them."""

WORDS = {
    "a": 1, "aerial": 1, "an": 1, "beside": 1, "drone": 1, "from": 1, "grassland": 1, "in": 1, "leafy": 1, "of": 1, "photo": 1,
    "plant": 1, "sand": 1, "snow": 1, "spurge": 2, "the": 1, "trail": 1, "weed": 1,
}  # fmt: skip
"""Of how many tokens words are in the vocabulary of the small models."""

SIDE = 64
"""Pixels a side that the models are made for: 8 latents."""

NOISE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
"""Of Stable Diffusion 1.x and SDXL."""

XL = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 6 * 8 + WIDTH}
"""How the UNet of SDXL is told the size of the image, beside the prompt."""


def make_tiny(
    folder: Path,
    *,
    kind: Literal["sd", "sdxl"] = "sd",
    inpaints: bool = False,
    tokenizer: CLIPTokenizer | None = None,
    vae: ModelMixin | None = None,
) -> Path:
    """Write a Stable Diffusion or SDXL of about 0.3 M parameters.

    Parameters
    ----------
    folder : pathlib.Path
        To make.
    kind : {"sd", "sdxl"}
    inpaints : bool
        Give the UNet 9 input channels.
    tokenizer : CLIPTokenizer, optional
        In place of :func:`make_tokenizer`'s.
    vae : AutoencoderTiny, optional
        In place of a small ``AutoencoderKL`` of random weights.
    """
    from diffusers import (
        AutoencoderKL,
        PNDMScheduler,
        StableDiffusionInpaintPipeline,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )

    is_xl = kind == "sdxl"
    tokenizer = tokenizer or make_tokenizer()
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
        vae = vae or AutoencoderKL(
            block_out_channels=(32, 32, 64, 64),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            latent_channels=4,
            scaling_factor=0.13025 if is_xl else 0.18215,
        )
    scheduler = PNDMScheduler(**NOISE, skip_prk_steps=True, steps_offset=1)
    parts = {"vae": vae, "unet": unet, "scheduler": scheduler, "text_encoder": encoders[0], "tokenizer": tokenizer}
    if is_xl:
        pipeline = StableDiffusionXLPipeline(**parts, text_encoder_2=encoders[1], tokenizer_2=tokenizer)
    else:
        cls = StableDiffusionInpaintPipeline if inpaints else StableDiffusionPipeline
        pipeline = cls(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def make_taesd() -> ModelMixin:
    """Return a TAESD of random weights, whose encoder is certain: it gives latents, and no spread of them."""
    from diffusers import AutoencoderTiny

    stages = {f"{half}_block_out_channels": (8,) * 4 for half in ("encoder", "decoder")}
    blocks = {f"num_{half}_blocks": (1,) * 4 for half in ("encoder", "decoder")}
    with seeded(0):
        return AutoencoderTiny(**stages, **blocks)


def make_tokenizer(size: int = 0) -> CLIPTokenizer:
    """Return CLIP's tokenizer with a vocabulary of ``WORDS``; what else there is in a prompt is read byte by byte.

    A vocabulary that is to have a larger ``size`` gets tokens that no prompt has.

    As in CLIP's own, the bytes come first, then those that end a word, then what is merged, and at last the two marks: the
    end of a prompt has the highest number.
    """
    merges: list[tuple[str, str]] = []
    for word, count in WORDS.items():
        # A merge that comes later stands back behind those before it, so that no word is read otherwise once it is done.
        while len(parts := _tokenizer(merges).tokenize(word)) > count:
            merges.append((parts[0], parts[1]))
    return _tokenizer(merges, size)


def read_tokenizer(folder: Path) -> CLIPTokenizer:
    """Return CLIP's tokenizer from its own vocabulary, ``vocab.json`` and ``merges.txt``."""
    from transformers import CLIPTokenizer

    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    return CLIPTokenizer(vocab=vocabulary, merges=[tuple(line.split()) for line in merges if line], model_max_length=LENGTH)


def _tokenizer(merges: Sequence[tuple[str, str]], size: int = 0) -> CLIPTokenizer:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())  # one for each of the 256 bytes
    merged = [first + second for first, second in merges]
    marks = ["<|startoftext|>", "<|endoftext|>"]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *merged]
    tokens += [*(f"<|unused{number}|>" for number in range(size - len(tokens) - len(marks))), *marks]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=list(merges), model_max_length=LENGTH)


def _text_encoder(tokenizer, *, projects: bool):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=37,
        num_hidden_layers=5,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return (CLIPTextModelWithProjection if projects else CLIPTextModel)(config)
