"""How to compare two maps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from spurgekit.errors import InputError
from spurgekit.options import Options


@dataclass(frozen=True, kw_only=True)
class ChangeOptions(Options):
    """How to compare two maps of one site.

    Attributes
    ----------
    max_shift_m : float
        How far the two images may lie apart to be brought together, in metres; 0 compares the maps as they lie.

        How far they do is measured. Beyond that, one of them is better georeferenced anew.
    old_model : pathlib.Path, optional
        Folder of the model that made the old map. Default: where the map says.
    new_model : pathlib.Path, optional
        Folder of the model that made the new map. Default: where the map says.
    """

    max_shift_m: float = 3.0
    old_model: Path | None = None
    new_model: Path | None = None

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if not (math.isfinite(self.max_shift_m) and self.max_shift_m >= 0):
            raise InputError(f"`max_shift_m={self.max_shift_m}` cannot be; pass metres, or 0 to compare the maps as they lie")
