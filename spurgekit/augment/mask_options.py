"""Where tiles may change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spurgekit.errors import InputError
from spurgekit.options import Options

Where = Literal["inside", "outside"]
"""Which side of a mask may change."""


@dataclass(frozen=True, kw_only=True)
class MaskOptions(Options):
    """Where tiles may change.

    Attributes
    ----------
    mask : pathlib.Path, optional
        Polygons, a mask raster, a folder of masks, or excess-green: where tiles may change, or what is pasted. Default:
        anywhere; pasted is what the dataset's own masks have of the class.

        See :meth:`spurgekit.augment.mask_sources.MaskSource.open`.
    mask_crs : str, optional
        CRS of the mask, where it does not say it.
    where : {"inside", "outside"}
        Side of the mask that may change.
    dilate_px : int, optional
        Pixels of a tile that the mask grows first. Default: 0; published: 16 in 512.

        So what is in the mask changes with its rim (or, ``outside``, stays with it); less than 0 shrinks it. None: as
        DA-Fusion does.
    feather_px : int
        Pixels of a soft rim within what may change, over which the picture goes over into the original.
    skip_unmasked : bool
        Leave out tiles that the mask misses, or leaves nothing of to change.
    """

    mask: Path | None = None
    mask_crs: str | None = None
    where: Where = "inside"
    dilate_px: int | None = 0
    feather_px: int = 0
    skip_unmasked: bool = False

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        check_edit(self.where, self.dilate_px or 0, self.feather_px)


def check_edit(where: str, grow_px: float, feather_px: int) -> None:
    """Raise an InputError if a mask cannot be used that way."""
    if where not in ("inside", "outside"):
        raise InputError(f"a tile cannot change {where!r} of a mask; pass inside or outside")
    if not math.isfinite(grow_px):
        raise InputError(f"a mask cannot grow by {grow_px} px; pass a number of pixels, less than 0 to shrink it")
    if feather_px < 0:
        raise InputError(f"a rim of {feather_px} px cannot be; pass 0 or more pixels")
