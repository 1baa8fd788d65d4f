"""What to simulate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from spurgekit.errors import InputError
from spurgekit.imagery import parse_crs, slug
from spurgekit.plots import PlotProtocol
from spurgekit.simulate.camera import Camera
from spurgekit.simulate.painted_markers import DICTIONARIES, FAMILIES_HINT, PAINTABLE, Rgb, id_count

BRIDGER_FOOTHILLS = (495_000.0, 5_063_000.0)
"""Upper left corner in UTM zone 12N: rangeland north of Bozeman, Montana."""

SMALLEST_PX, LARGEST_PX = 256, 8192
"""Sides that can be drawn: below, there is no room for a patch; above, the scene would not fit into memory."""

MAX_GSD_M = 0.1
"""Above this ground sample distance nothing is left of the texture."""


@dataclass(frozen=True, slots=True)
class SurveyOptions:
    """A survey to simulate: one site with its plots.

    Attributes
    ----------
    name : str
        Of the site; letters, digits, ``_`` and ``-``.
    protocol : PlotProtocol
        The lattice of plots.
    family : str or None
        Of its markers; None for a site without any.
    marker_size_m : float
    marker_color : tuple of int, optional
        RGB of what is light on a marker. Default white.
    rotation_deg : float, optional
        How far the lattice is turned counter-clockwise. Default drawn from -45 to 45, as other turns only rename plots.
    tape_sd_m : float
        Standard deviation, in x and in y, of where a marker was laid from where the protocol wants it.
    warp_m : float
        Standard deviation, in x and in y, of a smooth distortion (25 to 60 m from crest to crest) of the kind that terrain
        leaves in a mosaic. It moves the markers and the truth alike; what the ground would show of it no eye could tell.
    missing, covered : float
        Share of markers that are not there, and share of the others that are half hidden by grass or a fold.
    distractors : int
        White rocks, buckets and stumps off the lattice.
    size_m : float, optional
        Side of the square site. Default what holds the lattice. Not for frames.
    gsd_m : float, optional
        Ground sample distance. Default 0.0125, or what a frame has from 50 m up.
    weed_share : float
        Share of the mosaic's area for the weed, between 0 and 0.6. It covers about a tenth less, as it leaves gaps.
    frame_px : int, optional
        Take one nadir photo of this width (and two thirds of it in height) instead of an orthomosaic.
    tilt_deg : float
        Largest tilt of that photo.
    camera : Camera
    seed : int
        0 or more. Another name or another seed gives another site.
    crs : str
        A projected CRS in metres.
    origin : tuple of float
        World (x, y) of the upper left corner.
    """

    name: str = "site"
    protocol: PlotProtocol = field(default_factory=PlotProtocol)
    family: str | None = "cross"
    marker_size_m: float = 0.45
    marker_color: Rgb | None = None
    rotation_deg: float | None = None
    tape_sd_m: float = 0.03
    warp_m: float = 0.05
    missing: float = 0.0
    covered: float = 0.0
    distractors: int = 0
    size_m: float | None = None
    gsd_m: float | None = None
    weed_share: float = 0.08
    frame_px: int | None = None
    tilt_deg: float = 2.0
    camera: Camera = field(default_factory=Camera)
    seed: int = 0
    crs: str = "EPSG:32612"
    origin: tuple[float, float] = BRIDGER_FOOTHILLS

    def __post_init__(self) -> None:
        if slug(self.name) != self.name:
            hint = f"pass letters, digits, '_' and '-', such as {slug(self.name)!r}"
            raise InputError(f"{self.name!r} cannot name a site's files; {hint}")
        if not 0 < self.weed_share < 0.6:
            raise InputError(f"a weed share of {self.weed_share} cannot be drawn; pass one between 0 and 0.6, such as 0.08")
        if self.seed < 0:
            raise InputError(f"seed {self.seed} is negative; pass 0 or more")
        if not all(math.isfinite(value) for value in self.origin):
            raise InputError(f"an origin of {self.origin} is nowhere; pass the x and y of the upper left corner, in metres")
        parsed = parse_crs(self.crs)
        if not parsed.is_projected or parsed.linear_units_factor[1] != 1:
            raise InputError(f"{self.crs} does not measure the ground in metres; pass a projected CRS such as EPSG:32612")
        if self.gsd_m is not None and not 0 < self.gsd_m <= MAX_GSD_M:
            hint = f"pass one up to {MAX_GSD_M} m, such as 0.0125"
            raise InputError(f"a ground sample distance of {self.gsd_m} m cannot be drawn; {hint}")
        self._check_markers()
        self._check_frame()

    def _check_markers(self) -> None:
        if self.family is not None and self.family not in PAINTABLE:
            raise InputError(f"{self.family!r} is no family of markers; {FAMILIES_HINT}")
        if not 0 < self.marker_size_m < self.protocol.size_m / 2:
            limit = self.protocol.size_m / 2
            raise InputError(
                f"markers of {self.marker_size_m} m do not go with plots of {2 * limit:g} m; pass less than {limit:g} m"
            )
        if self.marker_color is not None and (len(self.marker_color) != 3 or not set(self.marker_color) <= set(range(256))):
            raise InputError(f"{self.marker_color} is no colour; pass red, green and blue from 0 to 255")
        ids = self.protocol.marker_ids or range(len(self.protocol.nodes_m))
        if self.family in DICTIONARIES and not (min(ids) >= 0 and max(ids) < id_count(self.family)):
            hint = "lay fewer plots, or pass a larger dictionary"
            raise InputError(f"{self.family} has {id_count(self.family)} markers, too few for ids up to {max(ids)}; {hint}")
        for name, share in (("missing", self.missing), ("covered", self.covered)):
            if not 0 <= share <= 1:
                raise InputError(f"--{name} {share} is not a share; pass a number from 0 to 1")
        for name, value in (("tape-sd", self.tape_sd_m), ("warp", self.warp_m)):
            if not (math.isfinite(value) and 0 <= value <= self.protocol.size_m / 10):
                limit = self.protocol.size_m / 10
                raise InputError(f"--{name} {value} m would tear the plots apart; pass 0 to a tenth of a plot, {limit:g} m")
        if self.distractors < 0:
            raise InputError(f"--distractors {self.distractors} is negative; pass 0 or more")

    def _check_frame(self) -> None:
        if self.frame_px is None:
            return
        if self.size_m is not None:
            raise InputError(
                "--size does not go with --frame: a frame shows what its height and width let it; drop one of them"
            )
        if not SMALLEST_PX <= self.frame_px <= LARGEST_PX:
            raise InputError(f"a frame {self.frame_px} px wide cannot be drawn; pass {SMALLEST_PX} to {LARGEST_PX}")
        if not 0 <= self.tilt_deg <= 10:
            raise InputError(f"a tilt of {self.tilt_deg} degrees makes no nadir frame; pass 0 to 10")
