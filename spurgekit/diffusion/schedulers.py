"""Schedulers by name: how the steps of denoising are spaced, and how each is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spurgekit.registry import Registry

if TYPE_CHECKING:
    from spurgekit.diffusion.latent_model import Backbone

DEFAULT = "dpm++"


@dataclass(frozen=True, slots=True)
class Scheduler:
    """A scheduler of diffusers.

    Attributes
    ----------
    name : str
    cls : str
        Its class in diffusers.
    description : str
    changes : mapping
        What of its configuration is not the model's.
    """

    name: str
    cls: str
    description: str
    changes: Mapping[str, Any] = field(default_factory=dict)


_UNCLIPPED = {"clip_sample": False}
"""For schedulers that were made for pixels, and clip the image that they foresee to -1 and 1: latents reach further."""

_MULTISTEP = {"algorithm_type": "dpmsolver++", "solver_order": 2}

# Not LMSDiscreteScheduler: begun in the middle, it weighs the steps before as if they had been taken, and leaves noise.
SCHEDULERS = Registry(
    "scheduler",
    [
        Scheduler("dpm++", "DPMSolverMultistepScheduler", "DPM-Solver++ (2M): good images in 20 to 30 steps", _MULTISTEP),
        Scheduler(
            "dpm++-karras",
            "DPMSolverMultistepScheduler",
            "DPM-Solver++ (2M) with the noise levels of Karras et al. (2022)",
            {**_MULTISTEP, "use_karras_sigmas": True},
        ),
        Scheduler("ddim", "DDIMScheduler", "DDIM, without noise of its own", _UNCLIPPED),
        Scheduler("pndm", "PNDMScheduler", "PLMS, what Stable Diffusion 1.x comes with: 50 steps", {"skip_prk_steps": True}),
        Scheduler("euler", "EulerDiscreteScheduler", "Euler's method, what SDXL comes with"),
        Scheduler("euler-a", "EulerAncestralDiscreteScheduler", "Euler's method with new noise at each step"),
        Scheduler("heun", "HeunDiscreteScheduler", "Heun's method: two evaluations of the UNet a step", _UNCLIPPED),
        Scheduler("unipc", "UniPCMultistepScheduler", "UniPC: good images in 10 to 20 steps"),
        Scheduler("ddpm", "DDPMScheduler", "ancestral sampling as in training: many steps", _UNCLIPPED),
        Scheduler(
            "lcm",
            "LCMScheduler",
            "for consistency models and LoRAs of 4 to 8 steps, which answer badly to strengths",
            _UNCLIPPED,
        ),
    ],
)
"""All schedulers; yours is one more: ``SCHEDULERS.register(Scheduler(...))``."""


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
    UnknownNameError
        If there is none of that name.
    """
    import diffusers

    from spurgekit.diffusion.library_logs import quiet

    chosen = SCHEDULERS[name]
    with quiet():  # each names what it does not know of another's configuration
        return getattr(diffusers, chosen.cls).from_config(backbone.scheduler.config, **chosen.changes)
