"""What a camera makes of a scene: uneven light, a lens's blur, exposure, noise, the blocks of JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from spurgekit.errors import InputError
from spurgekit.simulate.random_fields import Pixels, blurred, noise

LIGHT_SCALE_M = 25.0
"""About the size of the patches of brighter and duller light that thin clouds and vignetting leave in a mosaic."""


@dataclass(frozen=True, slots=True)
class Camera:
    """How sharp and how clean its pictures are.

    Attributes
    ----------
    blur_px : float
        Standard deviation of the lens's blur.
    noise : float
        Standard deviation of the noise, in grey levels.
    exposure_stops : float
        Brighter or darker than it should be: one stop is a factor of two in light, about 1.4 in grey levels here.
    jpeg_quality : int
        From 1 to 100, as in libjpeg.
    """

    blur_px: float = 0.6
    noise: float = 3.0
    exposure_stops: float = 0.0
    jpeg_quality: int = 92

    def __post_init__(self) -> None:
        if not 0 <= self.blur_px <= 20:
            raise InputError(f"a blur of {self.blur_px} px shows nothing or cannot be; pass 0 to 20")
        if not 0 <= self.noise <= 100:
            raise InputError(f"a noise of {self.noise} grey levels shows nothing or cannot be; pass 0 to 100")
        if not -4 <= self.exposure_stops <= 4:
            raise InputError(f"an exposure of {self.exposure_stops} stops shows nothing; pass -4 to 4")
        if not 1 <= self.jpeg_quality <= 100:
            raise InputError(f"a JPEG has no quality {self.jpeg_quality}; pass 1 to 100")


def expose(rgb: Pixels, camera: Camera, gsd_m: float, rng: Generator) -> None:
    """Turn a scene, in place, into what the sensor saw of it: light, blur, exposure and noise.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (height, width, 3)
    camera : Camera
    gsd_m : float
        Ground sample distance in metres.
    rng : numpy.random.Generator
    """
    height, width = rgb.shape[:2]
    light = 1 + 0.05 * noise(rng, max(height, width), LIGHT_SCALE_M / gsd_m)[:height, :width]
    gain = 2 ** (camera.exposure_stops / 2)
    for band, tint in enumerate((0.02, 0.0, -0.02)):
        layer = blurred(rgb[..., band], camera.blur_px) if camera.blur_px else rgb[..., band].astype(np.float32)
        layer *= gain * (light + tint * (light - 1) * 10)
        layer += camera.noise * rng.standard_normal(layer.shape, np.float32)
        rgb[..., band] = np.clip(layer, 0, 255)


def photograph_mosaic(rgb: Pixels, camera: Camera, gsd_m: float, rng: Generator) -> Pixels:
    """Return a scene as a mosaic of JPEG photos shows it, softened once more by their resampling. It changes ``rgb``, too."""
    expose(rgb, camera, gsd_m, rng)
    coded = np.frombuffer(encode_jpeg(rgb, camera.jpeg_quality), np.uint8)
    decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(cv2.GaussianBlur(decoded, (0, 0), 0.5)[..., ::-1]).astype(np.uint8, copy=False)


def encode_jpeg(rgb: Pixels, quality: int) -> bytes:
    """Return a JPEG file without metadata."""
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
