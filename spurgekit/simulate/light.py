"""Light over a simulated site: where the sun stands, how strong it is beside the sky, and how warm pictures are of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from spurgekit.errors import InputError
from spurgekit.options import Options

SUN_SHARE = 0.45
"""Share of the light that the sun itself sends under a clear sky, as pictures show it."""


@dataclass(frozen=True, kw_only=True)
class Light(Options):
    """The light that a site is seen in; the ground and what grows on it stay the same.

    Attributes
    ----------
    sun_azimuth_deg : float
        Where the sun stands, clockwise from north.
    sun_elevation_deg : float
        Its height above the horizon, 10 to 90: shadows are as long as things are high at 45.
    sun_share : float
        Share of the light that shadows lack, 0 (overcast) to 0.9.
    warmth : float
        White balance, -0.5 to 0.5: by this share red is brighter and blue duller.
    """

    sun_azimuth_deg: float = 306.87
    sun_elevation_deg: float = 45.0
    sun_share: float = SUN_SHARE
    warmth: float = 0.0

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if not math.isfinite(self.sun_azimuth_deg):
            raise InputError(f"`sun_azimuth_deg={self.sun_azimuth_deg}` is no direction; pass 0 to 360")
        if not 10 <= self.sun_elevation_deg <= 90:
            raise InputError(f"`sun_elevation_deg={self.sun_elevation_deg}` is too low to fly or cannot be; pass 10 to 90")
        if not 0 <= self.sun_share <= 0.9:
            raise InputError(f"`sun_share={self.sun_share}` leaves shadows black or cannot be; pass 0 to 0.9")
        if not -0.5 <= self.warmth <= 0.5:
            raise InputError(f"`warmth={self.warmth}` leaves no colours; pass -0.5 to 0.5")

    @property
    def towards_sun(self) -> tuple[float, float]:
        """Unit vector (col, row) towards the sun in a picture whose top is north."""
        azimuth = math.radians(self.sun_azimuth_deg)
        return math.sin(azimuth), -math.cos(azimuth)

    @property
    def strength(self) -> float:
        """How strong the sun is, against that of a clear sky."""
        return self.sun_share / SUN_SHARE

    def shadow_px(self, height_px: float) -> tuple[float, float]:
        """Return where the shadow (col, row) of the top of something falls, from its foot."""
        length = self.shadow_length(height_px)
        return -length * self.towards_sun[0], -length * self.towards_sun[1]

    def shadow_length(self, height: float) -> float:
        """Return how long the shadow of something is, in the unit of its height."""
        return height / math.tan(math.radians(self.sun_elevation_deg))


LIGHTS: Mapping[str, Light] = {
    "clear": Light(),
    "morning": Light(sun_azimuth_deg=115, sun_elevation_deg=45, sun_share=0.45, warmth=0.03),
    "noon": Light(sun_azimuth_deg=180, sun_elevation_deg=66, sun_share=0.5, warmth=0.0),
    "afternoon": Light(sun_azimuth_deg=250, sun_elevation_deg=42, sun_share=0.45, warmth=0.04),
    "evening": Light(sun_azimuth_deg=285, sun_elevation_deg=15, sun_share=0.6, warmth=0.12),
    "overcast": Light(sun_share=0.05, warmth=-0.06),
}
"""Light by name: of a summer's day at 46 degrees north at about 10, 12, 15 and 19 o'clock solar time, and under cloud."""
