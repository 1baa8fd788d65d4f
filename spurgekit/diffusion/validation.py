"""Sheets of images that a model paints with the words that it is learning, to see whether it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from spurgekit.diffusion.backbone import Backbone
from spurgekit.diffusion.concepts import Concept
from spurgekit.diffusion.inversion_options import InversionOptions
from spurgekit.diffusion.lessons import Lesson
from spurgekit.diffusion.loss import blank_latents, noise_of, predict_noise
from spurgekit.diffusion.pictures import Picture, from_model, read_picture, to_model
from spurgekit.diffusion.prompts import PromptReader
from spurgekit.diffusion.templates import filled
from spurgekit.imagery.pictures import INK, PAPER
from spurgekit.outputs import output_file
from spurgekit.seeds import seed_of

PROMPT = "a drone photo of {}"
STEPS = 20
GUIDANCE = 7.5
SHOWN_LESSONS = 4
SHOWN_IMAGES = 3
"""Of each lesson; the first column is one of its tiles."""

CELL_PX = 256
GAP_PX = 6
LETTERS_PX = 18


def write_sheet(
    backbone: Backbone, lessons: Sequence[Lesson], concepts: Sequence[Concept], path: Path, options: InversionOptions
) -> None:
    """Paint images with words, a row for each of the first few lessons, beside a tile that it was learned from.

    An image begins with the same noise on every sheet of a run, so that they compare.

    Parameters
    ----------
    backbone : Backbone
    lessons : sequence of Lesson
    concepts : sequence of Concept
        Of each lesson.
    path : pathlib.Path
        PNG to write.
    options : InversionOptions
    """
    size_px = options.size_px or backbone.info.size_px
    side = min(size_px, CELL_PX)
    rows = []
    for lesson, concept in zip(lessons[:SHOWN_LESSONS], concepts, strict=False):
        prompt = filled(PROMPT, concept.token)
        seeds = [seed_of(options.seed, lesson.key, "validation", number) for number in range(SHOWN_IMAGES)]
        tile = to_model([read_picture(lesson.images[0])], size_px)
        images = torch.cat([tile, paint(backbone, prompt, concept, seeds, size_px).cpu()])
        rows.append((f"{lesson.key}: a tile, and {prompt}", from_model(images, [(side, side)] * len(images))))
    with output_file(path) as partial:
        _drawn(rows, side).save(partial)


@torch.inference_mode()
def paint(backbone: Backbone, prompt: str, concept: Concept, seeds: Sequence[int], size_px: int) -> Tensor:
    """Paint images from noise alone, by DPM-Solver++ in 20 steps.

    Parameters
    ----------
    backbone : Backbone
    prompt : str
    concept : Concept
        Whose token the prompt may use.
    seeds : sequence of int
        Of each image.
    size_px : int

    Returns
    -------
    Tensor of float32, shape (n, 3, size_px, size_px)
        From about -1 to 1, on the backbone's device.
    """
    from diffusers import DPMSolverMultistepScheduler

    scheduler: Any = DPMSolverMultistepScheduler(**noise_of(backbone.scheduler))  # type: ignore[no-untyped-call]
    scheduler.set_timesteps(STEPS, device=backbone.device)
    both = PromptReader(backbone).read(["", prompt], {concept.token: concept})
    both = both.pick([0] * len(seeds) + [1] * len(seeds))
    side = size_px // backbone.latent_px
    shape = (int(backbone.vae.config.latent_channels), side, side)
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    latents = torch.stack(noise).to(backbone.device) * scheduler.init_noise_sigma
    blank = blank_latents(backbone, size_px)
    for timestep in scheduler.timesteps:
        twice = scheduler.scale_model_input(torch.cat([latents, latents]), timestep)
        without, with_prompt = predict_noise(backbone, twice, timestep, both, size_px, blank).chunk(2)
        latents = scheduler.step(without + GUIDANCE * (with_prompt - without), timestep, latents).prev_sample
    return backbone.decode(latents)


def _drawn(rows: Sequence[tuple[str, Sequence[Picture]]], side: int) -> Image.Image:
    """Draw rows of pictures below their titles."""
    font = ImageFont.load_default(LETTERS_PX)
    widest = max(GAP_PX + len(pictures) * (side + GAP_PX) for _, pictures in rows)
    width = max(widest, *(2 * GAP_PX + int(font.getlength(title)) for title, _ in rows))
    height = LETTERS_PX + side + 3 * GAP_PX
    page = Image.new("RGB", (width, height * len(rows) + GAP_PX), PAPER)
    draw = ImageDraw.Draw(page)
    for number, (title, pictures) in enumerate(rows):
        draw.text((GAP_PX, number * height + GAP_PX), title, INK, font)
        for column, picture in enumerate(pictures):
            place = (GAP_PX + column * (side + GAP_PX), number * height + LETTERS_PX + 2 * GAP_PX)
            page.paste(Image.fromarray(picture), place)
    return page
