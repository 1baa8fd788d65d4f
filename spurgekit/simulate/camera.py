"""What a camera makes of a scene: uneven light, a lens's blur, exposure, noise, the blocks of JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from spurgekit.simulate.random_fields import Pixels, blurred, noise
from spurgekit.simulate.survey_options import Camera

LIGHT_SCALE_M = 25.0
"""About the size of the patches of brighter and duller light that thin clouds and vignetting leave in a mosaic."""


def expose(rgb: Pixels, camera: Camera, gsd_m: float, rng: Generator, warmth: float = 0.0) -> None:
    """Turn a scene, in place, into what the sensor saw of it: light, blur, exposure and noise.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (height, width, 3)
    camera : Camera
    gsd_m : float
        Ground sample distance in metres.
    rng : numpy.random.Generator
    warmth : float
        See :class:`spurgekit.simulate.Light`.
    """
    height, width = rgb.shape[:2]
    light = 1 + 0.05 * noise(rng, max(height, width), LIGHT_SCALE_M / gsd_m)[:height, :width]
    gain = 2 ** (camera.exposure_stops / 2)
    for band, tint in enumerate((0.02, 0.0, -0.02)):
        layer = blurred(rgb[..., band], camera.blur_px) if camera.blur_px else rgb[..., band].astype(np.float32)
        layer *= gain * (1 + warmth * (1 - band)) * (light + tint * (light - 1) * 10)
        layer += camera.noise * rng.standard_normal(layer.shape, np.float32)
        rgb[..., band] = np.clip(layer, 0, 255)


def photograph_mosaic(rgb: Pixels, camera: Camera, gsd_m: float, rng: Generator, warmth: float = 0.0) -> Pixels:
    """Return a scene as a mosaic of JPEG photos shows it, softened once more by their resampling. It changes ``rgb``, too."""
    expose(rgb, camera, gsd_m, rng, warmth)
    coded = np.frombuffer(encode_jpeg(rgb, camera.jpeg_quality), np.uint8)
    decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(cv2.GaussianBlur(decoded, (0, 0), 0.5)[..., ::-1]).astype(np.uint8, copy=False)


def encode_jpeg(rgb: Pixels, quality: int) -> bytes:
    """Return a JPEG file without metadata."""
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
