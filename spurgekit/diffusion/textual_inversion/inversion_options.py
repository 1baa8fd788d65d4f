"""How words are learned: options and presets of textual inversion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from spurgekit.diffusion.textual_inversion.prompt_templates import PUBLISHED, TOP_DOWN, check_templates, read_templates
from spurgekit.dihedral import VIEWS
from spurgekit.errors import InputError, known_names
from spurgekit.options import Options

SampleViews = Literal["none", "hflip", "dihedral"]

VIEWS_OF: Mapping[SampleViews, tuple[int, ...]] = {"none": (0,), "hflip": (0, 4), "dihedral": tuple(range(VIEWS))}
"""Views of a tile (see :func:`spurgekit.dihedral.view_of`) that one is drawn from for each sample."""


@dataclass(frozen=True, kw_only=True)
class InversionOptions(Options):
    """How to learn words. The defaults are the preset ``spurgekit``; see :data:`PRESETS`.

    Attributes
    ----------
    steps : int
        Updates of each word.
    batch : int
        Samples of each word in a step.
    size_px : int, optional
        Side of the images that the model learns from. Default: the model's; published: 512.
    learning_rate : float
        Learning rate of words, at the first step.
    schedule : {"constant", "cosine"}
        Whether the learning rate stays, or falls to 0 by half a cosine.
    weight_decay : float
        Of AdamW.
    vectors : int
        Vectors that stand for a word.
    templates : tuple of str, or str
        Prompts to learn with: top-down, published, or a text file with one '{}' a line, those of one class below '[CLASS]'.
        Default: top-down.

        Or the lines themselves; see :func:`spurgekit.diffusion.textual_inversion.prompt_templates.read_templates`.
    init_word : str, optional
        What a word begins as. Default: the class's name; published: the.
    augmentation : {"none", "hflip", "dihedral"}
        Views that a sample may have of its tile: as it is, mirrored left to right, all 8.
    timesteps : {"uniform", "stratified"}
        Whether the noise levels of a step are drawn apart from each other, or one from each of ``batch`` equal parts of the
        range, which makes the loss of a step vary less and is as uniform over all.
    samples_at_once : int, optional
        The most samples, of any words, that go through the model at a time. Changes nothing but speed and memory.
    validate_every : int
        Steps between sheets of painted images; 0 for none.
    save_every : int
        Steps between checkpoints that an interrupted run goes on from.
    seed : int
        Of all that is drawn: 0 or more.
    """

    steps: int = 1000
    batch: int = 4
    size_px: int | None = None
    learning_rate: float = 2e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    weight_decay: float = 1e-2
    vectors: int = 1
    templates: tuple[str, ...] = TOP_DOWN
    init_word: str | None = None
    augmentation: SampleViews = "dihedral"
    timesteps: Literal["uniform", "stratified"] = "stratified"
    samples_at_once: int | None = None
    validate_every: int = 250
    save_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.templates, (str, Path)):
            object.__setattr__(self, "templates", read_templates(self.templates))
        Options.__post_init__(self)
        for name, least in (("steps", 1), ("batch", 1), ("vectors", 1), ("save_every", 1), ("validate_every", 0)):
            if getattr(self, name) < least:
                raise InputError(f"`{name}={getattr(self, name)}` is too small; pass {least} or more")
        for name in ("size_px", "samples_at_once"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"`{name}={value}` is too small; pass 1 or more")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InputError(f"a learning rate of {self.learning_rate:g} cannot be; pass a number above 0")
        if not self.weight_decay >= 0:
            raise InputError(f"a weight decay of {self.weight_decay:g} cannot be; pass 0 or more")
        if self.init_word is not None and not self.init_word.strip():
            raise InputError("`init_word` is empty; pass a word such as 'plant'")
        check_templates(self.templates)

    @classmethod
    def of(cls, preset: str = "spurgekit", **changes: Any) -> Self:
        """Return the options of a preset, with others in place of some of them.

        Raises
        ------
        InputError
            If there is no such preset, or a value cannot be.

        Examples
        --------
        >>> InversionOptions.of("published", steps=500).init_word
        'the'
        """
        if preset not in PRESETS:
            raise InputError(f"there is no preset {preset!r}{known_names(preset, PRESETS)}")
        return cls(**{**PRESETS[preset].parameters(), **changes})

    @property
    def views(self) -> tuple[int, ...]:
        """Views that a sample may have of its tile."""
        return VIEWS_OF[self.augmentation]

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * step / self.steps))


PRESETS: Mapping[str, InversionOptions] = {
    "spurgekit": InversionOptions(),
    "published": InversionOptions(
        schedule="constant", init_word="the", templates=PUBLISHED, augmentation="hflip", timesteps="uniform", size_px=512
    ),
}
"""``published`` is the recipe of DA-Fusion's reference code, which took textual inversion's: AdamW at 5e-4 for each of the 4
samples of a batch, 1000 steps, 512 px.

``spurgekit`` takes as many steps and samples, so that the two compare, and the same learning rate to begin with. It differs
where the published recipe was made for things in front of a camera: all 8 views, since from above none is the right one and few
tiles become eight times as many; prompts that speak of drone imagery; the class's own name to begin with instead of "the",
since the model may know some of its words. And where there is less chance for the same work: noise levels spread over each
batch (as in Kingma et al. 2021, Variational Diffusion Models, arXiv:2107.00630), and a learning rate that falls, so that the
vectors do not end on what the last few samples said."""
