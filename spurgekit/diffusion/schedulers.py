"""Schedulers by name: how the steps of denoising are spaced, and how each is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spurgekit.errors import InputError, known_names

if TYPE_CHECKING:
    from spurgekit.diffusion.latent_model import Backbone

DEFAULT = "dpm++"


@dataclass(frozen=True, slots=True)
class _Recipe:
    """A scheduler of diffusers, and what of its configuration is not the model's."""

    cls: str
    description: str
    changes: Mapping[str, Any] = field(default_factory=dict)


_UNCLIPPED = {"clip_sample": False}
"""For schedulers that were made for pixels, and clip the image that they foresee to -1 and 1: latents reach further."""

_MULTISTEP = {"algorithm_type": "dpmsolver++", "solver_order": 2}

# Not LMSDiscreteScheduler: begun in the middle, it weighs the steps before as if they had been taken, and leaves noise.
_RECIPES: Mapping[str, _Recipe] = {
    "dpm++": _Recipe("DPMSolverMultistepScheduler", "DPM-Solver++ (2M): good images in 20 to 30 steps", _MULTISTEP),
    "dpm++-karras": _Recipe(
        "DPMSolverMultistepScheduler",
        "DPM-Solver++ (2M) with the noise levels of Karras et al. (2022)",
        {**_MULTISTEP, "use_karras_sigmas": True},
    ),
    "ddim": _Recipe("DDIMScheduler", "DDIM, without noise of its own", _UNCLIPPED),
    "pndm": _Recipe("PNDMScheduler", "PLMS, what Stable Diffusion 1.x comes with: 50 steps", {"skip_prk_steps": True}),
    "euler": _Recipe("EulerDiscreteScheduler", "Euler's method, what SDXL comes with"),
    "euler-a": _Recipe("EulerAncestralDiscreteScheduler", "Euler's method with new noise at each step"),
    "heun": _Recipe("HeunDiscreteScheduler", "Heun's method: two evaluations of the UNet a step", _UNCLIPPED),
    "unipc": _Recipe("UniPCMultistepScheduler", "UniPC: good images in 10 to 20 steps"),
    "ddpm": _Recipe("DDPMScheduler", "ancestral sampling as in training: many steps", _UNCLIPPED),
    "lcm": _Recipe(
        "LCMScheduler", "for consistency models and LoRAs of 4 to 8 steps, which answer badly to strengths", _UNCLIPPED
    ),
}

SCHEDULERS: Mapping[str, str] = {name: recipe.description for name, recipe in _RECIPES.items()}
"""Descriptions of the schedulers by name."""


def check_scheduler(name: str) -> None:
    """Raise an :class:`InputError` if there is no scheduler of that name."""
    if name not in _RECIPES:
        raise InputError(f"there is no scheduler {name!r}{known_names(name, _RECIPES)}")


def make_scheduler(backbone: Backbone, name: str = DEFAULT) -> Any:
    """Return a scheduler for a model.

    Which noise the model was trained on, and whether it predicts the noise or the velocity, is the model's own.

    Parameters
    ----------
    backbone : Backbone
    name : str
        One of :data:`SCHEDULERS`.

    Returns
    -------
    diffusers.SchedulerMixin

    Raises
    ------
    InputError
        If there is none of that name.
    """
    import diffusers

    from spurgekit.diffusion.library_logs import quiet

    check_scheduler(name)
    recipe = _RECIPES[name]
    with quiet():  # each names what it does not know of another's configuration
        return getattr(diffusers, recipe.cls).from_config(backbone.scheduler.config, **recipe.changes)
