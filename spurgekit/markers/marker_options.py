"""What ground markers look like, and how an image is searched for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from spurgekit.errors import InputError
from spurgekit.markers.families import FAMILIES
from spurgekit.options import Options

DEFAULT_FAMILY = "cross"
DEFAULT_SIZE_M = 0.45


@dataclass(frozen=True, kw_only=True)
class MarkerStyle(Options):
    """What the ground markers of a survey look like.

    Attributes
    ----------
    family : str, optional
        Family of the ground markers: cross, checker, aruco-4x4-50, ... Default: cross.
    marker_size_m : float, optional
        Side or diameter of a marker in metres; of a coded one, of its black square. Default: 0.45.
    marker_color : tuple of int, optional
        Red, green and blue of plain panels and discs. Default: brighter than the ground.
    marker_ids : tuple of int
        Codes of the markers, row by row from the north-west.
    """

    family: Annotated[str, FAMILIES] | None = None
    marker_size_m: float | None = None
    marker_color: tuple[int, int, int] | None = None
    marker_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if self.marker_size_m is not None and not self.marker_size_m > 0:
            raise InputError(f"`marker_size_m={self.marker_size_m}` is not a size; pass its side or diameter in metres")

    @property
    def marker_family(self) -> str:
        """The family of markers that is looked for."""
        return self.family or DEFAULT_FAMILY

    @property
    def marker_side_m(self) -> float:
        """The side or diameter of the markers that are looked for."""
        return DEFAULT_SIZE_M if self.marker_size_m is None else self.marker_size_m


@dataclass(frozen=True, kw_only=True)
class ControlOptions(Options):
    """Where ground markers are known to be.

    Attributes
    ----------
    gcp : pathlib.Path, optional
        Points of known coordinates, or ODM's list, to georeference the image by.

        See :func:`spurgekit.markers.gcp_placement.read_control`: the image is placed by the markers on them before anything
        else.
    gcp_crs : str, optional
        CRS of the points of known coordinates, where their file does not say it.
    """

    gcp: Path | None = None
    gcp_crs: str | None = None

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if self.gcp_crs is not None and self.gcp is None:
            raise InputError("`gcp_crs` is the CRS of `gcp`; pass that, too")


@dataclass(frozen=True, kw_only=True)
class MarkerOptions(MarkerStyle, ControlOptions):
    """How to look for the ground markers in an image.

    Attributes
    ----------
    min_score : float
        Least score of a marker that is listed, 0 to 1.
    image_gsd_m : float, optional
        Metres a pixel of a photo that does not say where it was taken.
    crs : str, optional
        Work in this CRS (e.g. EPSG:32612): assigned to an image that has none, else reprojected to.
    image_crs : str, optional
        CRS that the image's coordinates are in, where its file does not say it or says it wrongly.
    nodata : float, optional
        Value of pixels without data, whatever the image says: of the white or black around a mosaic, for instance.
    """

    min_score: float = 0.3
    image_gsd_m: float | None = None
    crs: str | None = None
    image_crs: str | None = None
    nodata: float | None = None

    def __post_init__(self) -> None:
        MarkerStyle.__post_init__(self)
        ControlOptions.__post_init__(self)
        if not 0 <= self.min_score <= 1:
            raise InputError(f"`min_score={self.min_score}` is not a share; pass a number from 0 to 1")
