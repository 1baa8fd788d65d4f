"""Tiles as a backbone wants them: on its device, resized, normalised."""

from __future__ import annotations

import threading

import torch
import torch.nn.functional as nnf
from torch import Tensor

from spurgekit.classify.tile_reader import DType, Pixels, TileKind
from spurgekit.errors import InputError


class _OfThread(threading.local):
    """What a thread keeps."""

    rows: Tensor | None = None


class Preprocess:
    """Tiles as a backbone wants them: on its device, resized, normalised. Training and mapping use the same.

    Parameters
    ----------
    size_px : int
        Side to resize to.
    mean, std : sequence of float
        Per band: of values from 0 to 1 where tiles are of uint8, else in the tiles' own units.
    device : torch.device
    dtype : {"uint8", "uint16", "float32"}
        Of the tiles.

    Attributes
    ----------
    kind : TileKind
        Of the tiles that it takes.
    """

    def __init__(
        self, size_px: int, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device, dtype: DType = "uint8"
    ) -> None:
        self.size_px = size_px
        self.device = device
        self.kind = TileKind(len(mean), dtype)
        white = 255 if dtype == "uint8" else 1
        self._mean = white * torch.tensor(mean).to(device).view(1, -1, 1, 1)
        # One value for each number of an image's row: broadcasting along rows is ten times as fast as along bands.
        self._scale = (1 / (white * torch.tensor(std))).repeat(size_px).to(device)
        self._shift = (torch.tensor(mean) / torch.tensor(std)).repeat(size_px).to(device)
        self._kept = _OfThread()

    def __call__(self, tiles: Pixels) -> Tensor:
        """Return float32 [n, bands, size, size] in channels-last order, from tiles [n, bands, h, w].

        The tiles travel to the device as they are and become floats there; the result holds until this thread's next call.
        Pixels without data (see :mod:`spurgekit.classify.tile_reader`) take the mean colour of the rest of their tile: black
        would look like shadow to the model, and NaN would be all that it sees. A tile without any data takes the model's mean
        colour.

        Raises
        ------
        InputError
            If the tiles have other bands than the model reads, or are of another type.
        """
        if TileKind.of(tiles) != self.kind:
            raise InputError(
                f"tiles have {TileKind.of(tiles)}, the model reads {self.kind.bands} of {self.kind.dtype}: "
                "tile the image with the bands that it was trained on, or train a model on these"
            )
        images = self._bytes(tiles) if self.kind.dtype == "uint8" else self._floats(tiles)
        return images.view(len(tiles), self.size_px, self.size_px, -1).permute(0, 3, 1, 2)

    def _bytes(self, tiles: Pixels) -> Tensor:
        """Normalise bytes, which stay bytes for as long as they can: rows of pixels, [n * size, size * bands]."""
        images = torch.from_numpy(tiles).to(self.device, non_blocking=self.device.type == "cuda")
        missing = images.amax(dim=1, keepdim=True) == 0
        if self._has(missing):
            images = torch.where(missing, mean_colours(images, missing, self._mean).round().to(torch.uint8), images)
        return self._rows(_resize_bytes(images, self.size_px)).mul_(self._scale).sub_(self._shift)

    def _floats(self, tiles: Pixels) -> Tensor:
        """Normalise numbers of any size; the same rows."""
        images = torch.from_numpy(tiles).to(self.device, non_blocking=self.device.type == "cuda").float()
        is_data = (
            images.isfinite().all(dim=1, keepdim=True) if self.kind.dtype == "float32" else images.any(dim=1, keepdim=True)
        )
        missing = is_data.logical_not()
        images = images - self._mean  # first of all, since near 0 float32 is fine: hills of 1,000 m differ by centimetres
        if self._has(missing):
            images = images.masked_fill_(missing, 0)
            images = torch.where(missing, mean_colours(images, missing, torch.zeros_like(self._mean)), images)
        return self._rows(_resize(images, self.size_px)).mul_(self._scale)

    def _has(self, missing: Tensor) -> bool:
        """Whether there may be something to fill: a GPU is not waited for to know."""
        return self.device.type != "cpu" or bool(missing.any())

    def _rows(self, images: Tensor) -> Tensor:
        """Copy images, in channels-last order, into the rows of a buffer of floats."""
        rows = images.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).flatten(2).flatten(0, 1)
        # Large blocks of memory are slow to get anew (page faults), so one is kept.
        if self._kept.rows is None or self._kept.rows.shape != rows.shape:
            self._kept.rows = torch.empty(rows.shape, device=self.device)
        return self._kept.rows.copy_(rows)


def mean_colours(images: Tensor, missing: Tensor, otherwise: Tensor) -> Tensor:
    """Return the mean colour of each image [n, bands, 1, 1], whose missing pixels are 0; of those without data another one."""
    seen = (~missing).sum(dim=(2, 3), keepdim=True)
    return torch.where(seen > 0, images.sum(dim=(2, 3), keepdim=True) / seen.clamp(min=1), otherwise)


def _resize(images: Tensor, size_px: int) -> Tensor:
    """Resize with antialiasing."""
    if images.shape[-2:] == (size_px, size_px):
        return images
    return nnf.interpolate(images, size=(size_px, size_px), mode="bilinear", antialias=True)


def _resize_bytes(images: Tensor, size_px: int) -> Tensor:
    """Resize bytes. On a CPU, up to four bands of them in channels-last order take a path that is ten times as fast."""
    if images.shape[-2:] == (size_px, size_px):
        return images
    if images.device.type != "cpu":
        return _resize(images.float(), size_px).round_()  # to bytes, as on a CPU
    parts = [_resize(part.contiguous(memory_format=torch.channels_last), size_px) for part in torch.split(images, 4, dim=1)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
