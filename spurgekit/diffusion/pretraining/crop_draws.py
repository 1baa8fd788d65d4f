"""The crops of a step, and what each is shown with: everything follows from the seed and the step's number alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spurgekit.diffusion.pretraining.crop_pool import CropPool
from spurgekit.diffusion.pretraining.ground_words import FACTS, GroundWords, phrase
from spurgekit.diffusion.pretraining.latent_size import CHANNELS, LATENT_PX
from spurgekit.diffusion.textual_inversion.prompt_templates import TOP_DOWN, filled
from spurgekit.seeds import seed_of


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What a model is shown in a step.

    Attributes
    ----------
    latents, noise : Tensor of float32, shape (n, channels, side, side)
    timesteps : Tensor of int64, shape (n,)
    prompts : tuple of str, length n
    """

    latents: Tensor
    noise: Tensor
    timesteps: Tensor
    prompts: tuple[str, ...]


def draw_step(
    pool: CropPool, words: GroundWords, step: int, *, seed: int, batch: int, levels: int, prompt_dropout: float
) -> Step:
    """Draw what a model is shown in a step.

    Parameters
    ----------
    pool : CropPool
    words : GroundWords
    step : int
    seed : int
    batch : int
        Crops.
    levels : int
        Timesteps; one is drawn from each of ``batch`` equal parts of them (Kingma et al. 2021, Variational Diffusion Models,
        arXiv:2107.00630), so that the loss varies less.
    prompt_dropout : float
        Share of crops without a prompt (Ho and Salimans 2022, Classifier-Free Diffusion Guidance, arXiv:2207.12598).
    """
    generator = torch.Generator().manual_seed(seed_of(seed, "step", step))
    rows = torch.randint(len(pool), (batch,), generator=generator).numpy()
    within = torch.rand(batch, generator=generator)
    timesteps = ((torch.arange(batch) + within) * levels / batch).long().clamp(max=levels - 1)
    side = pool.size_px // LATENT_PX
    both = torch.randn((2, batch, CHANNELS, side, side), generator=generator)
    templates = torch.randint(len(TOP_DOWN), (batch,), generator=generator).tolist()
    kept = (torch.rand((batch, FACTS), generator=generator) < 0.5).tolist()
    told = (torch.rand(batch, generator=generator) >= prompt_dropout).tolist()
    facts = words.facts(pool.colours[rows])
    prompts = []
    for number, piece in enumerate(pool.of_piece[rows]):
        about = pool.pieces[piece]
        said = phrase(facts[number].tolist(), about.place, about.date, kept[number])
        prompts.append(filled(TOP_DOWN[templates[number]], said) if told[number] else "")
    return Step(pool.latents(rows.tolist(), both[0]), both[1], timesteps, tuple(prompts))


def sample_prompts(pool: CropPool, words: GroundWords, count: int, seed: int) -> list[str]:
    """Return prompts with all facts, in the shares that crops of the training have them."""
    rows = np.random.default_rng(seed_of(seed, "prompts")).integers(len(pool), size=count)
    facts = words.facts(pool.colours[rows])
    about = [pool.pieces[piece] for piece in pool.of_piece[rows]]
    return [filled(TOP_DOWN[0], phrase(row.tolist(), one.place, one.date)) for row, one in zip(facts, about, strict=True)]
