"""How to plan the next walk over a map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from spurgekit.errors import InputError
from spurgekit.options import Options


@dataclass(frozen=True, kw_only=True)
class NextSurveyOptions(Options):
    """How to plan where botanists look next.

    Attributes
    ----------
    tiles : int
        Tiles to look at, at most.
    walk_m : float, optional
        How long the walk may be, in metres, from the first tile to the last, or from the start and back. Default: as long as
        the tiles make it.
    start : tuple of float, optional
        Where the walk begins and ends: x and y in the CRS of the map. Default: at whichever tiles make it short.
    start_crs : str, optional
        The CRS of these, where it is not that of the map, e.g. EPSG:4326 for longitude and latitude.
    candidates : int
        Tiles that are looked at on the image to choose from, drawn at random where the map has more.
    model : pathlib.Path, optional
        Folder of the model that made the map. Default: where the map says.
    device : str
        cpu, cuda, cuda:1, ... (auto: a GPU if there is one).
    batch_size : int
        Tiles at once.
    """

    tiles: int = 16
    walk_m: float | None = None
    start: tuple[float, float] | None = None
    start_crs: str | None = None
    candidates: int = 500
    model: Path | None = None
    device: str = "auto"
    batch_size: int = 8

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        for name in ("tiles", "candidates", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}={getattr(self, name)}` is too few; pass 1 or more")
        if self.candidates < self.tiles:
            raise InputError(
                f"`candidates={self.candidates}` are fewer than the `tiles={self.tiles}` to choose of them; pass more"
            )
        if self.walk_m is not None and not (math.isfinite(self.walk_m) and self.walk_m > 0):
            raise InputError(f"`walk_m={self.walk_m}` cannot be; pass metres, or leave it out")
        if self.start is not None and not all(map(math.isfinite, self.start)):
            raise InputError(f"`start={','.join(map(str, self.start))}` is no place; pass x and y")
        if self.start is None and self.start_crs is not None:
            raise InputError("`start_crs` says something of `start`, which is not given; leave it out, or pass `start`")
