"""What is written as ONNX: models from pixels to probabilities, with all that is done ahead of the network and after it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from spurgekit.classify.model_info import ModelInfo
from spurgekit.classify.preprocess import mean_colours
from spurgekit.classify.training.network import Network, PositionNetwork
from spurgekit.dihedral import turned_back, view_of

WHITE = 255.0


class WholeModel(nn.Module):
    """What a model does with resized tiles, from pixels to probabilities.

    Parameters
    ----------
    network : Network
        From normalised images to logits.
    info : ModelInfo
        Of ``views=8``, logits are averaged over the ways to turn and mirror a tile.

    Attributes
    ----------
    info : ModelInfo
    input : str
        What its input is called.
    """

    mean: Tensor
    std: Tensor
    input = "tiles"

    def __init__(self, network: Network, info: ModelInfo) -> None:
        super().__init__()
        self.network = network
        self.info = info
        unit = WHITE if info.dtype == "uint8" else 1.0
        self.register_buffer("mean", unit * torch.tensor(info.mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", unit * torch.tensor(info.std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        """Return what there is to say of float32 tiles [n, bands, size, size] in the tiles' own units.

        Returns
        -------
        probabilities : Tensor, shape (n, classes)
        cells : Tensor, shape (n, classes, rows, columns)
            Of a model that looks at positions.
        """
        images = (tiles - self.mean) / self.std
        # All views in one batch, so that the graph holds the network once.
        views = self.info.views
        turned = images if views == 1 else torch.cat([view_of(images, view) for view in range(views)])
        if not isinstance(self.network, PositionNetwork):
            logits = torch.stack(self.network(turned).tensor_split(views)).mean(dim=0)
            return (self._probabilities(logits),)
        head = self.network.model.head
        seen = self.network.position_logits(turned).tensor_split(views)
        logits = torch.stack([turned_back(logits, view) for view, logits in enumerate(seen)])
        return self._probabilities(head.pool(logits)), self._probabilities(head.of_cells(logits.mean(dim=0)))

    def _probabilities(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits / self.info.temperature, dim=1)

    @property
    def outputs(self) -> list[str]:
        """What it returns is called."""
        return ["probabilities", "cells"] if isinstance(self.network, PositionNetwork) else ["probabilities"]

    @property
    def about(self) -> str:
        """What goes in and what comes out, in words."""
        info = self.info
        return (
            f"{self.input}: resized to {info.image_size_px} x {info.image_size_px} px (bilinear, antialiased), float32 in the "
            f"units of {info.dtype} tiles. {' and '.join(self.outputs)}: of {', '.join(info.classes)}."
        )

    def example(self, count: int) -> Tensor:
        """Return an input to try it with."""
        return random_tiles(self.info, count, self.info.image_size_px)


class PixelModel(nn.Module):
    """A model of tiles of bytes as one that says something of each pixel, as programs for semantic segmentation read it.

    It does what :class:`spurgekit.classify.preprocess.Preprocess` does, too. Each pixel is given the probabilities of its tile;
    of a model that looks at positions, those of the position that it lies in. Pixels without data (0 in all bands) are of the
    first class, since there is none for them.

    Parameters
    ----------
    network, info
        See :class:`WholeModel`.

    Attributes
    ----------
    info, input
        See :class:`WholeModel`.
    """

    first: Tensor
    nearest: Tensor
    resizing: Tensor
    input, outputs = "image", ["probabilities"]

    def __init__(self, network: Network, info: ModelInfo) -> None:
        super().__init__()
        self.whole = WholeModel(network, info)
        self.info = info
        side = info.tile_size_px
        self.register_buffer("first", torch.eye(len(info.classes))[0].view(1, -1, 1, 1))
        self.register_buffer("nearest", ((torch.arange(side) + 0.5) * info.cells / side).long())
        self.register_buffer("resizing", resizing_matrix(side, info.image_size_px))

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Return the probabilities of pixels.

        Parameters
        ----------
        image : Tensor, shape (n, bands, tile, tile)
            From 0 to 1: bytes that were divided by 255.

        Returns
        -------
        tuple of Tensor, shape (n, classes, tile, tile)
        """
        tiles = (WHITE * image).round()
        missing = tiles.amax(dim=1, keepdim=True) == 0
        tiles = torch.where(missing, mean_colours(tiles, missing, self.whole.mean).round(), tiles)
        said = self.whole(self._resized(tiles))[-1]
        cells = said.view(*said.shape, 1, 1) if said.ndim == 2 else said
        pixels = cells.index_select(2, self.nearest).index_select(3, self.nearest)
        return (torch.where(missing, self.first, pixels),)

    def _resized(self, tiles: Tensor) -> Tensor:
        """Resize as torch resizes bytes: columns first, to bytes, then rows, to bytes."""
        if self.resizing.shape[0] == self.resizing.shape[1]:
            return tiles
        # Products of matrices, since runtimes differ in how they antialias.
        return _to_bytes(self.resizing @ _to_bytes(tiles @ self.resizing.T))

    @property
    def about(self) -> str:
        """What goes in and what comes out, in words."""
        info = self.info
        said = "Shares covered" if info.target == "cover" else "Probabilities"
        return (
            f"{self.input}: {info.tile_size_px} x {info.tile_size_px} px, bytes divided by 255. {said} of each pixel: "
            f"{', '.join(info.classes)}. From the {info.arm} of {info.backbone}, in {info.views} of 8 turns."
        )

    def example(self, count: int) -> Tensor:
        """Return an input to try it with; the last image has pixels without data."""
        images = random_tiles(self.info, count, self.info.tile_size_px) / WHITE
        images[-1, :, : self.info.tile_size_px // 3] = 0
        return images


def _to_bytes(values: Tensor) -> Tensor:
    """Round to whole numbers as torch does where it resizes bytes: halves up."""
    return (values + 0.5).floor()


def resizing_matrix(from_px: int, to_px: int) -> Tensor:
    """Return what resizes columns of pixels, shape (to_px, from_px): bilinear, antialiased.

    >>> resizing_matrix(4, 2)
    tensor([[0.4286, 0.4286, 0.1429, 0.0000],
            [0.0000, 0.1429, 0.4286, 0.4286]])
    """
    return nnf.interpolate(torch.eye(from_px)[None, None], size=(to_px, from_px), mode="bilinear", antialias=True)[0, 0]


def random_tiles(info: ModelInfo, count: int, side: int) -> Tensor:
    """Return float32 tiles [n, bands, side, side] within two standard deviations of the mean, in their own units."""
    unit = WHITE if info.dtype == "uint8" else 1.0
    mean, std = (unit * np.array(values)[:, None, None] for values in (info.mean, info.std))
    tiles = mean + std * np.random.default_rng(count).uniform(-2, 2, (count, info.bands, side, side))
    if info.dtype != "float32":
        tiles = tiles.round().clip(0, np.iinfo(info.dtype).max)
    return torch.from_numpy(tiles.astype(np.float32))
