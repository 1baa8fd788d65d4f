from __future__ import annotations

import numpy as np
import pytest

from spurgekit.errors import InputError
from spurgekit.simulate.camera import Camera, expose, photograph_mosaic

CLEAN = {"blur_px": 0.0, "noise": 0.0}


def exposed(camera: Camera, level: int = 100) -> np.ndarray:
    rgb = np.full((100, 150, 3), level, np.uint8)
    rgb[:, 75:] += 50
    expose(rgb, camera, 0.0125, np.random.default_rng(0))
    return rgb.astype(float)


def test_a_stop_is_a_factor_of_the_square_root_of_two() -> None:
    right, brighter = (exposed(Camera(**CLEAN, exposure_stops=stops)) for stops in (0, 1))
    assert brighter.mean() / right.mean() == pytest.approx(2**0.5, rel=0.01)


def test_what_is_too_bright_is_white() -> None:
    assert (exposed(Camera(**CLEAN, exposure_stops=4)) == 255).all()


def test_blur_softens_edges_and_noise_roughens_planes() -> None:
    clean = exposed(Camera(**CLEAN))
    blurred = exposed(Camera(blur_px=2, noise=0))
    noisy = exposed(Camera(blur_px=0, noise=5))
    assert np.abs(np.diff(blurred, axis=1)).max() < 0.3 * np.abs(np.diff(clean, axis=1)).max()
    assert (noisy - clean)[:, :70].std() == pytest.approx(5, rel=0.05)


def test_low_quality_leaves_traces() -> None:
    rng = np.random.default_rng(1)
    scene = rng.integers(80, 120, (64, 64, 3), np.uint8)
    good, bad = (
        photograph_mosaic(scene.copy(), Camera(**CLEAN, jpeg_quality=quality), 0.0125, np.random.default_rng(0)).astype(float)
        for quality in (100, 10)
    )
    assert good.shape == bad.shape == (64, 64, 3)
    assert np.abs(good - bad).mean() > 2


@pytest.mark.parametrize(
    "values", [{"blur_px": -1.0}, {"noise": 300.0}, {"exposure_stops": 5.0}, {"jpeg_quality": 0}, {"jpeg_quality": 101}]
)
def test_cameras_that_cannot_be_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"pass -?\d+ to \d+"):
        Camera(**values)  # type: ignore[arg-type]
