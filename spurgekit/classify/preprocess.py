"""Tiles as a backbone wants them: on its device, resized, normalised."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor


class Preprocess:
    """Tiles as a backbone wants them: on its device, resized, normalised. Training and mapping use the same.

    Parameters
    ----------
    size_px : int
        Side to resize to.
    mean, std : sequence of float
        Per band, of values from 0 to 1.
    device : torch.device
    """

    def __init__(self, size_px: int, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        self.size_px = size_px
        self.device = device
        # One value for each byte of an image's row: broadcasting along rows is ten times as fast as along bands.
        self._scale = (1 / (255 * torch.tensor(std))).repeat(size_px).to(device)
        self._shift = (torch.tensor(mean) / torch.tensor(std)).repeat(size_px).to(device)
        self._buffer: Tensor | None = None

    def __call__(self, tiles: NDArray[np.uint8]) -> Tensor:
        """Return float32 [n, bands, size, size] in channels-last order, from uint8 [n, bands, h, w].

        The bytes travel to the device and become floats there; the result holds until the next call. Pixels without data
        (0 in all bands, as everything here writes them) take the mean colour of the rest of their tile, since black would
        look like shadow to the model.
        """
        images = _fill_no_data(torch.from_numpy(tiles).to(self.device))
        if images.shape[-1] != self.size_px:
            images = _resize(images, self.size_px)
        rows = images.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).flatten(2).flatten(0, 1)
        # Large blocks of memory are slow to get anew (page faults), so one is kept.
        if self._buffer is None or self._buffer.shape != rows.shape:
            self._buffer = torch.empty(rows.shape, device=self.device)
        normalised = self._buffer.copy_(rows).mul_(self._scale).sub_(self._shift)
        return normalised.view(len(images), self.size_px, self.size_px, -1).permute(0, 3, 1, 2)


def _fill_no_data(images: Tensor) -> Tensor:
    """Give pixels that are 0 in all bands the mean colour of the rest of their image; uint8 in and out, [n, bands, h, w]."""
    missing = images.amax(dim=1, keepdim=True) == 0
    if not missing.any():
        return images
    seen = (~missing).sum(dim=(2, 3), keepdim=True).clamp(min=1)
    mean = (images.sum(dim=(2, 3), keepdim=True) / seen).round().to(torch.uint8)
    return torch.where(missing, mean, images)


def _resize(images: Tensor, size_px: int) -> Tensor:
    """Resize with antialiasing. On a CPU, bytes in channels-last order take a path that is twenty times as fast as floats."""
    if images.device.type == "cpu":
        images = images.contiguous(memory_format=torch.channels_last)
        return nnf.interpolate(images, size=(size_px, size_px), mode="bilinear", antialias=True)
    resized = nnf.interpolate(images.float(), size=(size_px, size_px), mode="bilinear", antialias=True)
    return resized.round_()  # to bytes, as on a CPU
