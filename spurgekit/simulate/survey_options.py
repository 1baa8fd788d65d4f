"""What to simulate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from spurgekit.errors import InputError
from spurgekit.markers.families import FAMILIES
from spurgekit.options import Options
from spurgekit.plots.protocol import PlotProtocol
from spurgekit.simulate.light import Light

BRIDGER_FOOTHILLS = (495_000.0, 5_063_000.0)
"""Upper left corner in UTM zone 12N: rangeland north of Bozeman, Montana."""

SMALLEST_PX, LARGEST_PX = 256, 8192
"""Sides that can be drawn: below, there is no room for a patch; above, the scene would not fit into memory."""

MAX_GSD_M = 0.1
"""Above this ground sample distance nothing is left of the texture."""


@dataclass(frozen=True, kw_only=True)
class Camera(Options):
    """How sharp and how clean a camera's pictures are.

    Attributes
    ----------
    blur_px : float
        Blur of the lens: its standard deviation in pixels.
    noise : float
        Standard deviation of the noise, in grey levels.
    exposure_stops : float
        Stops too bright or too dark.

        One stop is a factor of two in light, about 1.4 in grey levels here.
    jpeg_quality : int
        Quality of JPEGs, from 1 to 100.
    """

    blur_px: float = 0.6
    noise: float = 3.0
    exposure_stops: float = 0.0
    jpeg_quality: int = 92

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if not 0 <= self.blur_px <= 20:
            raise InputError(f"a blur of {self.blur_px} px shows nothing or cannot be; pass 0 to 20")
        if not 0 <= self.noise <= 100:
            raise InputError(f"a noise of {self.noise} grey levels shows nothing or cannot be; pass 0 to 100")
        if not -4 <= self.exposure_stops <= 4:
            raise InputError(f"an exposure of {self.exposure_stops} stops shows nothing; pass -4 to 4")
        if not 1 <= self.jpeg_quality <= 100:
            raise InputError(f"a JPEG has no quality {self.jpeg_quality}; pass 1 to 100")


@dataclass(frozen=True, kw_only=True)
class SurveyOptions(PlotProtocol):
    """A survey to simulate: one site with its plots, as a protocol lays them out.

    Attributes
    ----------
    name : str
        Name of the site: letters, digits, ``_`` and ``-``.
    markers : bool
        Whether there are plots and markers at their corners at all.
    rotation_deg : float, optional
        Turn of the lattice, counter-clockwise in degrees. Default: drawn from -45 to 45.
    tape_sd_m : float
        Scatter of the laid markers: the standard deviation, in x and in y, of their distance from the protocol, in metres.
    warp_m : float
        Smooth distortion of the site: its standard deviation in metres.

        It is 25 to 60 m from crest to crest, of the kind that terrain leaves in a mosaic. It moves the markers and the truth
        alike; what the ground would show of it no eye could tell.
    missing : float
        Share of markers that are not there.
    covered : float
        Share of the others that are half hidden, by grass or a fold.
    distractors : int
        Rocks, buckets and stumps off the lattice.
    site_size_m : float, optional
        Side of the square site in metres. Default: what holds the plots.
    gsd_m : float, optional
        Metres a pixel. Default: 0.0125; a frame's from 50 m up.
    weed_share : float
        Share of the ground for the weed, between 0 and 0.6; it covers about a tenth less, as it leaves gaps.
    visit : int
        Which visit to the site it is, counted from 1: later ones find the same ground, shrubs and markers, the weed as it has
        moved on, and another flight's noise.
    turnover : float
        How much of the weed's pattern each visit after the first draws anew, from 0 (the same patches) to 1 (others).
    shift_m : tuple of float
        How far off the image's georeference is, in metres to the east and to the north; the truth stays where it is.
    frame_px : int, optional
        Width of a nadir photo to take instead of an orthomosaic, with EXIF and XMP.
    tilt_deg : float
        Largest tilt of that photo, in degrees.
    camera : Camera
        How sharp and how clean the picture is.
    light : Light
        What the site is seen in: with the same seed the same ground and the same plants.
    seed : int
        0 or more: another name or another seed gives another site.
    crs : str
        A projected CRS in metres.
    origin : tuple of float
        World x and y of the upper left corner.
    """

    name: str = "site"
    markers: bool = True
    rotation_deg: float | None = None
    tape_sd_m: float = 0.03
    warp_m: float = 0.05
    missing: float = 0.0
    covered: float = 0.0
    distractors: int = 0
    site_size_m: float | None = None
    gsd_m: float | None = None
    weed_share: float = 0.08
    visit: int = 1
    turnover: float = 0.1
    shift_m: tuple[float, float] = (0.0, 0.0)
    frame_px: int | None = None
    tilt_deg: float = 2.0
    camera: Camera = field(default_factory=Camera)
    light: Light = field(default_factory=Light)
    seed: int = 0
    crs: str = "EPSG:32612"
    origin: tuple[float, float] = BRIDGER_FOOTHILLS

    def __post_init__(self) -> None:
        from spurgekit.imagery import parse_crs, slug

        PlotProtocol.__post_init__(self)
        if slug(self.name) != self.name:
            hint = f"pass letters, digits, '_' and '-', such as {slug(self.name)!r}"
            raise InputError(f"{self.name!r} cannot name a site's files; {hint}")
        if not 0 < self.weed_share < 0.6:
            raise InputError(f"a weed share of {self.weed_share} cannot be drawn; pass one between 0 and 0.6, such as 0.08")
        if self.visit < 1:
            raise InputError(f"`visit={self.visit}` cannot be; pass 1 for the first one, 2 for the next")
        if not 0 <= self.turnover <= 1:
            raise InputError(f"`turnover={self.turnover}` is not a share; pass a number from 0 to 1")
        if not all(math.isfinite(value) for value in self.shift_m):
            raise InputError(f"a shift of {self.shift_m} leads nowhere; pass metres to the east and to the north")
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
        if not self.marker_side_m < self.side_m / 2:
            limit = self.side_m / 2
            raise InputError(
                f"markers of {self.marker_side_m} m do not go with plots of {2 * limit:g} m; pass less than {limit:g} m"
            )
        if self.marker_color is not None and not set(self.marker_color) <= set(range(256)):
            raise InputError(f"{self.marker_color} is no colour; pass red, green and blue from 0 to 255")
        if FAMILIES[self.marker_family].dictionary:
            from spurgekit.simulate.painted_markers import id_count

            ids, count = self.marker_ids or range(len(self.nodes_m)), id_count(self.marker_family)
            if not (min(ids) >= 0 and max(ids) < count):
                hint = "lay fewer plots, or pass a larger dictionary"
                raise InputError(f"{self.marker_family} has {count} markers, too few for ids up to {max(ids)}; {hint}")
        for name in ("missing", "covered"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"`{name}={getattr(self, name)}` is not a share; pass a number from 0 to 1")
        for name in ("tape_sd_m", "warp_m"):
            value, limit = getattr(self, name), self.side_m / 10
            if not (math.isfinite(value) and 0 <= value <= limit):
                raise InputError(f"`{name}={value}` would tear the plots apart; pass 0 to a tenth of a plot, {limit:g} m")
        if self.distractors < 0:
            raise InputError(f"`distractors={self.distractors}` is negative; pass 0 or more")

    def _check_frame(self) -> None:
        if self.frame_px is None:
            return
        if self.shift_m != (0, 0):
            raise InputError("`shift_m` is of orthomosaics; a frame of `frame_px` lies as its EXIF says; drop one of them")
        if self.site_size_m is not None:
            raise InputError(
                "`site_size_m` does not go with `frame_px`: a frame shows what its height and width let it; drop one of them"
            )
        if not SMALLEST_PX <= self.frame_px <= LARGEST_PX:
            raise InputError(f"a frame {self.frame_px} px wide cannot be drawn; pass {SMALLEST_PX} to {LARGEST_PX}")
        if not 0 <= self.tilt_deg <= 10:
            raise InputError(f"a tilt of {self.tilt_deg} degrees makes no nadir frame; pass 0 to 10")
