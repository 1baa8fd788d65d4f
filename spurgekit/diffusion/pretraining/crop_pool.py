"""Crops of a survey's ground, drawn at every offset and in every view, and encoded once.

Each crop is encoded by itself, as the tiles are that a model edits later. Slices of the latents of a larger piece would be
cheaper, and are something else: an encoder sees far around each latent, and its decoder reckons with the edges that it saw.
Slices of TAESD's latents of 512 px come back with twice the error of crops of 128 px that were encoded by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spurgekit.diffusion.image_tensors import Picture, to_model
from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.pretraining.ground_words import describe
from spurgekit.diffusion.pretraining.latent_size import CHANNELS
from spurgekit.dihedral import view_of
from spurgekit.outputs import output_file
from spurgekit.precision import autocast
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of

FOLDER = "latents"
"""Of the encoded crops, two files for each few of them."""

SHARD = 512
"""Crops of a pair of files."""

AT_ONCE = 16
"""Crops that are encoded together: always the same ones, as a batch's size may change the last bits."""

LATENTS, COLOURS = "latents", "colours"

LEAST_SPREAD = 1e-3
"""Of latents of ground that does not vary at all."""


@dataclass(frozen=True, slots=True)
class GroundPiece:
    """A square piece of ground, of one crop or of many.

    Attributes
    ----------
    id : str
    place : str
        Where it is from, as prompts say it.
    date : str
        When it was flown, as prompts say it; empty where nobody knows.
    origins : int
        Pixels at which a crop can begin that lies on data alone.
    read : callable
        Returns the picture, ndarray of uint8, shape (side, side, 3), and which of its pixels are data, shape (side, side).
    """

    id: str
    place: str
    date: str
    origins: int
    read: Callable[[], tuple[Picture, NDArray[np.bool_]]]


class CropPool:
    """Latents of crops, on disk.

    Parameters
    ----------
    folder : pathlib.Path
        Where encoded crops are kept, for a run that goes on; what is there is not encoded again.
    pieces : sequence of GroundPiece
    views : sequence of int
        That crops are drawn in; see :func:`spurgekit.dihedral.view_of`.
    crop_px, size_px : int
        Side of a crop in the pixels of pieces, and side that the model sees it at.
    count : int
        Crops to draw, each as likely as any other; where there are no more in all, each is there once.
    seed : int

    Attributes
    ----------
    of_piece : ndarray of int64, shape (n,)
        Piece that each crop is from.
    scale : float
        What latents are multiplied by, beyond what the VAE's own configuration says.
    colours : ndarray of float32, shape (n, 4)
        What each looks like; see :func:`spurgekit.diffusion.pretraining.ground_words.describe`.
    """

    def __init__(
        self,
        folder: Path,
        pieces: Sequence[GroundPiece],
        views: Sequence[int],
        *,
        crop_px: int,
        size_px: int,
        count: int,
        seed: int = 0,
    ) -> None:
        self.folder = Path(folder) / FOLDER
        self.pieces = tuple(pieces)
        self.views = tuple(views)
        self.crop_px = crop_px
        self.size_px = size_px
        ends = np.cumsum([piece.origins for piece in pieces]) * len(self.views)
        total = int(ends[-1])
        numbers = np.arange(total)
        if total > count:
            numbers = np.sort(np.random.default_rng(seed_of(seed, "crops")).integers(total, size=count))
        self.of_piece = np.searchsorted(ends, numbers, side="right")
        within = numbers - (ends[self.of_piece] - np.diff(ends, prepend=0)[self.of_piece])
        self._origins, self._views = np.divmod(within, len(self.views))
        self.colours = np.empty((0, 4), np.float32)
        self.scale = 1.0
        self._latents: list[NDArray[np.float16]] = []

    def __len__(self) -> int:
        """Return how many crops there are."""
        return len(self.of_piece)

    def fill(self, backbone: Backbone, dtype: torch.dtype | None, progress: Progress = silent) -> None:
        """Encode what was not.

        Parameters
        ----------
        backbone : Backbone
            Whose VAE encodes.
        dtype : torch.dtype or None
            That its products are made in; see :func:`spurgekit.precision.pick_precision`.
        progress : Progress
        """
        starts = range(0, len(self), SHARD)
        last: tuple[int, tuple[Picture, NDArray[np.bool_]]] | None = None
        with progress("encoding crops", len(self)) as advance:
            for start in starts:
                rows = range(start, min(len(self), start + SHARD))
                if not self._file(start, COLOURS).is_file():  # which is written last
                    crops = []
                    for row in rows:
                        piece = int(self.of_piece[row])
                        if last is None or last[0] != piece:
                            last = piece, self.pieces[piece].read()
                        crops.append(crop_at(*last[1], self.crop_px, int(self._origins[row])))
                    views = [self.views[view] for view in self._views[rows.start : rows.stop]]
                    latents = np.concatenate(list(self._encoded(backbone, dtype, crops, views)))
                    for name, values in ((LATENTS, latents), (COLOURS, describe(crops))):
                        with output_file(self._file(start, name)) as partial:
                            np.save(partial, values)
                advance(len(rows))
        # Pages of files that are mapped are read when they are asked for, and the system drops them when it needs the room.
        self._latents = [np.load(self._file(start, LATENTS), mmap_mode="r") for start in starts]
        self.colours = np.concatenate([np.load(self._file(start, COLOURS)) for start in starts])

    def latents(self, rows: Sequence[int], noise: Tensor) -> Tensor:
        """Return latents of crops, drawn from the encoder's distribution where it gives a spread.

        Parameters
        ----------
        rows : sequence of int, length n
        noise : Tensor of float32, shape (n, channels, side, side)
            Standard normal.

        Returns
        -------
        Tensor of float32, shape (n, channels, side, side)
        """
        found = np.stack([self._latents[row // SHARD][row % SHARD] for row in rows])
        moments = torch.from_numpy(found.astype(np.float32)) * self.scale
        return moments[:, 0] if moments.shape[1] == 1 else moments[:, 0] + moments[:, 1] * noise

    def spread(self) -> float:
        """Return the standard deviation of latents over all crops, apart from what channels differ by on the whole."""
        count, sums, squares = 0, np.zeros(CHANNELS), np.zeros(CHANNELS)
        for shard in self._latents:
            mean = shard[:, 0].astype(np.float64)
            count += mean[:, 0].size
            sums += mean.sum(axis=(0, 2, 3))
            squares += np.square(mean).sum(axis=(0, 2, 3)) + np.square(shard[:, 1:].astype(np.float64)).sum(axis=(0, 1, 3, 4))
        return float(np.sqrt((squares / count - np.square(sums / count)).mean()))

    def _encoded(
        self, backbone: Backbone, dtype: torch.dtype | None, crops: Sequence[Picture], views: Sequence[int]
    ) -> Iterator[NDArray[np.float16]]:
        """Yield means, and spreads where there are some, of float16: shape (n, 1 or 2, channels, side, side)."""
        for start in range(0, len(crops), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            images = to_model(crops[rows], self.size_px)
            images = torch.stack([view_of(image, view) for image, view in zip(images, views[rows], strict=True)])
            with autocast(backbone.device, dtype):
                found = backbone.encode(images)
            moments = [found.mean, found.std] if found.std.any() else [found.mean]
            yield torch.stack(moments, dim=1).cpu().numpy().astype(np.float16)

    def _file(self, start: int, name: str) -> Path:
        return self.folder / f"{start:08d}-{name}.npy"


def unit_latents(backbone: Backbone, pool: CropPool) -> float:
    """Have latents vary by 1, as those of pictures of all kinds do for the VAE that comes with a model; return by what factor.

    Ground from above has little contrast: its latents vary by less than half of that, so that the noise of an edit would drown
    them. The factor becomes a part of the VAE's ``scaling_factor``, which whoever uses the model goes by.

    References
    ----------
    Rombach et al. (2022), High-Resolution Image Synthesis with Latent Diffusion Models, arXiv:2112.10752, appendix G.
    """
    spread = pool.spread()
    pool.scale = round(1 / spread, 4) if spread > LEAST_SPREAD else 1.0
    backbone.vae.register_to_config(scaling_factor=float(backbone.vae.config.scaling_factor) * pool.scale)
    return pool.scale


def origins_of(valid: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Return at which pixels a square of some side can begin, so that all of it is valid.

    >>> origins_of(np.array([[True, True, True], [True, True, True], [True, True, False]]), 2).tolist()
    [[True, True], [True, False]]
    """
    sums = cv2.integral(valid.astype(np.uint8))
    full = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.asarray(full == side * side)


def crop_at(picture: Picture, valid: NDArray[np.bool_], side: int, number: int) -> Picture:
    """Return the square of some side that begins at one of the pixels at which one can, counted row by row."""
    can = origins_of(valid, side)
    row, column = divmod(int(np.flatnonzero(can)[number]), can.shape[1])
    return np.ascontiguousarray(picture[row : row + side, column : column + side])
