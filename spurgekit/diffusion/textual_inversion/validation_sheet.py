"""Sheets of images that a model paints with the words that it is learning, to see whether it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from spurgekit.diffusion.concepts import Concept
from spurgekit.diffusion.image_tensors import from_model, read_picture, to_model
from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.noise import generators_of
from spurgekit.diffusion.prompt_embeddings import Conditions
from spurgekit.diffusion.prompts import PromptReader
from spurgekit.diffusion.sampler import Hole, denoise
from spurgekit.diffusion.schedulers import make_scheduler
from spurgekit.diffusion.textual_inversion.denoising_loss import blank
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.diffusion.textual_inversion.prompt_templates import filled
from spurgekit.diffusion.textual_inversion.training_samples import InversionTask
from spurgekit.imagery.sheet import Group, draw_groups
from spurgekit.outputs import output_file
from spurgekit.seeds import seed_of

PROMPT = "a drone photo of {}"
STEPS = 20
GUIDANCE = 7.5
SHOWN_TASKS = 4
SHOWN_IMAGES = 3
"""Of each task; the first column is one of its tiles."""

CELL_PX = 256


def write_sheet(
    backbone: Backbone, tasks: Sequence[InversionTask], concepts: Sequence[Concept], path: Path, options: InversionOptions
) -> None:
    """Paint images with words, a row for each of the first few tasks, beside a tile that it was learned from.

    An image begins with the same noise on every sheet of a run, so that they compare.

    Parameters
    ----------
    backbone : Backbone
    tasks : sequence of InversionTask
    concepts : sequence of Concept
        Of each task.
    path : pathlib.Path
        PNG to write.
    options : InversionOptions
    """
    size_px = options.size_px or backbone.info.size_px
    side = min(size_px, CELL_PX)
    rows = []
    for task, concept in zip(tasks[:SHOWN_TASKS], concepts, strict=False):
        prompt = filled(PROMPT, concept.token)
        seeds = [seed_of(options.seed, task.key, "validation", number) for number in range(SHOWN_IMAGES)]
        tile = to_model([read_picture(task.images[0])], size_px)
        images = torch.cat([tile, paint(backbone, prompt, concept, seeds, size_px).cpu()])
        rows.append(Group(f"{task.key}: a tile, and {prompt}", from_model(images, [(side, side)] * len(images))))
    with output_file(path) as partial:
        draw_groups(rows, side, 1 + SHOWN_IMAGES).save(partial)


def paint(backbone: Backbone, prompt: str, concept: Concept, seeds: Sequence[int], size_px: int) -> Tensor:
    """Paint images from noise alone, by the default scheduler in 20 steps.

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
    count = len(seeds)
    read = PromptReader(backbone).read([prompt], {concept.token: concept})
    hole = None
    if backbone.info.inpaints:
        side = size_px // backbone.latent_px
        hole = Hole(torch.ones(count, 1, side, side), blank(backbone, size_px).pick([0] * count))
    latents = denoise(
        backbone,
        make_scheduler(backbone),
        read.pick([0] * count),
        Conditions(backbone).of_nothing().pick([0] * count),
        generators_of(seeds),
        steps=STEPS,
        guidance=GUIDANCE,
        size_px=size_px,
        hole=hole,
    )
    return backbone.decode(latents)
