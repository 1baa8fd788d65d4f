"""How much the loss at each noise level weighs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def min_snr_weights(scheduler: Any, gamma: float) -> Tensor:
    """Return the weight of the squared error at each timestep, shape (timesteps,).

    With the signal-to-noise ratio ``snr = alpha_bar / (1 - alpha_bar)``, the error of the clean latents weighs
    ``min(snr, gamma)``. That of the noise is ``snr`` times as large, so it weighs ``min(snr, gamma) / snr``; that of the
    velocity ``snr + 1`` times, so it weighs ``min(snr, gamma) / (snr + 1)``. With an infinite gamma all errors of what the
    model predicts weigh 1.

    Parameters
    ----------
    scheduler : diffusers.SchedulerMixin
        Of ``v_prediction`` or ``epsilon``.
    gamma : float

    References
    ----------
    Hang et al. (2023), Efficient Diffusion Training via Min-SNR Weighting Strategy, arXiv:2303.09556, section 3.4.
    """
    kept: Tensor = scheduler.alphas_cumprod.double()
    snr = kept / (1 - kept)
    if gamma == float("inf"):
        return torch.ones_like(snr).float()
    is_velocity = scheduler.config.prediction_type == "v_prediction"
    return (snr.clamp(max=gamma) / (snr + 1 if is_velocity else snr)).float()
