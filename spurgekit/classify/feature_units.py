"""Features of tiles as units of work: workers make the backbone from a file of its weights, and read tiles by their names."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from spurgekit.classify.features import Extractor, Features, Look, TileBatch
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.setup import Setup
from spurgekit.classify.tile_reader import DType, read_batch
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.executors import Workers
from spurgekit.executors.kept import made_by_process
from spurgekit.outputs import save_tensors
from spurgekit.precision import PrecisionName, pick_precision, precision_name


@dataclass(frozen=True, slots=True)
class NamedExtractor:
    """A backbone, and how tiles get into it, as another process can make them.

    Attributes
    ----------
    run : str
        Tells this run's from others.
    name : str
        timm's.
    arguments : mapping
        Further ones of timm.
    weights : pathlib.Path
        Its weights, by an absolute name.
    asked_px : int or None
        Side of images, for backbones that must know it.
    size_px : int
        Side that tiles are shown at.
    mean, std : tuple of float
    dtype : {"uint8", "uint16", "float32"}
        Of the tiles.
    device : str
    precision : {"float32", "bfloat16"}
    """

    run: str
    name: str
    arguments: Mapping[str, Any]
    weights: Path
    asked_px: int | None
    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: DType
    device: str
    precision: PrecisionName

    @classmethod
    def of(cls, setup: Setup, weights: Path) -> NamedExtractor:
        """Return the name of what a setup shows tiles to, having written its weights into a file."""
        save_tensors(weights, setup.backbone.state_dict(), {})
        options, device = setup.options, setup.preprocess.device
        return cls(
            secrets.token_hex(8), setup.name, options.backbone_options, weights.absolute(), setup.asked_px, setup.size_px,
            setup.mean, setup.std, setup.dtype, str(device), precision_name(pick_precision(device, options.precision)),
        )  # fmt: skip

    def load(self) -> Extractor:
        """Make it in this process."""
        backbone = make_backbone(
            self.name, weights=self.weights, options=self.arguments, image_size_px=self.asked_px, bands=len(self.mean)
        )
        preprocess = Preprocess(self.size_px, self.mean, self.std, torch.device(self.device), self.dtype)
        return Extractor.of(backbone, preprocess, self.precision)


@dataclass(frozen=True, slots=True)
class LookUnit:
    """Looks at batches of tiles in whatever process.

    Attributes
    ----------
    extractor : NamedExtractor
    """

    extractor: NamedExtractor

    def __call__(self, unit: tuple[Look, TileBatch]) -> Sequence[Features]:
        """Return what a look finds of a batch."""
        look, batch = unit
        run = self.extractor.run
        tiles = made_by_process("a batch of tiles", (run, batch.paths), partial(read_batch, batch.paths, batch.first))
        extractor = made_by_process("features of a backbone", run, self.extractor.load)
        return look(extractor, tiles, batch.ids)


@dataclass(frozen=True, slots=True)
class RemoteExtractor:
    """Has workers of other processes look at tiles.

    Attributes
    ----------
    workers : Workers
    extractor : NamedExtractor
    """

    workers: Workers
    extractor: NamedExtractor

    def look_at(self, look: Look, batches: Iterable[TileBatch]) -> Iterator[Sequence[Features]]:
        """Yield what a look finds of each batch, in their order."""
        parts = look.parts
        units = ((part, _from_anywhere(batch)) for batch in batches for part in parts)
        found = self.workers.stream(LookUnit(self.extractor), units)
        for of_batch in zip(*[found] * len(parts), strict=True):
            yield list(chain.from_iterable(of_batch))


def _from_anywhere(batch: TileBatch) -> TileBatch:
    """Return a batch with the whole names of its files: workers have other working folders."""
    return replace(batch, paths=tuple(path.absolute() for path in batch.paths), first=batch.first.absolute())
