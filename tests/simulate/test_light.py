"""The same ground in other light: plants stay, shadows turn with the sun, grow as it sinks, and fade under cloud."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from spurgekit.errors import InputError
from spurgekit.simulate import LIGHTS, Light, PaintedMarker, SurveyOptions, draw_site, paint_marker
from tests.command import succeed

GREY = 120


def panel(sun: Light) -> np.ndarray:
    """Return how dark the ground is around a white panel of 40 px at (100, 100)."""
    rgb = np.full((200, 200, 3), GREY, np.uint8)
    paint_marker(rgb, PaintedMarker("panel", 100, 100, 40, shadow_px=8), np.random.default_rng(0), sun=sun)
    return np.clip(GREY - rgb[..., 1].astype(float), 0, None) * (rgb[..., 1] > 60)


@pytest.mark.parametrize(("azimuth", "towards"), [(0, (0, -1)), (90, (1, 0)), (180, (0, 1)), (270, (-1, 0))])
def test_shadows_fall_away_from_the_sun(azimuth: float, towards: tuple[int, int]) -> None:
    sun = Light(sun_azimuth_deg=azimuth)
    assert sun.towards_sun == pytest.approx(towards)
    assert sun.shadow_px(3.0) == pytest.approx((-3 * towards[0], -3 * towards[1]))
    dark = panel(sun)
    rows, cols = np.indices(dark.shape) + 0.5
    away = -(cols - 100) * towards[0] - (rows - 100) * towards[1]
    assert dark[away > 20].sum() > 5 * dark[away < -20].sum()


def test_a_lower_sun_throws_longer_shadows() -> None:
    assert Light(sun_elevation_deg=20).shadow_length(1.0) == pytest.approx(2.747, abs=1e-3)
    high, low = (panel(Light(sun_azimuth_deg=270, sun_elevation_deg=degrees)) for degrees in (60, 20))
    reach = [np.flatnonzero((dark > 5).any(axis=0)).max() for dark in (high, low)]
    assert reach[1] > reach[0] + 12


def test_under_cloud_there_are_none() -> None:
    assert panel(Light(sun_share=0.0)).max() == 0
    assert panel(Light(sun_share=0.6)).max() > 1.2 * panel(Light(sun_share=0.3)).max()


@pytest.mark.parametrize("name", list(LIGHTS))
def test_the_ground_and_its_plants_are_the_same_in_any(name: str) -> None:
    clear, other = (
        draw_site(SurveyOptions(markers=False, site_size_m=8, weed_share=0.3, light=light, seed=3))
        for light in (Light(), LIGHTS[name])
    )
    assert (clear.weed == other.weed).all()
    assert (clear.valid == other.valid).all()
    assert (clear.rgb == other.rgb).all() == (LIGHTS[name] == Light())


def test_a_warmer_picture_is_redder() -> None:
    plain, warm = (
        draw_site(SurveyOptions(markers=False, site_size_m=8, light=Light(warmth=warmth))).rgb.reshape(-1, 3).mean(axis=0)
        for warmth in (0.0, 0.2)
    )
    assert warm / plain == pytest.approx([1.2, 1.0, 0.8], abs=0.02)


def test_the_command_takes_it_by_name_and_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = ("--family", "none", "--size", 8, "--gsd", 0.02)
    succeed("simulate", "a", *plain)
    succeed("simulate", "b", *plain, "--light", "evening", "--sun-share", 0.1)
    pixels, weed = ([rasterio.open(tmp_path / name / file).read() for name in "ab"] for file in ("site.tif", "weed.tif"))
    assert (pixels[0] != pixels[1]).any()
    assert (weed[0] == weed[1]).all()
    noted = (tmp_path / "b" / "provenance.json").read_text()
    assert '"sun_share": 0.1' in noted
    assert '"sun_elevation_deg": 15' in noted


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("sun_elevation_deg", 5.0, "pass 10 to 90"),
        ("sun_share", 1.0, "pass 0 to 0.9"),
        ("warmth", 0.7, r"pass -0\.5 to 0\.5"),
        ("sun_azimuth_deg", float("inf"), "pass 0 to 360"),
    ],
)
def test_light_that_cannot_be(name: str, value: float, hint: str) -> None:
    with pytest.raises(InputError, match=f"`{name}={value}` .*{hint}"):
        Light(**{name: value})
