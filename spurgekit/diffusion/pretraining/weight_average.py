"""A mean of past weights, which is what is kept of a training: samples of it are better than those of the last weights."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


class PowerAverage:
    """Mean of the weights of all steps, each by a power of its number.

    After step t the mean is ``beta * mean + (1 - beta) * weights`` with ``beta = (1 - 1/t)**(gamma + 1)``, which gives the
    weights of step s a share that grows as ``s**gamma``: the same stretch of the training counts, as a share of it, however
    long it is, so that it need not be known when it ends.

    Parameters
    ----------
    parameters : iterable of Tensor
        Of the networks in training.
    width : float
        Standard deviation of that profile, as a share of the training: 0.1 is as an average over the last third or so.

    Attributes
    ----------
    means : list of Tensor
        Of each parameter.

    References
    ----------
    Karras et al. (2024), Analyzing and Improving the Training Dynamics of Diffusion Models, arXiv:2312.02696, section 3.1;
    appendix C.1 for the exponent of a width.
    """

    def __init__(self, parameters: Iterable[Tensor], width: float) -> None:
        self._parameters = list(parameters)
        self.exponent = exponent_of(width)
        self.means = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after a step, counted from 1, into the mean."""
        share = 1 - (1 - 1 / step) ** (self.exponent + 1)
        torch._foreach_lerp_(self.means, self._parameters, share)

    @torch.no_grad()
    def exchange(self) -> None:
        """Put the means in the place of the weights, and the weights in that of the means; done twice, all is as before."""
        for mean, parameter in zip(self.means, self._parameters, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(mean)
            mean.copy_(kept)


def exponent_of(width: float) -> float:
    """Return the exponent gamma of a profile of some width.

    >>> round(exponent_of(0.1), 2), round(exponent_of(0.05), 2)
    (6.94, 16.97)
    """
    roots = np.roots([1, 7, 16 - width**-2, 12 - width**-2])
    return float(roots.real.max())
