"""What tiles are normalised by: their own mean and spread, or those of the pictures that a backbone was trained with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.tile_reader import DType, Pixels, TileKind, batches, read_tile
from spurgekit.errors import InputError
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of

SAMPLE = 512
"""Tiles that are looked at: as many say what the bands are like as thousands do, in a second or two."""

BATCH = 8

CONSTANT = 1e-6
"""A spread below this share of the mean is what float32 makes of a constant."""

WHITE = 255


@dataclass(frozen=True, slots=True)
class BandStatistics:
    """How the values of tiles are spread, band by band.

    Attributes
    ----------
    mean, std : tuple of float
        Of values from 0 to 1 where tiles are of uint8, else in the tiles' own units. The std of a constant band is 1.
    dtype : {"uint8", "uint16", "float32"}
        Of the tiles.
    tiles : int
        How many were looked at.
    notes : tuple of str
        What is to be said of the bands.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: DType
    tiles: int
    notes: tuple[str, ...] = ()

    @property
    def bands(self) -> int:
        """How many bands the tiles have."""
        return len(self.mean)


def band_statistics(paths: Sequence[Path], *, sample: int | None = SAMPLE, progress: Progress = silent) -> BandStatistics:
    """Return the mean and the standard deviation of each band over the pixels with data of all tiles.

    Tiles are merged as they stream by, as scikit-learn does it (the updating formula of Chan, Golub and LeVeque 1983), so that
    neither memory grows with them nor the precision of large values (elevations) is lost.

    Parameters
    ----------
    paths : sequence of path
        The training tiles.
    sample : int, optional
        Look at so many of them, always the same ones; None for all.

    Raises
    ------
    InputError
        If there are no tiles, none of them has data, one cannot be read, or they are not alike.
    """
    if not paths:
        raise InputError("there are no tiles to take the mean of; hold out other places")
    chosen = _draw(paths, sample)
    kind = TileKind.of(read_tile(chosen[0]))

    def tiles() -> Iterator[Pixels]:
        with progress("looking at bands", len(chosen)) as advance:
            for batch in batches(chosen, BATCH):
                yield from batch
                advance(len(batch))

    moments = _moments(tiles())
    if moments is None:
        raise InputError(f"{chosen[0]} and {len(chosen) - 1:,} more tiles hold no pixel with data; make the tiles again")
    return _summarise(*moments, kind, len(chosen))


def normalisation(
    config: Mapping[str, Any], statistics: BandStatistics, *, pretrained: bool
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the std per band that a model is to normalise its input by.

    RGB of bytes looks to pretrained weights as it did in their own training; for other bands, other types and random weights
    it is the training tiles that say what is usual.

    Parameters
    ----------
    config : mapping
        timm's ``pretrained_cfg``.
    statistics : BandStatistics
        Of the training tiles.
    pretrained : bool
        Whether the weights are not random: timm's, or those of a file.
    """
    own = tuple(config.get("mean") or ()), tuple(config.get("std") or ())
    is_photo = statistics.dtype == "uint8" and statistics.bands == 3
    if pretrained and is_photo and len(own[0]) == len(own[1]) == 3:
        return own
    return statistics.mean, statistics.std


def _draw(paths: Sequence[Path], sample: int | None) -> list[Path]:
    """Return some of the paths in their order: drawn by chance, since every n-th would be of one column of a grid."""
    if sample is None or len(paths) <= sample:
        return list(paths)
    rng = np.random.default_rng(seed_of("band statistics", len(paths), sample))
    return [paths[i] for i in sorted(rng.choice(len(paths), sample, replace=False))]


def _pixels_with_data(tile: Pixels) -> NDArray[np.float64]:
    """Return the pixels of a tile [bands, h, w] that have data, shape (pixels, bands)."""
    valid = np.isfinite(tile).all(axis=0) if tile.dtype.kind == "f" else tile.any(axis=0)
    seen = tile.reshape(len(tile), -1) if valid.all() else tile[:, valid]
    return np.asarray(seen.T, np.float64)


def _moments(tiles: Iterable[Pixels]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return mean and standard deviation of each band over the pixels with data; None where none has any."""
    from sklearn.preprocessing import StandardScaler  # takes a second to load, which the command line's start does without

    scaler, seen = StandardScaler(), False
    for tile in tiles:
        pixels = _pixels_with_data(tile)
        if len(pixels):
            scaler.partial_fit(pixels)
            seen = True
    return (scaler.mean_, np.sqrt(scaler.var_)) if seen else None


def _summarise(mean: NDArray[np.float64], std: NDArray[np.float64], kind: TileKind, tiles: int) -> BandStatistics:
    constant = std <= CONSTANT * np.abs(mean)
    unit = WHITE if kind.dtype == "uint8" else 1
    notes = tuple(
        f"band {i + 1} is {mean[i]:g} everywhere and tells nothing apart; leave it out with `bands`"
        for i in np.flatnonzero(constant)
    )
    return BandStatistics(
        mean=tuple(float(m) for m in mean / unit),
        std=tuple(float(s) for s in np.where(constant, 1, std / unit)),
        dtype=kind.dtype,
        tiles=tiles,
        notes=notes,
    )
