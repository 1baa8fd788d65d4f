"""Latents of tiles, each encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from spurgekit.byte_cache import ByteCache
from spurgekit.diffusion.image_tensors import Picture, read_picture, to_model
from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.noise import to_device
from spurgekit.diffusion.oom_batching import Chunks
from spurgekit.dihedral import view_of
from spurgekit.errors import InputError
from spurgekit.parallel import cores, stream_map
from spurgekit.progress import Progress, silent

LIMIT_BYTES = 4 << 30
DEVICE_SHARE = 0.25
"""Of a GPU's free memory that latents may take; where they would take more they wait in the host's."""


READ_AHEAD = 16


class LatentBank:
    """What the encoder makes of tiles in each of their views.

    A tile costs ``views * channels * (side / 8)**2 * 8`` bytes: 1 MiB for the 8 views of Stable Diffusion at 512 px, 4 MiB at
    1024 px. Of more tiles than fit the limit, those that were longest not asked for are dropped, and encoded again when they
    are.

    Parameters
    ----------
    backbone : Backbone
    views : sequence of int
        See :func:`spurgekit.dihedral.view_of`.
    size_px : int
        Side that tiles are resized to.
    limit_bytes : int
    warn : callable
        Told when the GPU has too little memory for all views of a tile at a time.
    """

    def __init__(
        self,
        backbone: Backbone,
        views: Sequence[int],
        size_px: int,
        *,
        limit_bytes: int = LIMIT_BYTES,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        backbone.check_size(size_px)
        self.backbone = backbone
        self.views = tuple(views)
        self.size_px = size_px
        side = size_px // backbone.latent_px
        self.shape = (int(backbone.vae.config.latent_channels), side, side)
        self.tile_bytes = 2 * len(self.views) * self.shape[0] * side * side * 4
        self._home = backbone.device
        self._chunks = Chunks(len(self.views), "views of a tile", warn)
        self._tiles: ByteCache[Tensor] = ByteCache(limit_bytes, lambda tile: tile.nbytes)

    def __len__(self) -> int:
        """Return how many tiles it holds."""
        return len(self._tiles)

    def fill(self, paths: Sequence[Path], progress: Progress = silent) -> None:
        """Encode tiles, as many as fit the limit.

        Raises
        ------
        InputError
            If a tile is missing, damaged, or no image of three bands of uint8. All are looked for before any is encoded.
        """
        wanted = list(dict.fromkeys(paths))
        check_there(wanted)
        room = self._tiles.limit_bytes // self.tile_bytes
        self._choose_home(min(room, len(wanted)))
        with ThreadPoolExecutor(cores()) as threads, progress("encoding tiles", len(wanted)) as advance:
            pictures = stream_map(threads, read_picture, wanted, in_flight=READ_AHEAD)
            for number, (path, picture) in enumerate(zip(wanted, pictures, strict=True)):
                if number < room:  # the others are read all the same, to know that they can be
                    self._tiles.get(path, partial(self._encode, picture))
                advance(1)

    def sample(self, paths: Sequence[Path], views: Sequence[int], noise: Tensor) -> Tensor:
        """Return latents, drawn from the encoder's distribution.

        Parameters
        ----------
        paths : sequence of pathlib.Path, length n
        views : sequence of int, length n
            Of each tile, as numbers of the bank's views.
        noise : Tensor of float32, shape (n, channels, h, w)
            Standard normal, on any device.

        Returns
        -------
        Tensor of float32, shape (n, channels, h, w)
            On the backbone's device.
        """
        rows = torch.stack([self._tile(path)[:, view] for path, view in zip(paths, views, strict=True)])
        rows, noise = (to_device(tensor, self.backbone.device) for tensor in (rows, noise))
        return rows[:, 0] + rows[:, 1] * noise

    def _tile(self, path: Path) -> Tensor:
        """Return mean and standard deviation of a tile, [2, views, channels, h, w]."""
        return self._tiles.get(path, lambda: self._encode(read_picture(path)))

    def _encode(self, picture: Picture) -> Tensor:
        """Encode all views of a tile, together and apart from other tiles: a batch's size may change the last bits."""
        image = to_model([picture], self.size_px)
        images = torch.cat([view_of(image, view) for view in self.views])
        found = self._chunks.run(len(images), lambda rows: self.backbone.encode(images[rows]))
        both = torch.stack([torch.cat([part.mean for part in found]), torch.cat([part.std for part in found])])
        return both.to(self._home)

    def _choose_home(self, tiles: int) -> None:
        """Keep latents on the GPU where they take a small part of it."""
        if self.backbone.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.backbone.device)
            small = tiles * self.tile_bytes <= DEVICE_SHARE * free
            self._home = self.backbone.device if small else torch.device("cpu")


def check_there(paths: Iterable[Path]) -> None:
    """Raise an InputError if a tile is missing."""
    if missing := [path for path in dict.fromkeys(paths) if not path.is_file()]:
        more = f", nor {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{missing[0]}: no such file{more}; the dataset lists it: build it again")
