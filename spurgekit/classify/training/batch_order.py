"""Which tiles the training loop is shown, and in what order: a function of the step, so that any step can be done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.tile_reader import batches
from spurgekit.errors import InputError
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of

KEPT_BYTES = 2 << 30
"""Tiles that take up to 2 GiB (11,000 of 250 px) are decoded once and stay in memory; of more, each batch is decoded anew."""

SUM_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class PixelsOnDisk:
    """Tiles that are too many to stay in memory.

    Attributes
    ----------
    paths : tuple of pathlib.Path
    """

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Decode tiles: [n, bands, h, w]."""
        distinct, places = np.unique(rows, return_inverse=True)
        return np.concatenate(list(batches([self.paths[row] for row in distinct], len(distinct))))[places]


def read_pixels(
    paths: Sequence[Path], *, kept_bytes: int = KEPT_BYTES, progress: Progress = silent
) -> NDArray[Any] | PixelsOnDisk:
    """Decode tiles once and keep them, where they take up to ``kept_bytes``; else leave them on disk.

    Raises
    ------
    InputError
        If a tile cannot be read, or is of another size or band count than the others.
    """
    if not paths:
        raise InputError("there are no tiles to learn from; the training split is empty")
    first = next(iter(batches(paths[:1], 1)))
    if first.nbytes * len(paths) > kept_bytes:
        return PixelsOnDisk(tuple(paths))
    pixels = np.empty((len(paths), *first.shape[1:]), first.dtype)
    with progress("reading tiles", len(paths)) as advance:
        start = 0
        for batch in batches(paths, 64):
            pixels[start : start + len(batch)] = batch
            start += len(batch)
            advance(len(batch))
    return pixels


@dataclass(frozen=True, slots=True, eq=False)
class FinetuneTiles:
    """Tiles to learn from, or to stop early by.

    Attributes
    ----------
    pixels : ndarray, shape (n, bands, height, width), or PixelsOnDisk
        0 in all bands where there is no data; see :func:`read_pixels`.
    targets : ndarray, shape (n, classes)
        How much a tile is of each class, with sum 1.
    tile_ids : sequence of str, length n
        What is done to a tile derives from its id; one that stands here twice is drawn twice as often.
    weights : ndarray, shape (n,), optional
        How often a tile is drawn, in relation to the others of its class. Default: all alike. Of weight 0: never.
    synthetic : ndarray of bool, shape (n,), optional
        Tiles that are not of the survey, such as generated ones. Default: none.
    mixing : float
        Probability that a sample is synthetic, in each class that has both real and synthetic tiles.

    Raises
    ------
    InputError
        If these do not go together.
    """

    pixels: NDArray[Any] | PixelsOnDisk
    targets: NDArray[np.floating]
    tile_ids: Sequence[str]
    weights: NDArray[np.floating] = None  # type: ignore[assignment]
    synthetic: NDArray[np.bool_] = None  # type: ignore[assignment]
    mixing: float = 0.5

    def __post_init__(self) -> None:
        n = len(self.pixels)
        if self.weights is None:
            object.__setattr__(self, "weights", np.ones(n))
        if self.synthetic is None:
            object.__setattr__(self, "synthetic", np.zeros(n, np.bool_))
        for name in ("targets", "tile_ids", "weights", "synthetic"):
            if (given := len(getattr(self, name))) != n:
                raise InputError(f"{n} tiles have {given} {name}; give one for each")
        if self.targets.ndim != 2:
            raise InputError(f"targets of shape {self.targets.shape} are not a row of class weights for each tile")
        sums = self.targets.sum(axis=1)
        odd = ~((self.targets >= 0).all(axis=1) & (abs(sums - 1) < SUM_TOLERANCE))  # so that NaN is odd too
        if odd.any():
            row = int(odd.argmax())
            found = self.targets[row].tolist()
            raise InputError(f"tile {self.tile_ids[row]} has the class weights {found}; pass shares with sum 1")
        odd = ~((self.weights >= 0) & np.isfinite(self.weights))
        if odd.any():
            row = int(odd.argmax())
            raise InputError(f"tile {self.tile_ids[row]} has the weight {self.weights[row]}; pass 0 or more")
        if not 0 <= self.mixing <= 1:
            raise InputError(f"a mixing probability of {self.mixing} cannot be; pass a number from 0 to 1")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.targets.shape[1])

    @property
    def shots(self) -> int:
        """How many distinct real tiles of some weight the rarest class has; a tile counts for its foremost class."""
        real = (self.weights > 0) & ~self.synthetic
        foremost = self.targets.argmax(axis=1)
        distinct = {(self.tile_ids[row], int(foremost[row])) for row in np.flatnonzero(real).tolist()}
        counts = Counter(number for _, number in distinct)
        return min(counts[number] for number in range(self.classes))


@dataclass(frozen=True, slots=True)
class _Stratum:
    """Tiles among which one is drawn by weight: the real ones of a class, or its synthetic ones."""

    name: str
    rows: NDArray[np.intp]
    shares: NDArray[np.float64]


class BatchOrder:
    """The tiles of each batch.

    Classes take turns, so all are seen as often, however rare they are on the ground. Within a class, synthetic tiles come at
    regular intervals that make up ``mixing``. Within real and synthetic ones, tiles go by rounds: in a round of as many draws
    as there are tiles, each is drawn as often as its weight says, rounded up or down at random (systematic sampling), so tiles
    of one weight are each drawn once. A tile of two classes is drawn for each, as often as it is of it. Batches are shuffled.

    Parameters
    ----------
    tiles : FinetuneTiles
    batch_size : int
    seed : int

    Raises
    ------
    InputError
        If a class has no tile of some weight.
    """

    def __init__(self, tiles: FinetuneTiles, batch_size: int, seed: int) -> None:
        self.tiles = tiles
        self.batch_size = batch_size
        self.seed = seed
        self._strata: list[tuple[_Stratum | None, _Stratum | None]] = []
        for number in range(tiles.classes):
            real, synthetic = (self._stratum(number, kind) for kind in (False, True))
            if real is None and synthetic is None:
                raise InputError(
                    f"there is no tile of class number {number} to learn from, of the {tiles.classes} classes; "
                    "hold out other places"
                )
            self._strata.append((real, synthetic))
        self._round = lru_cache(maxsize=4 * tiles.classes)(self._draw_round)

    @property
    def prior(self) -> NDArray[np.float64]:
        """The share that each class has in what is drawn, shape (classes,), sum 1."""
        total = np.zeros(self.tiles.classes)
        for number, (real, synthetic) in enumerate(self._strata):
            share = self._synthetic_share(number)
            for stratum, part in ((real, 1 - share), (synthetic, share)):
                if stratum is not None:
                    total += part * (stratum.shares @ self.tiles.targets[stratum.rows])
        return np.asarray(total / total.sum())

    def batch(self, step: int) -> NDArray[np.intp]:
        """Return the tiles of a step, shape (batch_size,)."""
        first = step * self.batch_size
        drawn = [self._draw(i) for i in range(first, first + self.batch_size)]
        return np.random.default_rng(seed_of(self.seed, "batch", step)).permutation(np.array(drawn, np.intp))

    def seeds(self, step: int, rows: NDArray[np.intp]) -> list[int]:
        """Return what the alterations of a batch's tiles are drawn from; a tile that is in it twice is altered in two ways."""
        before: Counter[str] = Counter()
        seeds = []
        for row in rows:
            tile_id = self.tiles.tile_ids[row]
            seeds.append(seed_of(self.seed, tile_id, step, before[tile_id]))
            before[tile_id] += 1
        return seeds

    def _stratum(self, number: int, synthetic: bool) -> _Stratum | None:
        """Return the tiles of a class that are real or synthetic, None if there are none."""
        tiles = self.tiles
        weights = tiles.weights.astype(np.float64) * tiles.targets[:, number] * (tiles.synthetic == synthetic)
        rows = np.flatnonzero(weights)
        if not len(rows):
            return None
        return _Stratum(f"{number}/{'synthetic' if synthetic else 'real'}", rows, weights[rows] / weights.sum())

    def _synthetic_share(self, number: int) -> float:
        """Return how much of what is drawn of a class is synthetic."""
        real, synthetic = self._strata[number]
        if real is None or synthetic is None:
            return float(real is None)
        return self.tiles.mixing

    def _draw(self, i: int) -> int:
        """Return the tile of a sample, counted from the first step's first."""
        turn, number = divmod(i, self.tiles.classes)
        share = self._synthetic_share(number)
        offset = seed_of(self.seed, "synthetic", number) / 2**32
        before, after = int(turn * share + offset), int((turn + 1) * share + offset)  # synthetic ones so far, and with this one
        if after > before:
            return self._of_stratum(number, True, before)
        return self._of_stratum(number, False, turn - before)

    def _of_stratum(self, number: int, synthetic: bool, draw: int) -> int:
        stratum = self._strata[number][synthetic]
        assert stratum is not None  # its share would be 0
        index, place = divmod(draw, len(stratum.rows))
        return int(self._round(number, synthetic, index)[place])

    def _draw_round(self, number: int, synthetic: bool, index: int) -> NDArray[np.intp]:
        """Return the tiles of a round, in order."""
        stratum = self._strata[number][synthetic]
        assert stratum is not None
        rng = np.random.default_rng(seed_of(self.seed, stratum.name, index))
        n = len(stratum.rows)
        order = rng.permutation(n)
        edges = np.cumsum(stratum.shares[order])
        points = (np.arange(n) + rng.random()) / n * edges[-1]
        places = np.searchsorted(edges, points, side="right").clip(max=n - 1)
        return rng.permutation(stratum.rows[order[places]])
